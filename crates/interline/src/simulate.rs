//! `interline simulate`: one vendor's stand-in alone, with the paths that the real host has, so that anything can be
//! pointed at it by its base URL.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::PossibleValuesParser;
use interline_connector::simulator::Tenant;
use interline_connector::{Algorithm, Credential};
use tokio::net::TcpListener;
use url::Url;

use crate::stand_ins;

/// Whose stand-in, and for whom.
#[derive(Debug, Args)]
pub struct Flags {
    /// Whose stand-in: the `type` of an agent system.
    #[arg(value_parser = PossibleValuesParser::new(stand_ins::ids()))]
    vendor: String,
    /// Where it listens: loopback only.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8003")]
    listen: SocketAddr,
    /// Our address that the vendor's administrator enters: GET …/integrations/{name}/webhook of the API shows it.
    #[arg(long, value_name = "URL")]
    webhook: Option<Url>,
    /// For botkit: the bot it serves: `st-` and a version 5 UUID.
    #[arg(long, env = "BOT_ID", required_if_eq("vendor", "botkit"))]
    bot_id: Option<String>,
    /// For botkit: the client id of the app's credential.
    #[arg(long, env = "CLIENT_ID", required_if_eq("vendor", "botkit"))]
    client_id: Option<String>,
    /// For botkit: the client secret of the app's credential. Better by the variable: others see a command's arguments.
    #[arg(long, env = "CLIENT_SECRET", hide_env_values = true, required_if_eq("vendor", "botkit"))]
    client_secret: Option<String>,
    /// For botkit: HS512 instead of HS256.
    #[arg(long)]
    hs512: bool,
}

/// Runs until it is stopped.
///
/// # Errors
/// When it cannot listen.
#[allow(clippy::print_stdout, reason = "it tells a person what to open")]
pub async fn run(flags: Flags) -> Result<()> {
    // Whoever reaches its agent page is an agent.
    anyhow::ensure!(flags.listen.ip().is_loopback(), "a stand-in listens on loopback only");
    let credential = Credential {
        client_id: flags.client_id.unwrap_or_default(),
        client_secret: flags.client_secret.unwrap_or_default().into(),
        algorithm: if flags.hs512 { Algorithm::HS512 } else { Algorithm::HS256 },
    };
    let tenant = Tenant { app: flags.bot_id.unwrap_or_default().as_str().into(), credential };
    let vendor = stand_ins::all(&tenant).into_iter().find(|vendor| vendor.id == flags.vendor);
    let vendor = vendor.with_context(|| format!("there is no stand-in for {}", flags.vendor))?;
    let listener = TcpListener::bind(flags.listen)
        .await
        .with_context(|| format!("cannot listen on {}", flags.listen))?;
    let base = Url::parse(&format!("http://{}/", listener.local_addr()?))?;
    if let Some(webhook) = flags.webhook {
        vendor.stand_in.calls(webhook);
    }
    println!("{} stand-in: {base}   agent page: {}", vendor.title, vendor.page(&base));
    println!("In an app's file:\n\n{}", vendor.to_paste(&base)?);
    axum::serve(listener, vendor.stand_in.router())
        .with_graceful_shutdown(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await
        .context("the listener failed")
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_stand_in_can_be_named() {
        let ids = super::stand_ins::ids();
        assert!(ids.contains(&"botkit"), "{ids:?}");
    }
}
