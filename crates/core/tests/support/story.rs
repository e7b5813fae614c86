//! What happens, in which order, how late and how often. Simple things come first in every choice, so that a failing
//! story shrinks to few and simple happenings.

use std::fmt;

use interline_core::App;
use interline_core::conversation::classify::Call;
use interline_core::conversation::entry::Text;
use interline_core::conversation::input::{AgentEvent, DeliveryResult, Scope};
use interline_core::conversation::request_id::RequestKind;
use interline_core::transfer::{Failure, Reason};
use proptest::prelude::*;

use super::app::any_app;

/// An app and what happens to one of its conversations.
#[derive(Clone)]
pub struct Story {
    pub app: App,
    pub happenings: Vec<Happening>,
}

/// Short: the app as its operator would write it, one happening a line.
impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", serde_json::to_string(&self.app).unwrap())?;
        self.happenings.iter().try_for_each(|happening| writeln!(f, "  {happening:?}"))
    }
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub struct Happening {
    pub what: What,
    /// So many other things happen before we learn of it.
    pub delay: usize,
    /// We learn of it again, so many things later.
    pub again: Option<usize>,
}

#[derive(Debug, Clone)]
pub enum What {
    /// Everybody is delivered all that is ready.
    DeliverAll,
    /// The customer opens the chat.
    Connect,
    /// The customer says something.
    Say(Text),
    /// The customer says it so many times.
    SayOften(usize, Text),
    /// The clock goes on to the next deadline.
    Wake,
    /// The clock goes on.
    Wait(u64),
    /// An agent system tells something. `who` counts back from the newest participant.
    Agent {
        who: u32,
        event: AgentEvent,
    },
    /// A BotKit calls back. `id` counts back from the newest id.
    Call {
        id: usize,
        twist: Twist,
        call: Call,
    },
    /// One entry is delivered to one participant, with a result.
    Deliver {
        who: u32,
        how: How,
    },
    /// A result that no delivery had.
    Result {
        who: u32,
        seq: u64,
        result: DeliveryResult,
    },
    /// A tick that nobody asked for.
    Tick,
    CustomerEnds(Scope),
    Operator(Does),
    /// The agent system at this place of the app is deleted while it is in use, or is set up again.
    Retire(usize),
}

/// What an operator does. `who` counts back from the newest participant.
#[derive(Debug, Clone)]
pub enum Does {
    Ends(Scope),
    Retries,
    Says(Text),
    /// The next entry of this participant is passed by.
    SkipsNext(u32),
    /// An entry that this participant may not be at.
    Skips(u32, u64),
    Drops(u32),
}

/// How a delivery goes.
#[derive(Debug, Clone)]
pub enum How {
    Fine,
    /// Delivered, and the result is never learned.
    Silent,
    Refused(Failure),
    Unconfirmed(Failure),
    Stalled(Failure),
    Gone(Failure),
}

/// An id that is not quite the one that was given out.
#[derive(Debug, Clone)]
pub enum Twist {
    None,
    Epoch(u64),
    Seq(u64),
    Kind(RequestKind),
    Participant(u32),
}

/// Any story over any app.
pub fn any_story() -> impl Strategy<Value = Story> {
    story(any_app(), words(), 80)
}

/// Any story in which people write as much as the edge lets through, in letters that JSON must escape.
pub fn wordy_story() -> impl Strategy<Value = Story> {
    let words = prop_oneof![
        2 => words(),
        1 => Just("x".repeat(4096)),
        2 => Just("\u{1}".repeat(4096)),
        1 => Just("\"\\\n".repeat(1365)),
        1 => Just("日".repeat(1365)),
    ];
    story(any_app(), words, 90)
}

pub fn story<W>(app: impl Strategy<Value = App>, words: W, length: usize) -> impl Strategy<Value = Story>
where
    W: Strategy<Value = String> + Clone + 'static,
{
    (app, prop::collection::vec(happening(words), 0..length))
        .prop_map(|(app, happenings)| Story { app, happenings })
}

fn words() -> impl Strategy<Value = String> + Clone + 'static {
    prop_oneof![
        16 => Just("agent".to_owned()),
        12 => Just("hi".to_owned()),
        8 => Just("other".to_owned()),
        2 => Just(String::new()),
        1 => Just("bye".to_owned()),
    ]
}

fn happening<W: Strategy<Value = String> + Clone + 'static>(words: W) -> impl Strategy<Value = Happening> {
    let late = prop_oneof![4 => Just(0_usize), 1 => 1..8_usize];
    let again = prop::option::weighted(0.15, 0..10_usize);
    (what(words), late, again).prop_map(|(what, delay, again)| Happening { what, delay, again })
}

fn what<W: Strategy<Value = String> + Clone + 'static>(words: W) -> impl Strategy<Value = What> {
    let text = words.prop_map(Text::plain).boxed();
    let says = text.clone();
    prop_oneof![
        8 => Just(What::DeliverAll),
        2 => Just(What::Connect),
        10 => text.clone().prop_map(What::Say),
        1 => (2..22_usize, text.clone()).prop_map(|(times, text)| What::SayOften(times, text)),
        3 => Just(What::Wake),
        3 => (0..20_000_u64).prop_map(What::Wait),
        8 => (back(), agent_event(text.clone())).prop_map(|(who, event)| What::Agent { who, event }),
        9 => (0..6_usize, twist(), call(text)).prop_map(|(id, twist, call)| What::Call { id, twist, call }),
        6 => (back(), how()).prop_map(|(who, how)| What::Deliver { who, how }),
        2 => (back(), 0..40_u64, result()).prop_map(|(who, seq, result)| What::Result { who, seq, result }),
        1 => Just(What::Tick),
        1 => prop_oneof![9 => Just(Scope::AgentChat), 1 => Just(Scope::Conversation)].prop_map(What::CustomerEnds),
        4 => does(says).prop_map(What::Operator),
        2 => (0..3_usize).prop_map(What::Retire),
    ]
}

fn does(text: BoxedStrategy<Text>) -> impl Strategy<Value = Does> {
    prop_oneof![
        2 => prop_oneof![5 => Just(Scope::AgentChat), 1 => Just(Scope::Conversation)].prop_map(Does::Ends),
        6 => Just(Does::Retries),
        3 => text.prop_map(Does::Says),
        5 => back().prop_map(Does::SkipsNext),
        2 => (back(), 0..40_u64).prop_map(|(who, seq)| Does::Skips(who, seq)),
        2 => back().prop_map(Does::Drops),
    ]
}

fn back() -> impl Strategy<Value = u32> {
    prop_oneof![3 => Just(0_u32), 2 => 1..4_u32, 1 => 4..12_u32]
}

fn twist() -> impl Strategy<Value = Twist> {
    prop_oneof![
        8 => Just(Twist::None),
        1 => (0..8_u64).prop_map(Twist::Epoch),
        1 => (0..40_u64).prop_map(Twist::Seq),
        1 => prop::sample::select(RequestKind::ALL.to_vec()).prop_map(Twist::Kind),
        1 => (0..8_u32).prop_map(Twist::Participant),
    ]
}

fn call(text: BoxedStrategy<Text>) -> impl Strategy<Value = Call> {
    prop_oneof![
        12 => text.clone().prop_map(Call::SendUserMessage),
        12 => text.prop_map(Call::SendBotMessage),
        6 => Just(Call::SkipUserMessage),
        6 => Just(Call::SkipBotMessage),
        6 => Just(Call::StartAgentSession),
        6 => Just(Call::ClearAgentSession),
        1 => Just(Call::CloseConversation),
    ]
}

pub fn failure() -> impl Strategy<Value = Failure> {
    let reason = prop::sample::select(vec![
        Reason::NoAgents,
        Reason::OutsideHours,
        Reason::Declined,
        Reason::Unreachable,
        Reason::CallerLeft,
        Reason::VendorError,
    ]);
    (reason, prop::option::of(Just("500".to_owned()))).prop_map(|(reason, code)| Failure { reason, code })
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        6 => Just(How::Fine),
        1 => Just(How::Silent),
        2 => failure().prop_map(How::Refused),
        1 => failure().prop_map(How::Unconfirmed),
        1 => failure().prop_map(How::Stalled),
        1 => failure().prop_map(How::Gone),
    ]
}

pub fn result() -> impl Strategy<Value = DeliveryResult> {
    prop_oneof![
        Just(DeliveryResult::Accepted),
        failure().prop_map(DeliveryResult::Refused),
        failure().prop_map(DeliveryResult::Unconfirmed),
        failure().prop_map(DeliveryResult::Stalled),
        failure().prop_map(DeliveryResult::Gone),
    ]
}

fn agent_event(text: BoxedStrategy<Text>) -> impl Strategy<Value = AgentEvent> {
    // A vendor may call an agent anything.
    let any = text.clone().prop_map(|text| text.text);
    let name = prop::option::of(prop_oneof![4 => Just("Kim".to_owned()), 1 => any]).boxed();
    let tag = name.clone();
    prop_oneof![
        4 => (text, name.clone()).prop_map(|(text, name)| AgentEvent::Said { text, name }),
        4 => name.prop_map(|name| AgentEvent::Joined { name }),
        2 => prop::option::of(1..9_u32).prop_map(|position| AgentEvent::Queued { position }),
        3 => tag.prop_map(|tag| AgentEvent::Ended { tag }),
        2 => failure().prop_map(AgentEvent::Failed),
    ]
}
