//! Black-box tests of the built binary: what they need to play the outside world.
//!
//! Everything here speaks the wire protocols alone. Nothing knows how the server is made, but for the baseline of the
//! bench, which uses the store directly. The vendors' stand-ins come from where they are: the other end of the wire.
//!
//! | file | plays |
//! |---|---|
//! | `server.rs` | the operator: starts, kills, stops and weighs the server |
//! | `web.rs` | a customer in the web chat |
//! | `botkit.rs` | a customer's BotKit server, and the agents behind it |
//! | `files.rs` | files: made up, hashed, sent and fetched by a customer |
//! | `office.rs` | any vendor: its stand-in, its agents, its administrator |
//! | `document.rs` | an app's file with any agent systems |
//! | `operator.rs` | the operator's program: the API, with a key |
//! | `shelf.rs` | files at a BotKit |
//! | `sipp.rs` | callers and agents on the telephone, message by message |
//! | `baresip.rs` | people with a softphone |
//! | `ears.rs` | whoever listens to recordings |
//! | `http.rs` | an HTTP client that shows whether a call was answered |
//! | `port.rs` | ports for those who listen |
//! | `postgres.rs` | a database of its own for a test |
//! | `checker.rs` | the judge: what each side said against what each side saw |
//! | `file_checker.rs` | the same for files |
//! | `dice.rs` | chance, with a seed |
//! | `scratch.rs` | a directory that is gone afterwards |
//! | `bin/bench/` | `make bench` |

pub mod baresip;
pub mod botkit;
pub mod checker;
pub mod dice;
pub mod document;
pub mod ears;
pub mod file_checker;
pub mod files;
pub mod http;
pub mod office;
pub mod operator;
pub mod port;
pub mod postgres;
pub mod scratch;
pub mod server;
pub mod shelf;
pub mod sipp;
pub mod web;

/// The one app of a test: its bot id, and the client id and secret that sign logins and BotKit calls.
#[derive(Debug, Clone)]
pub struct App {
    /// `st-` and a version 5 UUID.
    pub bot: String,
    /// `cs-…`.
    pub client_id: String,
    /// As raw UTF-8.
    pub secret: String,
}

impl App {
    /// An app that nobody else has.
    pub fn fresh() -> Self {
        let id = uuid::Uuid::now_v7();
        Self {
            bot: format!("st-{}", uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, id.as_bytes())),
            client_id: format!("cs-{}", uuid::Uuid::new_v4()),
            secret: format!("secret-{}", uuid::Uuid::new_v4().simple()),
        }
    }

    /// A token signed with the secret.
    pub fn sign(&self, claims: &serde_json::Value) -> String {
        let key = jsonwebtoken::EncodingKey::from_secret(self.secret.as_bytes());
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        jsonwebtoken::encode(&header, claims, &key).unwrap_or_default()
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
