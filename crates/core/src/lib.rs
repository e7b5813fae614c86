//! The domain of Interline: who owns a conversation, what is said in it, and how it changes hands.
//!
//! Everything that happens anywhere becomes an [`Input`]. One pure function, [`step`], turns the state of a
//! conversation and one input into the next state and new [`Entry`]s:
//!
//! ```text
//!   Input ──► step(app, state, input, now, seed) ──► State + entries + participants
//! ```
//!
//! Nothing here is async, reads a clock, draws a random number or does I/O: time and randomness are arguments.
//! So a conversation can be replayed from its inputs, and every rule can be tested with random histories.
//!
//! Where to look:
//!
//! | question | file |
//! |---|---|
//! | Who owns a conversation, what does it remember? | `conversation/state.rs` |
//! | What does an input change? | `conversation/step.rs` and the files beside it |
//! | Who hears an entry? | `conversation/hears.rs` |
//! | What can an operator do? | `conversation/operator.rs` |
//! | What does a BotKit callback mean? | `conversation/classify.rs` |
//! | When does a transfer time out? | `transfer/deadline.rs` |
//! | Why can a transfer fail? | `transfer/reason.rs` |
//! | What does the bot say? | `flow/` |

pub mod app;
pub mod conversation;
pub mod flow;
pub mod id;
pub mod tables;
pub mod transfer;

pub use app::App;
pub use conversation::entry::{Body, Entry, Role, Speaker};
pub use conversation::file::File;
pub use conversation::input::Input;
pub use conversation::participant::Participant;
pub use conversation::profile::Profile;
pub use conversation::state::{Owner, State};
pub use conversation::step::{Step, step, try_step};
pub use id::{
    AppId, ConversationId, CustomerId, Epoch, FileId, IntegrationName, ParticipantNo, Seq, Time, TransferNo,
};
