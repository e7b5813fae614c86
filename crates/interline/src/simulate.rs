//! `interline simulate`: one vendor's stand-in alone, with the paths that the real host has, so that anything can be
//! pointed at it by its base URL.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use interline_agents::botkit::simulator::{Settings, Simulator};
use interline_connector::Algorithm;
use tokio::net::TcpListener;

/// Whose stand-in.
#[derive(Debug, Subcommand)]
pub enum Vendor {
    /// A BotKit server with its sample live-chat bot file.
    Botkit(BotKit),
}

/// What stands in BotKit's config.json.
#[derive(Debug, Args)]
pub struct BotKit {
    /// Where it listens: loopback only.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8003")]
    listen: SocketAddr,
    /// The bot it serves: `st-` and a version 5 UUID.
    #[arg(long, env = "BOT_ID")]
    bot_id: String,
    /// The client id of the app's credential.
    #[arg(long, env = "CLIENT_ID")]
    client_id: String,
    /// The client secret of the app's credential. Better by the variable: others see a command's arguments.
    #[arg(long, env = "CLIENT_SECRET", hide_env_values = true)]
    client_secret: String,
    /// HS512 instead of HS256.
    #[arg(long)]
    hs512: bool,
}

/// Runs until it is stopped.
///
/// # Errors
/// When it cannot listen.
#[allow(clippy::print_stdout, reason = "it tells a person what to open")]
pub async fn run(vendor: Vendor) -> Result<()> {
    let Vendor::Botkit(flags) = vendor;
    // Whoever reaches its agent page is an agent.
    anyhow::ensure!(flags.listen.ip().is_loopback(), "a stand-in listens on loopback only");
    let stand_in = Simulator::new(Settings {
        app_id: flags.bot_id,
        client_id: flags.client_id,
        client_secret: flags.client_secret,
        algorithm: if flags.hs512 { Algorithm::HS512 } else { Algorithm::HS256 },
        prefix: String::new(),
    });
    let listener = TcpListener::bind(flags.listen)
        .await
        .with_context(|| format!("cannot listen on {}", flags.listen))?;
    let address = listener.local_addr()?;
    println!("BotKit stand-in: http://{address}   agent page: http://{address}/_sim/botkit/");
    axum::serve(listener, stand_in.router())
        .with_graceful_shutdown(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await
        .context("the listener failed")
}
