//! ServiceNow, two agent systems on one platform:
//!
//! ```text
//!   virtual_agent/  `servicenow`        Utah and higher: Agent Chat by the Virtual Agent Bot Integration API
//!   connect/        `servicenow_tokyo`  Tokyo and lower: Connect Support, with its state asked for now and then
//!
//!   account.rs      who we are there: Basic or OAuth, one refresh, one pause for all when the instance asks for it
//!   address.rs      what the instance must prove when it calls us
//!   matchers.rs     texts that an administrator wrote and that mean something
//!   introduction.rs what travels along, in words
//!   plain.rs        HTML as plain words
//!   reading.rs      settings so that what is wrong names its field; the vendor's JSON so that it need not be right
//! ```
//!
//! Facts about the products, their limits and how to set them up: `README.md` in this folder.

mod account;
mod address;
mod connect;
mod introduction;
mod matchers;
mod plain;
mod reading;
mod virtual_agent;

#[cfg(any(test, feature = "simulators"))]
pub mod simulator;
#[cfg(test)]
mod tests;

pub use connect::ServiceNowTokyo;
pub use virtual_agent::ServiceNow;
