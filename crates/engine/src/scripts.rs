//! Scripts run elsewhere: `step` says which one it needs, and what comes of it is part of the input.

use async_trait::async_trait;
use interline_core::flow::script::{Answer, Call, Fault, Why};

/// Who runs scripts.
#[async_trait]
pub trait Scripts: Send + Sync + 'static {
    /// Runs one. What went wrong is an answer, too.
    async fn run(&self, call: Call) -> Answer;
}

/// Nobody runs scripts: each fails.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoScripts;

#[async_trait]
impl Scripts for NoScripts {
    async fn run(&self, call: Call) -> Answer {
        let Call { flow, node, .. } = call;
        let message = "this process runs no scripts".to_owned();
        Answer::Failed(Fault { flow, node, line: None, why: Why::Internal, message })
    }
}
