//! How many files this process may have open: each live transfer of an agent system that is listened to takes a connection,
//! each customer another. The usual soft limit of 1,024 is for programs that cannot know better; ours can.

use anyhow::{Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// 5,000 live transfers with a stream and a customer each, and the rest.
const NEEDED: u64 = 12_288;

/// Raises the limit as far as this process may.
///
/// # Errors
/// It stays below what a node needs: it would work until the day on which many come.
pub fn raise() -> Result<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // No limit at all is none.
    let (soft, hard) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
    let raised = if soft < hard && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok() {
        hard
    } else {
        soft
    };
    if raised < NEEDED {
        bail!(
            "this process may have {raised} files open, and a node needs {NEEDED}: raise the hard limit \
             (`LimitNOFILE=` of a systemd unit, `--ulimit nofile=` of a container, `ulimit -Hn` of a shell)"
        );
    }
    Ok(raised)
}
