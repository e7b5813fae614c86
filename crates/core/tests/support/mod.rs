//! A small simulated world around `step`: customers, agents, BotKits, deliveries, operators and a clock that all act at
//! random, with delays, duplicates and reorderings. `app` and `story` make up what happens; `world` plays the engine; `acts`
//! is what the example stories do.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

pub mod acts;
pub mod app;
pub mod story;
pub mod world;

use proptest::prelude::ProptestConfig;

/// 256 cases a property, in all a few seconds; `PROPTEST_CASES=20000` for a long look.
pub fn config() -> ProptestConfig {
    ProptestConfig { max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() }
}
