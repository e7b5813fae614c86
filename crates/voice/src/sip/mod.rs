//! SIP: what comes in and goes out, up to a dialog with its media.

pub mod digest;
pub mod edge;
pub mod frag;
pub mod health;
pub mod inspect;
pub mod ladder;
pub mod leg;
pub mod long;
pub mod socket;
pub mod text;
pub mod timer;
