//! Calls. What a caller is to a conversation is the voice gateway's own business (`crates/voice/src/channel`): here it
//! stands in the list.

pub use interline_voice::channel::{ID, check, holds, schema, serve, trace};
