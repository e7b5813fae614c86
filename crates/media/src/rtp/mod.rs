//! Packets: what is on the wire.
//!
//! | file | concept |
//! |---|---|
//! | `packet.rs` | an RTP packet: reading it, writing its header |
//! | `control.rs` | RTCP: reports out, signs of life in |
//! | `event.rs` | digits as events (RFC 4733), both ways |
//! | `srtp.rs` | sealed packets |
//! | `stream.rs` | one stream out that stays continuous whatever feeds it |

pub mod control;
pub mod event;
pub mod packet;
pub mod srtp;
pub mod stream;
