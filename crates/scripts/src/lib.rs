//! Scripts of flows: JavaScript in QuickJS, shut in.
//!
//! ```text
//!   Scripts::run(Call) ──► queue ──► a thread of the pool ──► run: a fresh interpreter for this call ──► Answer
//! ```
//!
//! A script can work and ask for things ([`Effect`](interline_core::flow::script::Effect)), and nothing else: there is no
//! file, socket, timer, module or clock to reach. What it takes is limited (interpreter ticks, memory, stack, the size of
//! its answer), its time and its random numbers come from the call, and nothing is left behind for the next one.
//!
//! | question | file |
//! |---|---|
//! | Which threads, and what if one does not come back? | `pool.rs` |
//! | How is one call run, and what are the limits? | `run.rs` |
//! | What can a script call? | `functions/`, and `prelude.js` for what works on the script's own objects |
//! | What of its changes is kept? | `kept.rs` |
//! | Where did it go wrong? | `fault.rs` |

mod fault;
pub mod functions;
mod kept;
mod pool;
mod run;

pub use pool::Scripts;
