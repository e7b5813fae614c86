//! The sound of calls: RTP in and out, what two sides agree on about it, prompts, keys, bridges, recordings. It knows no
//! SIP; `crates/voice` does.
//!
//! ```text
//!   SDP ─► sdp/agree.rs ─► terms ─┐
//!                                 ▼
//!   RTP ─► worker (one thread) ─► legs ─► RTP          studio: text, files, URLs ─► sound ─► worker
//!                                 └► events: keys, time-out, hold, speech
//! ```
//!
//! | where | concept |
//! |---|---|
//! | `media.rs` | the media of a process, its settings |
//! | `session.rs` | one leg, as its owner sees it |
//! | `bridge.rs` | two sessions that hear each other |
//! | `worker/` | the thread that moves all packets |
//! | `rtp/` | packets: RTP, RTCP, events, sealed ones |
//! | `sdp/` | descriptions, offer and answer |
//! | `audio/` | codecs, files, tones |
//! | `studio/` | where prompts are made |
//! | `speech/` | speech that comes in |
//! | `record.rs` | recordings |
//! | `ports.rs`, `stats.rs` | ports; what is counted |

mod bridge;
mod media;
mod ports;
mod prompt;
mod record;
mod session;
mod stats;
mod worker;

pub mod audio;
pub mod rtp;
pub mod sdp;
pub mod speech;
pub mod studio;

pub use audio::codec::Codec;
pub use audio::sound::Sound;
pub use audio::tones;
pub use bridge::{Bridge, bridge, one_way};
pub use media::{Config, Digits, Gauges, Media, Options};
pub use ports::NoPort;
pub use prompt::{Play, Played, Prompt};
pub use record::Recording;
pub use sdp::agree::{SdpError, Srtp};
pub use session::{Event, Playing, Session};
pub use stats::Stats;
pub use studio::{Studio, StudioConfig};
