//! `docs/who-hears-what.md`: each speaker in each place, with and without an interceptor.

use super::scene::{Cast, DESK, KIT, Place, Scene, operator, said};
use super::{GENERATED, table};
use crate::conversation::classify::Call;
use crate::conversation::entry::{Note, Text};
use crate::conversation::input::{AgentEvent, OperatorAct};
use crate::conversation::request_id::RequestKind;
use crate::{Body, Entry, Input, ParticipantNo, Role, Seq, Speaker};

const INTRO: &str = "# Who hears what

Every line of a conversation is for one role, never for a named system: the customer, the bot, the agent of the
transfer, the interceptor, or nobody (then it stands in the timeline only). Which role depends on who owns the
conversation, so the rows below are the places where a conversation can stand: with the **Bot**, in a stage of a
transfer ([transfer machine](transfer-machine.md)), or **Closed**.

An **interceptor** is a BotKit that is subscribed to messages. It gets each line between customer and bot first and says
what becomes of it. `Interceptor, then Bot` reads: held for the interceptor, and when it releases the line, or its
time is up, the bot gets it. `noted` reads: the words stand in the timeline, and nobody is told.

What an **operator** says is for the customer alone: it passes the interceptor by, and neither bot nor agent is told. It
stands in the history that a later agent gets along.

A customer's line in Closing waits until the agent's last words are through; then the bot gets it.
Without an interceptor Requested passes in the same moment, so no line is ever said there.
";

/// Who speaks.
#[derive(Clone, Copy)]
enum Who {
    Customer,
    Bot,
    Agent,
    FormerAgent,
    OldId,
    Operator,
}

const SPEAKERS: [(Who, &str); 6] = [
    (Who::Customer, "The customer says something"),
    (Who::Bot, "The bot answers a line"),
    (Who::Agent, "The agent of the transfer says something"),
    (Who::FormerAgent, "An agent of an earlier rung or transfer says something"),
    (
        Who::OldId,
        "A BotKit that is not the agent calls sendUserMessage with the id of the bot's greeting, which went on without its word",
    ),
    (Who::Operator, "An operator says something"),
];

pub(super) fn page() -> String {
    let mut page = format!("{GENERATED}{INTRO}");
    for (who, name) in SPEAKERS {
        let rows = Place::ALL.into_iter().filter_map(|place| {
            let cell = |intercepted| heard(place, who, intercepted);
            let (plain, intercepted) = (cell(false), cell(true));
            (plain.is_some() || intercepted.is_some()).then(|| {
                let or = |cell: Option<String>| cell.unwrap_or_else(|| "–".into());
                vec![place.name().to_owned(), or(plain), or(intercepted)]
            })
        });
        page += &format!("\n## {name}\n\n");
        page += &table(&["place", "without interceptor", "with interceptor"], rows);
    }
    page
}

/// Who hears `who` in `place`. None: it cannot speak there.
fn heard(place: Place, who: Who, intercepted: bool) -> Option<String> {
    let cast = Cast { agent: DESK, tells_joined: true, drain_ms: 3_000, intercepted, fallback: true };
    let scene = Scene::at(place, &cast)?;
    let line = Text::plain("these words");
    let says = |participant| {
        let event = AgentEvent::Said { text: line.clone(), name: None };
        Input::Agent { participant, event }
    };
    let (input, by) = match who {
        Who::Customer => (said("these words"), Speaker::Customer),
        Who::Bot if place != Place::Bot => return None,
        Who::Bot => (said("these words"), Speaker::Bot),
        Who::Agent if scene.agent_no() == ParticipantNo(99) => return None,
        Who::Agent => (says(scene.agent_no()), Speaker::Agent { name: None }),
        Who::FormerAgent => (says(ParticipantNo(98)), Speaker::Agent { name: None }),
        Who::OldId if !intercepted => return None,
        Who::OldId => {
            let id = scene.id(RequestKind::BotLine, crate::Epoch(1), Seq(2));
            let call = Call::SendUserMessage(line.clone());
            (Input::Callback { integration: KIT.into(), id, call }, Speaker::Bot)
        }
        Who::Operator => {
            let act = OperatorAct::Says { name: None, text: line.text };
            (operator(act), Speaker::Operator { name: None })
        }
    };
    Some(follow(scene, &input, &by))
}

/// The roles that hear a line one after the other, while time passes and nobody answers.
fn follow(mut scene: Scene, input: &Input, by: &Speaker) -> String {
    let before = scene.log.len();
    let step = scene.does(input);
    let noted = |entry: &Entry| matches!(entry.body, Body::Note(Note::Late { .. }));
    if step.entries.iter().any(noted) {
        return "noted".into();
    }
    // Bounded: a line is passed on once by the interceptor and once when Closing is over.
    for _ in 0..6 {
        scene.wakes();
    }
    let mut roles = Vec::new();
    let mut last: Option<Seq> = None;
    for entry in scene.log.iter().skip(before).filter(|entry| entry.text().is_some() && entry.by == *by) {
        if last.is_none() || entry.release_of == last {
            roles.push(role(entry.to));
            last = Some(entry.seq);
        }
    }
    if roles.is_empty() { "noted".into() } else { roles.join(", then ") }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Customer => "Customer",
        Role::Bot => "Bot",
        Role::Agent => "Agent",
        Role::Interceptor => "Interceptor",
        Role::Nobody => "nobody yet",
    }
}
