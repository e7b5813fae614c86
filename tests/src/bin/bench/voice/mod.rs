//! Calls: the gateway (release, `examples/voice/app.yaml`) on one core, callers and agents (SIPp) on another, beside the
//! SIP stack that it is built on with nothing around it, in the same run.
//!
//! | file | measures |
//! |---|---|
//! | `calls.rs` | calls a second, CPU for each, what happens beyond the limit |
//! | `delay.rs`, `probe.rs` | how long a call is on its way to the agent |
//! | `memory.rs` | memory of calls, and what is left of them |
//! | `relay.rs`, `relay_load.rs` | sound: packets relayed, transcoded, sealed; loss and delay |
//! | `bare.rs` | the stack alone |
//! | `rtpengine.rs` | a well-known relay of sound, where it is installed |
//! | `load.rs`, `place.rs` | SIPp; the two that are measured |
//!
//! `bench voice`, or one part: `bench voice calls`, `delay`, `memory`, `relay`.

pub mod bare;
mod calls;
mod delay;
mod load;
mod memory;
mod place;
mod probe;
pub mod relay;
pub mod relay_load;
mod rtpengine;

use anyhow::{Result, bail};

/// The cores of what is measured, and of what measures.
const GATEWAY: usize = 0;
const GENERATOR: usize = 1;

/// What Asterisk does on a machine like this one, by issue 7: it is not packaged for this system.
mod asterisk {
    /// Calls a second, and CPU for each, milliseconds.
    pub const ANSWER: (f64, f64) = (1_056.0, 0.83);
    pub const BRIDGE: (f64, f64) = (501.0, 1.86);
    pub const REFER: f64 = 1_050.0;
}

/// The tables of one part, or of all.
///
/// # Errors
/// Something did not work.
pub async fn measure(part: Option<&str>) -> Result<String> {
    place::be_the_generator().await?;
    let mut text = format!(
        "Calls (release, SQLite; the gateway has core {GATEWAY}, callers and agents have core {GENERATOR}; SIPp, UDP)\n\n"
    );
    let parts = match part {
        None => vec!["calls", "delay", "memory", "relay"],
        Some(part) => vec![part],
    };
    for part in parts {
        text += &match part {
            "calls" => calls::measure().await?,
            "delay" => delay::measure().await?,
            "memory" => memory::measure().await?,
            "relay" => relay::measure().await?,
            other => bail!("calls have no part {other}"),
        };
        text.push('\n');
    }
    Ok(text)
}
