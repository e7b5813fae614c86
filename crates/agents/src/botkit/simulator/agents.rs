//! The agents behind the bot file, and the stand-in as `simulate`, the demo and the conformance suite know it.

use async_trait::async_trait;
use axum::extract::State;
use axum::{Json, Router};
use interline_connector::simulator::{
    Act, ActError, Acts, By, ChatState, Desk, Deviation, Line, Points, ShownFile, StandIn,
};
use serde_json::{Value, json};
use url::Url;

use super::sdk::Payload;
use super::{Behaviour, Simulator};

#[async_trait]
impl Acts for Simulator {
    fn can(&self) -> &'static [&'static str] {
        &["say", "file", "offer", "transfer", "end"]
    }

    async fn act(&self, chat: &str, act: Act) -> Result<(), ActError> {
        match act {
            Act::Say { text, files } => {
                let shown = files.iter().map(|file| ShownFile::at(&file.name, file.url.as_str())).collect();
                let line = Line { files: shown, ..Line::new(By::Agent, &text) };
                self.agent_says(chat, line, |data| data.with_message(&text).with_files(&files)).await
            }
            Act::Offer { text, choices } => {
                let line = Line::new(By::Agent, &text);
                self.agent_says(chat, line, |data| data.with_choices(&text, &choices)).await
            }
            // Within the bot file's own agent system: the platform is told nothing of it.
            Act::Transfer { to } => {
                self.parts().data(chat).ok_or(ActError::NotOpen)?;
                self.desk().change(chat, |chat| chat.agent = Some(to));
                Ok(())
            }
            Act::End => self.agent_ends(chat).await,
            Act::Accept { .. } | Act::Decline | Act::Type { .. } | Act::Read => Err(ActError::Unable),
        }
    }
}

impl Simulator {
    async fn agent_says(
        &self,
        chat: &str,
        line: Line,
        with: impl FnOnce(Payload) -> Payload + Send,
    ) -> Result<(), ActError> {
        let data = with(self.parts().data(chat).ok_or(ActError::NotOpen)?);
        let place = self.desk().line(chat, line).ok_or(ActError::NotOpen)?;
        let answered = self.call_url("sendUserMessage", "sendUserMessageUrl", &data).await;
        answered.map(|_| ()).map_err(|refused| {
            self.desk().failed(chat, place, &refused.msg);
            ActError::Failed(refused.msg)
        })
    }

    async fn agent_ends(&self, chat: &str) -> Result<(), ActError> {
        let data = self.parts().end(chat).ok_or(ActError::NotOpen)?;
        self.desk().line(chat, Line::new(By::System, "You ended the conversation."));
        self.desk().state(chat, ChatState::Over);
        let answered = self.call_base("clearAgentSession", &data).await;
        answered.map(|_| ()).map_err(|refused| ActError::Failed(refused.msg))
    }
}

impl StandIn for Simulator {
    fn desk(&self) -> &Desk {
        Simulator::desk(self)
    }

    fn router(&self) -> Router {
        Simulator::router(self)
    }

    fn settings(&self, base: &Url) -> Value {
        let prefix = self.inner.settings.prefix.trim_matches('/');
        json!({ "url": format!("{}{prefix}", base.as_str()) })
    }

    fn points(&self) -> Points {
        Points {
            open: Some("/on_agent_transfer"),
            say: Some("/on_user_message"),
            said: Some("sendUserMessage"),
            ended: Some("clearAgentSession"),
            ..Points::default()
        }
    }

    fn deviations(&self) -> &'static [Deviation] {
        DEVIATIONS
    }
}

const DEVIATIONS: &[Deviation] = &[
    Deviation { scenario: "queue_position", reason: "A BotKit does not tell a place in a queue." },
    Deviation {
        scenario: "agent_joins",
        reason: "A BotKit does not tell who joined: once it took the hand-over, somebody is there.",
    },
    Deviation { scenario: "typing", reason: "A bot file can neither be told of typing nor tell of it." },
    Deviation {
        scenario: "receipts_delivered",
        reason: "A bot file can neither be told of receipts nor give any.",
    },
    Deviation {
        scenario: "receipts_read",
        reason: "A bot file can neither be told of receipts nor give any.",
    },
    Deviation {
        scenario: "no_agents",
        reason: "A bot file has no word for it: it fails the hand-over, and the reason is vendor_error.",
    },
    Deviation {
        scenario: "outside_hours",
        reason: "A bot file has no word for it: it fails the hand-over, and the reason is vendor_error.",
    },
    Deviation {
        scenario: "queue_timeout",
        reason: "A BotKit has no queue: it takes a hand-over or fails it.",
    },
    Deviation {
        scenario: "token_expires",
        reason: "There is no access that could run out: each call is signed by itself.",
    },
    Deviation {
        scenario: "inbound_duplicate",
        reason: "A call has no id, so each counts; BotKit itself never repeats one.",
    },
    Deviation { scenario: "stream_killed", reason: "There is no stream: BotKit calls us." },
];

pub(super) async fn behaviour(State(sim): State<Simulator>) -> Json<Behaviour> {
    Json(sim.behaviour())
}

pub(super) async fn set_behaviour(State(sim): State<Simulator>, Json(behaviour): Json<Behaviour>) {
    sim.set_behaviour(behaviour);
}
