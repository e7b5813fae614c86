//! Connect Support: a hand-over from its beginning to its end.

use interline_connector::simulator::{ChatState, Fault, OUTSIDE_HOURS};
use interline_connector::{Failure, RunEnd};
use interline_core::transfer::{Failure as Typed, Reason};

use super::link::Session;
use super::*;
use crate::servicenow::simulator::{Connect, Rule};

type Supporting = World<Connect>;

const ENDED: AgentEvent = AgentEvent::Ended { tag: None };

impl Supporting {
    async fn support(changes: Value) -> Self {
        Self::with(Connect::default(), &ServiceNowTokyo, changes).await
    }

    fn session(&self, document: Option<Value>) -> Session {
        Session::start(self.agent.clone(), self.platform.clone(), document)
    }

    async fn waiting(&self) -> (Session, Value, String) {
        let mut session = self.session(None);
        let done = session.tell(open()).await.expect("opened");
        (session, done.session.expect("a session document"), self.chat().await)
    }

    async fn served(&self) -> (Session, Value, String) {
        let (session, document, chat) = self.waiting().await;
        self.act(&chat, Act::Accept { agent: None }).await;
        self.platform.event(&joined("Agent One")).await;
        (session, document, chat)
    }
}

/// So long until it looks by itself: what comes sooner was told.
fn rarely() -> Value {
    json!({ "poll_ms": 60_000 })
}

#[tokio::test]
async fn an_agent_sees_all_that_travels_along_in_words() {
    let world = Supporting::support(json!({})).await;
    let (_session, document, chat) = world.waiting().await;
    assert_eq!(document, json!({ "group": chat, "conversation": CONVERSATION, "participant": 2 }));
    let chat = world.desk().chat(&chat).expect("the chat");
    assert_eq!(
        (chat.title.as_str(), chat.transcript.as_deref()),
        ("Ann Lee", Some("https://chat.example.com/t/token"))
    );
    for (name, value) in
        [("E-mail", "ann@example.com"), ("Language", "de"), ("Skills", "german, billing"), ("plan", "gold")]
    {
        assert_eq!(chat.told(name), Some(value), "{name}");
    }
    assert!(chat.told("message").is_some_and(|words| words.contains("- my laptop is broken")));
    assert_eq!(world.platform.events(), [AgentEvent::Queued { position: Some(1) }]);
}

#[tokio::test]
async fn words_go_both_ways_in_order() {
    let world = Supporting::support(rarely()).await;
    let (mut session, _, chat) = world.served().await;
    let words: Vec<String> = (0..100).map(|n| format!("line {n} <ü> & \"co\"")).collect();
    for (n, words) in (10..).zip(&words) {
        let done = session.tell(line(n, words)).await.expect("said");
        assert_eq!(done.remote_ids.len(), 1, "the instance's id of it");
        world.act(&chat, Act::say(words)).await;
    }
    let expected: Vec<&str> = words.iter().map(String::as_str).collect();
    world.shows(&chat, &expected).await;
    assert_eq!(world.platform.said(), words);
    assert!(world.platform.events().contains(&says(&words[0])), "the agent's name is looked up");
}

#[tokio::test]
async fn lines_while_queued_arrive_and_the_place_is_told() {
    let world = Supporting::support(json!({ "poll_ms": 500 })).await;
    // Somebody waits already.
    let other = world.session(None);
    let mut other = other;
    other.tell(open()).await.expect("opened");
    let (mut session, _, chat) = world.waiting().await;
    world.platform.event(&AgentEvent::Queued { position: Some(2) }).await;
    session.tell(line(5, "are you there?")).await.expect("said");
    world.shows(&chat, &["are you there?"]).await;
    let first = world.desk().chats()[0].id.clone();
    assert_eq!(world.platform.events().len(), 2);
    world.act(&first, Act::Decline).await;
    let moved = |all: &[Was]| {
        let firsts = all
            .iter()
            .filter(|was| matches!(was, Was::Event(_, AgentEvent::Queued { position: Some(1) }, _)));
        (firsts.count() == 2).then_some(())
    };
    world.platform.until(moved).await;
}

#[tokio::test]
async fn a_lost_call_is_made_up_for_by_asking() {
    let world = Supporting::support(json!({ "poll_ms": 500 })).await;
    let (_session, _, chat) = world.served().await;
    world.desk().faults().add("message", 2, Fault::Lose);
    world.act(&chat, Act::say("one")).await;
    world.act(&chat, Act::say("two")).await;
    world.platform.event(&says("two")).await;
    world.act(&chat, Act::say("three")).await;
    world.platform.event(&says("three")).await;
    assert_eq!(world.platform.said(), ["one", "two", "three"]);
}

#[tokio::test]
async fn echoes_broken_json_and_doubles_say_each_line_once() {
    let world = Supporting::support(rarely()).await;
    world.sim.rule(Rule { broken_json: true, echoes: true });
    let (mut session, _, chat) = world.served().await;
    session.tell(line(5, "my own \"words\"")).await.expect("said");
    world.desk().faults().add("message", 1, Fault::Twice);
    world.act(&chat, Act::say("She said \"hi\", and left")).await;
    for fault in [Fault::Forged, Fault::Unsigned] {
        world.desk().faults().add("message", 1, fault);
        assert!(world.sim.act(&chat, Act::say("not me")).await.is_err());
    }
    world.act(&chat, Act::say("a \\ and a <b>")).await;
    let said = world.platform.said();
    assert_eq!(said[0], "She said \"hi\", and left");
    assert_eq!(said[1..], ["a \\ and a <b>"], "neither ours nor somebody else's");
    assert_eq!(said.iter().filter(|it| it.starts_with("She")).count(), 1);
}

#[tokio::test]
async fn it_ends_by_either_side_waiting_or_talking() {
    for talking in [false, true] {
        let world = Supporting::support(rarely()).await;
        let (mut session, _, chat) = if talking { world.served().await } else { world.waiting().await };
        session.tell(close(9, Outcome::CustomerEnded)).await.expect("left");
        assert_eq!(world.desk().chat(&chat).map(|chat| chat.state), Some(ChatState::Over));
        assert_eq!(session.over().await, RunEnd::Over);

        let world = Supporting::support(rarely()).await;
        let (session, _, chat) = if talking { world.served().await } else { world.waiting().await };
        if talking {
            world.desk().faults().add("message", 1, Fault::Lose);
            world.act(&chat, Act::say("good-bye")).await;
        }
        world.act(&chat, Act::End).await;
        world.platform.event(&ENDED).await;
        // The end did not overtake the last words, though nobody told of them.
        assert_eq!(world.platform.events().last(), Some(&ENDED));
        assert_eq!(world.platform.said(), if talking { vec!["good-bye"] } else { Vec::new() });
        assert_eq!(session.over().await, RunEnd::Over);
    }
}

#[tokio::test]
async fn every_state_of_the_instance_means_something() {
    let abandoned = AgentEvent::Failed(Typed {
        reason: Reason::NoAgents,
        code: Some("state 8: closed abandoned".into()),
    });
    for (state, talking, expected) in [
        (3, true, ENDED),
        (4, true, ENDED),
        (7, true, ENDED),
        (8, true, ENDED),
        (8, false, abandoned),
        (4, false, ENDED),
    ] {
        let world = Supporting::support(json!({ "poll_ms": 500 })).await;
        let (_session, _, chat) = if talking { world.served().await } else { world.waiting().await };
        world.sim.put(&chat, state);
        world.platform.event(&expected).await;
    }
}

#[tokio::test]
async fn another_agent_joins_by_name() {
    let world = Supporting::support(rarely()).await;
    let (_session, _, chat) = world.served().await;
    world.act(&chat, Act::Transfer { to: "Robin".into() }).await;
    world.platform.event(&joined("Robin")).await;
    world.act(&chat, Act::say("hello")).await;
    let said = AgentEvent::Said { text: Text::plain("hello"), name: Some("Robin".into()) };
    world.platform.event(&said).await;
}

#[tokio::test]
async fn a_closed_queue_says_why() {
    for (name, reason) in [
        (OUTSIDE_HOURS, Reason::OutsideHours),
        ("no_agents", Reason::NoAgents),
        ("no_role", Reason::Unauthorized),
    ] {
        let world = Supporting::support(json!({})).await;
        world.desk().faults().add("", 1, Fault::Special { name: name.into() });
        let failure = world.session(None).tell(open()).await.expect_err("refused");
        assert!(matches!(&failure, Failure::Refused(cause) if cause.reason == reason), "{failure:?}");
    }
    let world = Supporting::support(json!({})).await;
    let mut elsewhere = open();
    elsewhere.participant.queue = Some("no/such queue?".into());
    let failure = world.session(None).tell(elsewhere).await.expect_err("refused");
    assert!(
        matches!(&failure, Failure::Refused(cause) if cause.reason == Reason::Unconfigured),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_chat_whose_name_is_not_known_is_given_up() {
    for fault in [Fault::DropAfter, Fault::ErrorAfter { status: 500 }, Fault::Garbage] {
        let world = Supporting::support(rarely()).await;
        world.desk().faults().add("/sessions", 1, fault);
        let mut session = world.session(None);
        let failure = session.tell(open()).await.expect_err("uncertain");
        assert!(matches!(failure, Failure::Uncertain(_)), "{failure:?}");
        world
            .platform
            .until(|all| {
                all.iter().find(|was| matches!(was, Was::Event(_, AgentEvent::Failed(_), _))).map(|_| ())
            })
            .await;
        session.tell(close(9, Outcome::OperatorEnded)).await.expect("nothing to say");
    }
    // A restart in the middle of it: the next entry finds no chat.
    let world = Supporting::support(rarely()).await;
    let failure = world.session(None).tell(line(5, "hello")).await.expect_err("nowhere");
    assert!(matches!(failure, Failure::Retry { .. }));
}

#[tokio::test]
async fn a_session_goes_on_from_its_document() {
    let world = Supporting::support(rarely()).await;
    let (session, document, chat) = world.served().await;
    drop(session);
    // Said while nobody listened: the call was answered, and meant nothing.
    world.act(&chat, Act::say("are you there?")).await;
    assert_eq!(world.platform.said(), Vec::<String>::new());
    let mut session = world.session(Some(document));
    session.tell(line(5, "yes")).await.expect("said");
    world.shows(&chat, &["yes"]).await;
    world.platform.event(&says("are you there?")).await;
    world.act(&chat, Act::say("good")).await;
    world.platform.event(&says("good")).await;
    let joins = world.platform.events().iter().filter(|it| matches!(it, AgentEvent::Joined { .. })).count();
    assert_eq!(joins, 1);
    // A document that is none of ours is as none.
    let failure = world.session(Some(json!({ "group": 7 }))).tell(line(6, "x")).await.expect_err("nowhere");
    assert!(matches!(failure, Failure::Retry { .. }));
}

#[tokio::test]
async fn what_an_answer_means() {
    let world = Supporting::support(rarely()).await;
    let (mut session, _, chat) = world.served().await;
    for (fault, expected) in [
        (Fault::ErrorBefore { status: 429, retry_after: None }, "retry"),
        (Fault::ErrorBefore { status: 400, retry_after: None }, "refused"),
        (Fault::ErrorBefore { status: 401, retry_after: None }, "unauthorized"),
        (Fault::ErrorBefore { status: 404, retry_after: None }, "gone"),
        (Fault::ErrorAfter { status: 500 }, "uncertain"),
        (Fault::DropAfter, "uncertain"),
        (Fault::Garbage, "uncertain"),
    ] {
        world.desk().faults().add("POST /api/now/connect/conversations", 2, fault.clone());
        let failure = session.tell(line(5, "hello")).await.expect_err("a fault");
        world.desk().faults().set(Vec::new());
        let got = match failure {
            Failure::Retry { .. } => "retry",
            Failure::Refused(_) => "refused",
            Failure::Unauthorized(_) => "unauthorized",
            Failure::Gone(_) => "gone",
            Failure::Uncertain(_) => "uncertain",
            Failure::Bug(_) => "bug",
        };
        assert_eq!(got, expected, "{fault:?}");
    }
    world.desk().clock().advance(2_000_000);
    session.tell(line(6, "a new token")).await.expect("said");
    world.shows(&chat, &["hello", "hello", "hello", "a new token"]).await;
}

#[tokio::test]
async fn files_are_links_in_words() {
    let world = Supporting::support(rarely()).await;
    let (mut session, _, chat) = world.served().await;
    let file = interline_core::File {
        id: "fil_1".into(),
        name: "a.pdf".into(),
        mime: "application/pdf".into(),
        size: 5,
        sha256: String::new(),
        warning: None,
    };
    let carried = interline_connector::Carried {
        file,
        page: "https://chat.example.com/f/page".parse().expect("a URL"),
        fetch: "https://chat.example.com/f/v/fetch".parse().expect("a URL"),
        fits: false,
        source: Default::default(),
    };
    let item = Item { files: vec![carried], ..line(5, "my papers") };
    session.tell(item).await.expect("said");
    world.shows(&chat, &["my papers\na.pdf (5 bytes): https://chat.example.com/f/page"]).await;
}

#[tokio::test]
async fn a_chat_that_the_instance_forgot_is_lost() {
    let world = Supporting::support(json!({ "poll_ms": 500 })).await;
    let document = json!({ "group": "nothing", "conversation": CONVERSATION, "participant": 2 });
    let _session = world.session(Some(document));
    let code = Some("the instance no longer knows the chat".into());
    world.platform.event(&AgentEvent::Failed(Typed { reason: Reason::AgentLost, code })).await;
}

#[tokio::test]
async fn asides_are_passed_over_and_entries_go_by_the_session() {
    let world = Supporting::support(rarely()).await;
    let failure = world.agent.deliver(&line(5, "hello"), None).await.expect_err("not here");
    assert!(matches!(failure, Failure::Bug(_)));
    let manifest = world.agent.manifest();
    assert!(manifest.resumes && !manifest.takes.typing && !manifest.takes.receipts);
}
