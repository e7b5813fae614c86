//! `docs/connectors/botkit-callbacks.md`: what a call back from a BotKit is, by id and situation.

use super::scene::{Cast, DESK, KIT, Place, Scene};
use super::{GENERATED, table};
use crate::conversation::classify::{Call, Meaning, classify};
use crate::conversation::entry::Text;
use crate::conversation::hold::Way;
use crate::conversation::input::Scope;
use crate::conversation::request_id::RequestKind;
use crate::transfer::Stage;
use crate::{Epoch, Seq};

const INTRO: &str = "# What a BotKit's callback means

A BotKit is told of an event together with a request id, and calls back with that id: at once, an hour later, a hundred
times. The id says by itself which entry it was made for and under which ownership (epoch), so it never expires. Every
call whose token, app and ids check out is answered 200, also one that is only noted; an unreadable or foreign id is
404, a bad token 401.

There are four kinds of id: of a **customer line** or a **bot line** that the BotKit was asked about before it went on
(only a BotKit that is subscribed to messages gets these), of a **transfer** (`on_agent_transfer`), and of an
**agent-mode** line (`on_user_message` with `agent_transfer: true`).

The rows are the situations in which the call can come. *Own transfer*: the live transfer is with this BotKit's
integration; *another's*: with another one. In the rows of a transfer the id is an old one, and that is the point: while
a BotKit's own transfer lives, whatever id it uses speaks for the agent. Where a line is *held*, the id is that line's.

- **release**: the held line goes on, in the call's words (no words: it is dropped). If the bot let go meanwhile, a
  customer's line is only noted: the agent has it already.
- **drop**: the held line is dropped.
- **agent line**: an agent says it to the customer. **bot line**: the bot says one more thing. With the id of a held
  customer line it answers in the bot's place: unless that line is released in time, the bot does not get it.
  The first call about a bot line that went on, or was dropped, without the BotKit's word in time is that word, too late:
  it is noted, each further one is a bot line.
- **start**: the human part starts; with the own transfer in Opening or Waiting: an agent is there. An agent system that
  was deleted, and stays only for who still talks through it, starts nothing new: its call is noted.
- **end**: the human part is over. **close**: the conversation is over.
- *note*: only the timeline shows it. –: there is no such id.
";

struct Situation {
    name: &'static str,
    scene: Scene,
    /// Under which ownership the id was given out.
    epoch: Epoch,
    /// Whether the id is that of a held line.
    held: bool,
}

pub(super) fn page() -> String {
    let situations = situations();
    let calls = [
        ("sendUserMessage", Call::SendUserMessage(Text::plain("words"))),
        ("sendBotMessage", Call::SendBotMessage(Text::plain("words"))),
        ("skipUserMessage", Call::SkipUserMessage),
        ("skipBotMessage", Call::SkipBotMessage),
        ("startAgentSession", Call::StartAgentSession),
        ("clearAgentSession", Call::ClearAgentSession),
        ("clearConversationSession", Call::CloseConversation),
    ];
    let mut page = format!("{GENERATED}{INTRO}");
    for (name, call) in calls {
        let rows = situations.iter().map(|situation| {
            let cells = RequestKind::ALL.iter().map(|kind| cell(situation, *kind, &call));
            (situation.name, cells.collect())
        });
        let rows = merged(rows).into_iter().map(|(name, cells)| std::iter::once(name).chain(cells).collect());
        page += &format!("\n## {name}\n\n");
        page += &table(
            &[
                "situation",
                "id of a customer line",
                "of a bot line",
                "of a transfer",
                "of an agent-mode line",
            ],
            rows,
        );
    }
    page
}

/// Neighbours with the same answers share a row.
fn merged<'a>(rows: impl Iterator<Item = (&'a str, Vec<String>)>) -> Vec<(String, Vec<String>)> {
    let mut merged: Vec<(String, Vec<String>)> = Vec::new();
    for (name, cells) in rows {
        match merged.last_mut() {
            Some((names, known)) if *known == cells => *names += &format!("<br>{name}"),
            Some(_) | None => merged.push((name.to_owned(), cells)),
        }
    }
    merged
}

fn situations() -> Vec<Situation> {
    let own = Cast { agent: KIT, tells_joined: true, drain_ms: 3_000, intercepted: true, fallback: false };
    let other = Cast { agent: DESK, ..own.clone() };
    let at = |name, place, cast: &Cast, epoch, held| {
        Scene::at(place, cast).map(|scene| Situation { name, scene, epoch, held })
    };
    let holding = |name, scene: Option<Scene>| {
        scene.map(|scene| Situation { name, scene, epoch: Epoch(1), held: true })
    };
    let back = |mut scene: Scene| {
        // The human part is over and the bot owns the conversation under a later epoch.
        scene.does(&crate::Input::CustomerEnds(Scope::AgentChat));
        Situation { name: "bot owns it, id of an earlier epoch", scene, epoch: Epoch(1), held: false }
    };
    let talking = Place::In(Stage::Talking);
    [
        holding("bot owns it, the line is held", Scene::holding(&own)),
        at("bot owns it, id of this epoch, not held", Place::Bot, &own, Epoch(1), false),
        Scene::at(talking, &own).map(back),
        at("own transfer: Requested", Place::In(Stage::Requested), &own, Epoch(1), false),
        at("own transfer: Opening", Place::In(Stage::Opening), &own, Epoch(1), false),
        at("own transfer: Waiting", Place::In(Stage::Waiting), &own, Epoch(1), false),
        at("own transfer: Talking", talking, &own, Epoch(1), false),
        at("own transfer: Closing", Place::In(Stage::Closing), &own, Epoch(1), false),
        holding(
            "own transfer: Talking, the line is still held",
            Scene::holding(&own).map(|scene| scene.taken_over_by(KIT)),
        ),
        at("another's transfer", talking, &other, Epoch(1), false),
        holding(
            "another's transfer, the line is still held",
            Scene::holding(&other).map(|scene| scene.taken_over_by(DESK)),
        ),
        at("closed", Place::Closed, &own, Epoch(1), false),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn cell(situation: &Situation, kind: RequestKind, call: &Call) -> String {
    let scene = &situation.scene;
    let way = match kind {
        RequestKind::CustomerLine => Some(Way::ToBot),
        RequestKind::BotLine => Some(Way::ToCustomer),
        RequestKind::Transfer | RequestKind::AgentMode => None,
    };
    let held = scene.state.held.iter().find(|held| Some(held.way) == way);
    let seq = match (situation.held, held) {
        (true, Some(held)) => held.seq,
        // Such a line is never held.
        (true, None) => return "–".into(),
        (false, _) => Seq(1),
    };
    let id = scene.id(kind, situation.epoch, seq);
    match classify(&scene.state, &KIT.into(), &id, call) {
        Meaning::Release(_) => "**release**",
        Meaning::Skip(_) => "**drop**",
        Meaning::AgentLine => "**agent line**",
        Meaning::BotLine => "**bot line**",
        Meaning::TookOver => "**start**",
        Meaning::Clear => "**end**",
        Meaning::Close => "**close**",
        Meaning::Note => "*note*",
    }
    .into()
}
