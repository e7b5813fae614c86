//! A PostgreSQL database of its own for a test.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The variable with the server's URL; its databases may be thrown away. `tests/support/postgres.sh` sets it.
pub const VARIABLE: &str = "INTERLINE_TEST_POSTGRES";

/// A database that belongs to one test.
#[derive(Debug)]
pub struct Database {
    /// Its URL.
    pub url: String,
    server: String,
    name: String,
}

/// Makes a database. None, and a line that says so, when there is no server.
///
/// # Errors
/// The server is there but does not do it.
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
pub async fn database(test: &str) -> anyhow::Result<Option<Database>> {
    let Ok(server) = std::env::var(VARIABLE) else {
        eprintln!("SKIPPED {test}: {VARIABLE} is not set (tests/support/postgres.sh sets it)");
        return Ok(None);
    };
    let name = format!("{test}_{}", uuid::Uuid::now_v7().simple());
    run(&server, format!("CREATE DATABASE {name}")).await?;
    let (base, _) = server.rsplit_once('/').ok_or_else(|| anyhow::anyhow!("{VARIABLE} names no database"))?;
    Ok(Some(Database { url: format!("{base}/{name}"), server, name }))
}

impl Database {
    /// Throws it away.
    ///
    /// # Errors
    /// The server does not do it.
    pub async fn remove(self) -> anyhow::Result<()> {
        run(&self.server, format!("DROP DATABASE {} WITH (FORCE)", self.name)).await
    }

    /// The CPU seconds of the whole server so far, if it runs on this machine and was started with `-p PORT`.
    pub fn cpu(&self) -> Option<Duration> {
        let port = self.server.rsplit('/').nth(1)?.rsplit(':').next()?;
        let all: Vec<u32> = std::fs::read_dir("/proc")
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| {
                std::fs::read_to_string(format!("/proc/{pid}/comm"))
                    .is_ok_and(|name| name.trim() == "postgres")
            })
            .collect();
        let words = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let main = all.iter().copied().find(|pid| {
            let words = words(pid);
            let words: Vec<&str> = words.split('\0').collect();
            words.windows(2).any(|pair| pair == ["-p", port])
        })?;
        let mine = all.iter().filter(|pid| **pid == main || crate::server::parent(**pid) == Some(main));
        Some(mine.map(|pid| crate::server::cpu_of(*pid)).sum())
    }
}

async fn run(server: &str, sql: String) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(server).await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}
