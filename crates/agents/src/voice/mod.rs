//! Voice: a living call is handed to a human by SIP. The gateway does it (`crates/voice/src/agent`): here it stands in the
//! list.

pub use interline_voice::agent::Voice;
