//! Everything a script can call beyond JavaScript itself, in one list: it is installed from the list, the
//! documentation's table is printed from it, and its examples are tests.
//!
//! Names, order of parameters and defaults are those that flow authors of the field know, so that their scripts run
//! unchanged. A call that makes no sense is ignored and noted in the script's log, not thrown: the platforms these
//! scripts were written for do not throw either.

mod agent;
mod args;
mod page;
mod user;
mod voice;

use interline_core::flow::script::Effect;

pub(crate) use args::Args;
pub use page::page;

/// One function.
pub struct Function {
    /// As scripts call it: `agentUtils.setQueue`.
    pub name: &'static str,
    /// Its parameters, with their defaults: `message?, headers?, queueCommand = true`.
    pub parameters: &'static str,
    /// What it does, in a sentence of Markdown.
    pub does: &'static str,
    /// Scripts that use it, each with what comes of it: the answer's JSON without its empty parts and its log.
    pub examples: &'static [(&'static str, &'static str)],
    pub(crate) is: Is,
}

/// How a function works.
#[derive(Clone, Copy)]
pub(crate) enum Is {
    /// It asks for something; what is wrong with the arguments is said in words.
    Effect(fn(&mut Args<'_>) -> Result<Option<Effect>, String>),
    /// It tells the bot's language.
    Language,
    /// It writes to the script's log.
    Log,
    /// It works on the script's own objects (`prelude.js`).
    Prelude,
}

/// All of them, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Function> {
    [agent::FUNCTIONS, user::FUNCTIONS, voice::FUNCTIONS].into_iter().flatten()
}
