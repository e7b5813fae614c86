//! Stand-ins for a ServiceNow instance, one for each of the two products. Built from the vendor's pages, stricter than the
//! vendor where a mistake of ours would go unnoticed there.
//!
//! ```text
//!   instance.rs    what both have: users, OAuth, the user table, and the calls that go out
//!   agent_chat.rs  Virtual Agent Bot Integration API, from outside;  virtual_agent.rs  what it does then;  strict.rs  what it checks
//!   media.rs       files: uploads, and what agents send
//!   connect.rs     Connect Support, from outside;                    support.rs        its queue, and its agents
//! ```

mod agent_chat;
mod connect;
mod instance;
mod media;
mod strict;
mod support;
mod virtual_agent;

pub use agent_chat::{Admin, AgentChat, MessageAuth};
pub use connect::Connect;
pub use support::{QUEUE, Rule};
