//! Sound: as samples, as bytes of a codec, as files.
//!
//! | file | concept |
//! |---|---|
//! | `codec.rs`, `g711.rs` | what is spoken on the wire |
//! | `sound.rs` | a piece of sound in memory |
//! | `wav.rs`, `mp3.rs` | files |
//! | `resample.rs` | from one rate to another |
//! | `tones.rs` | tones and keys, made and found again |
//! | `jitter.rs` | packets back in order and in time |

pub mod codec;
pub mod g711;
pub mod jitter;
pub mod mp3;
pub mod resample;
pub mod sound;
pub mod tones;
pub mod wav;
