//! Files as bytes: what a file is by its content and name, and where its bytes are kept. Nothing here knows of
//! conversations; that is the engine's part (`engine/src/files/`).
//!
//! ```text
//!   stream ─► parts.rs (spooled to disk, hashed on the way) ─► content.rs (is it what its name says?)
//!          ─► scan.rs (does a scanner find anything?) ─► strip.rs (no location in pictures) ─► blobs.rs (kept, synced)
//! ```
//!
//! | file | concept |
//! |---|---|
//! | `name.rs` | a name that is safe to show and to save |
//! | `content.rs` | the format, decided by content and checked against the name |
//! | `strip/` | pictures without what tells where they were taken |
//! | `thumbnail.rs` | a small picture of a picture |
//! | `scan.rs` | a virus scanner (clamd) |
//! | `parts.rs` | uploads under way |
//! | `blobs/` | stored files: a directory, or a bucket of an S3-compatible store |

pub mod blobs;
pub mod content;
pub mod name;
pub mod parts;
pub mod scan;
pub mod strip;
pub mod thumbnail;
