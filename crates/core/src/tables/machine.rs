//! `docs/transfer-machine.md`: each input in each stage, and the deadlines.

use super::scene::{Cast, DESK, KIT, Place, Scene, operator, said};
use super::{GENERATED, table};
use crate::conversation::classify::Call;
use crate::conversation::entry::{Note, Text};
use crate::conversation::input::{AgentEvent, DeliveryResult, OperatorAct, Scope};
use crate::conversation::request_id::RequestKind;
use crate::transfer::deadline::{Deadlines, Overdue, deadline, overdue};
use crate::transfer::{Failure, Outcome, Reason, Stage};
use crate::{Body, Epoch, Input, Owner, Role, Seq, State, Step, Time};

const INTRO: &str = "# The transfer machine

A transfer is one hand-over of a conversation to an agent system, from its request to its outcome:

```text
Requested ─► Opening ─► Waiting ─► Talking ─► Closing ─► ended (outcome)
    └───────────┴──────────┴─────────┴── failure ─► Opening of the next rung, else ended (Failed)
```

- **Requested**: the bot let go; lines from before are still with the interceptor. Without one it passes at once.
- **Opening**: the agent system was asked and has not answered. **Waiting**: it accepted; the customer is in its queue.
- **Talking**: an agent is there. **Closing**: the agent left; its last words may still be on the way.
- A **rung** is one try with one agent system. When it fails, the next rung of the ladder enters Opening.
- An **operator** acts from outside, by the API. To retry costs no rung: the session under way is closed, and the same
  agent system is asked anew. To skip passes by an entry that a session is stuck at; to drop gives the session up. Each act
  is in the timeline with who did it, also one that changes nothing.

How to read a cell: a stage's name means that the transfer goes there; `ended: …` names the outcome, and the bot owns
the conversation again; `same rung anew` means a new session with the same agent system; `stays` means that something is
said or passed on and the stage remains; `noted` means that the timeline shows it and nothing else changes; `·` means
that nothing changes at all.
";

const ONE: &str = "
## A system that tells when an agent joined, with another rung behind it

Most vendors with a queue. This one's end counts at once (no drain), so it never is in Closing.

";

const TWO: &str = "
## A system that does not tell it, the last rung, with a drain

A BotKit, for instance: it talks as soon as it accepted, so it never is in Waiting; its end may overtake its last words,
so it is listened to for a little longer.

";

const DEADLINES: &str = "
## Deadlines

What happens when a stage lasted too long. All are settings of the app; an agent system may have its own for Opening and
Closing. Held lines have their own clock: when it is up, the interceptor's policy decides.

";

type Make = fn(&Scene) -> Input;

/// Every kind of input, in the words of the page.
const INPUTS: [(&str, Make); 26] = [
    ("the customer says something", |_| said("hello")),
    ("the customer ends the agent chat", |_| Input::CustomerEnds(Scope::AgentChat)),
    ("the customer ends the conversation", |_| Input::CustomerEnds(Scope::Conversation)),
    ("an operator ends the transfer", |_| operator(OperatorAct::Ends(Scope::AgentChat))),
    ("an operator ends the conversation", |_| operator(OperatorAct::Ends(Scope::Conversation))),
    ("an operator retries", |_| operator(OperatorAct::Retries)),
    ("an operator says something", |_| operator(OperatorAct::Says { name: None, text: "hello".into() })),
    ("an operator skips the Open", |scene| skips(scene, scene.open())),
    ("an operator skips a customer's line", |scene| skips(scene, Seq(u64::MAX))),
    ("an operator drops the agent's session", |scene| {
        operator(OperatorAct::Drops { participant: scene.agent_no() })
    }),
    ("the Open was accepted", |scene| scene.delivery(DeliveryResult::Accepted)),
    ("the Open was refused", |scene| scene.delivery(DeliveryResult::Refused(failed()))),
    ("the Open may have arrived", |scene| scene.delivery(DeliveryResult::Unconfirmed(failed()))),
    ("a customer's line was refused", |scene| line(scene, DeliveryResult::Refused(failed()))),
    ("deliveries stalled", |scene| line(scene, DeliveryResult::Stalled(failed()))),
    ("the vendor's session is gone", |scene| line(scene, DeliveryResult::Gone(failed()))),
    ("agent system: queued", |scene| scene.agent(AgentEvent::Queued { position: Some(2) })),
    ("agent system: joined", |scene| scene.agent(AgentEvent::Joined { name: Some("Kim".into()) })),
    ("agent system: a line", |scene| scene.agent(AgentEvent::Said { text: Text::plain("hi"), name: None })),
    ("agent system: ended", |scene| scene.agent(AgentEvent::Ended { tag: None })),
    ("agent system: failed", |scene| scene.agent(AgentEvent::Failed(failed()))),
    ("agent system: the caller left", |scene| {
        scene.agent(AgentEvent::Failed(Failure::of(Reason::CallerLeft)))
    }),
    ("BotKit: startAgentSession", |scene| call(scene, Call::StartAgentSession)),
    ("BotKit: clearAgentSession", |scene| call(scene, Call::ClearAgentSession)),
    ("BotKit: close the conversation", |scene| call(scene, Call::CloseConversation)),
    ("the deadline passed", |_| Input::Tick),
];

pub(super) fn page() -> String {
    let one = Cast { agent: DESK, tells_joined: true, drain_ms: 0, intercepted: false, fallback: true };
    let two = Cast { agent: KIT, tells_joined: false, drain_ms: 3_000, intercepted: false, fallback: false };
    format!("{GENERATED}{INTRO}{ONE}{}{TWO}{}{DEADLINES}{}", stages(&one), stages(&two), deadlines())
}

fn stages(cast: &Cast) -> String {
    let scenes: Vec<(Place, Scene)> = Place::ALL
        .into_iter()
        .filter_map(|place| {
            let intercepted = place == Place::In(Stage::Requested);
            Some((place, Scene::at(place, &Cast { intercepted, ..cast.clone() })?))
        })
        .collect();
    let mut head = vec!["input"];
    head.extend(scenes.iter().map(|(place, _)| place.name()));
    let rows = INPUTS.iter().map(|(name, make)| {
        let cells = scenes.iter().map(|(_, scene)| cell(scene.clone(), *make, cast.agent));
        std::iter::once((*name).to_owned()).chain(cells).collect()
    });
    table(&head, rows)
}

fn cell(mut scene: Scene, make: Make, agent: &str) -> String {
    let mut input = make(&scene);
    if let Input::Callback { integration, .. } = &mut input {
        *integration = agent.into();
    }
    let before = scene.state.clone();
    let step = if input == Input::Tick { scene.wakes() } else { scene.does(&input) };
    changed(&before, &step)
}

fn changed(before: &State, step: &Step) -> String {
    let after = &step.state;
    if after.owner == Owner::Closed && before.owner != Owner::Closed {
        return ended(step).map_or("Closed".into(), |outcome| format!("Closed; ended: {outcome}"));
    }
    match (&before.transfer, &after.transfer) {
        (Some(_), None) => format!("ended: {}", ended(step).unwrap_or_default()),
        (None, Some(transfer)) => format!("takes over: {}", Place::In(transfer.stage).name()),
        (Some(from), Some(to)) if from.rung.is_some() && from.rung != to.rung => {
            let anew =
                from.rung.as_ref().map(|rung| &rung.target) == to.rung.as_ref().map(|rung| &rung.target);
            if anew { "same rung anew: Opening" } else { "next rung: Opening" }.into()
        }
        (Some(from), Some(to)) if from.stage != to.stage => Place::In(to.stage).name().into(),
        (Some(_), Some(_)) | (None, None) => {
            if step.entries.is_empty() {
                "·".into()
            } else if step.entries.iter().all(|entry| entry.to == Role::Nobody && entry.text().is_none()) {
                "noted".into()
            } else {
                "stays".into()
            }
        }
    }
}

fn ended(step: &Step) -> Option<String> {
    step.entries.iter().find_map(|entry| match &entry.body {
        Body::Note(Note::TransferEnded(outcome)) => Some(match outcome {
            Outcome::AgentEnded => "AgentEnded".into(),
            Outcome::CustomerEnded => "CustomerEnded".into(),
            Outcome::OperatorEnded => "OperatorEnded".into(),
            Outcome::Idle => "Idle".into(),
            Outcome::HandedOff => "HandedOff".into(),
            Outcome::Failed(failure) => format!("Failed ({:?})", failure.reason),
        }),
        Body::Text(_)
        | Body::Open
        | Body::Close { .. }
        | Body::ReturnPackage(_)
        | Body::Opened
        | Body::Queued { .. }
        | Body::AgentJoined { .. }
        | Body::AgentLeft
        | Body::Closed
        | Body::TurnDone(_)
        | Body::Voice(_)
        | Body::Work { .. }
        | Body::Note(_) => None,
    })
}

fn failed() -> Failure {
    Failure::of(Reason::VendorError)
}

/// A result of a line that is not the Open.
fn line(scene: &Scene, result: DeliveryResult) -> Input {
    Input::Delivery { participant: scene.agent_no(), seq: Seq(u64::MAX), result }
}

/// The agent's session is stuck at `seq`.
fn skips(scene: &Scene, seq: Seq) -> Input {
    operator(OperatorAct::Skips { participant: scene.agent_no(), seq })
}

fn call(scene: &Scene, call: Call) -> Input {
    let id = scene.id(RequestKind::AgentMode, Epoch(1), Seq(1));
    Input::Callback { integration: DESK.into(), id, call }
}

fn deadlines() -> String {
    let settings = Deadlines::default();
    let drains = crate::app::AgentSystem { drain_ms: 3_000, ..crate::app::AgentSystem::default() };
    let stages = [Stage::Requested, Stage::Opening, Stage::Waiting, Stage::Talking, Stage::Closing];
    let rows = stages.into_iter().map(|stage| {
        let then = match overdue(stage) {
            Overdue::OpenFirstRung => "what is still held is given up, and the first rung opens",
            Overdue::Unreachable => "the rung fails: Unreachable",
            Overdue::QueueTimeout => "the rung fails: QueueTimeout",
            Overdue::Idle => "ended: Idle (every line from either side starts the clock anew)",
            Overdue::Drained => "ended as the agent ended it; the bot gets what the customer said meanwhile",
        };
        let agent = (stage == Stage::Closing).then_some(&drains);
        let lasts = deadline(&settings, agent, stage, Time(0)).0;
        vec![Place::In(stage).name().to_owned(), human(lasts), then.to_owned()]
    });
    let held = vec![
        "a held line".to_owned(),
        human(i64::try_from(settings.hold_ms).unwrap_or(i64::MAX)),
        "pass (the default), or drop it and tell the customer".to_owned(),
    ];
    table(&["stage", "lasts at most", "then"], rows.chain([held]))
}

fn human(ms: i64) -> String {
    if ms % 60_000 == 0 { format!("{} min", ms / 60_000) } else { format!("{} s", ms / 1_000) }
}
