//! What goes wrong on the way: nothing is lost, nothing is said twice, order stays.

use interline_connector::Failure;

use super::*;

/// What a line meets, and that it arrives once all the same.
async fn arrives_once(fault: Fault, times: u32) {
    let world = World::new().await;
    let chat = world.talking().await;
    world.fault(world.points().say, times, fault);
    for line in ["one", "two", "three"] {
        world.say(line);
    }
    world.until_words(&chat, &["one", "two", "three"]).await;
    let last = world.say("four");
    world.engine.settled(last).await.expect("said");
    assert_eq!(world.chat(&chat).customer_words(), ["one", "two", "three", "four"]);
}

#[tokio::test]
async fn errors_before_and_after_the_effect() {
    tokio::join!(
        arrives_once(Fault::ErrorBefore { status: 500, retry_after: None }, 1),
        arrives_once(Fault::ErrorBefore { status: 503, retry_after: Some(1) }, 1),
        arrives_once(Fault::ErrorAfter { status: 500 }, 2),
        arrives_once(Fault::DropAfter, 2),
        arrives_once(Fault::Garbage, 1),
    );
}

#[tokio::test]
async fn a_look_up_that_fails_is_no_reason_to_say_it_again() {
    let world = World::new().await;
    world.fault(Some("/entries"), 1, Fault::ErrorBefore { status: 500, retry_after: None });
    let chat = world.talking().await;
    world.fault(world.points().say, 1, Fault::DropAfter);
    let seq = world.say("once");
    world.engine.settled(seq).await.expect("said");
    assert_eq!(world.chat(&chat).customer_words(), ["once"]);
    assert_eq!(world.calls("/message").len(), 1);
}

#[tokio::test]
async fn a_refused_line_does_not_end_the_chat() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.fault(world.points().say, 1, Fault::ErrorBefore { status: 400, retry_after: None });
    let refused = world.say("no");
    world.say("yes");
    world.until_words(&chat, &["yes"]).await;
    assert!(matches!(world.engine.settled(refused).await, Err(Failure::Refused(_))));
}

#[tokio::test]
async fn a_token_taken_for_anothers_is_continued_once() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.fault(world.points().say, 1, Fault::ErrorBefore { status: 403, retry_after: None });
    world.say("hello");
    world.until_words(&chat, &["hello"]).await;
    assert_eq!(world.calls("/continuation-access-token").len(), 1);

    world.fault(world.points().say, 2, Fault::ErrorBefore { status: 403, retry_after: None });
    let seq = world.say("lost");
    assert!(matches!(world.engine.settled(seq).await, Err(Failure::Gone(_))));
    assert_eq!(world.calls("/continuation-access-token").len(), 2);
}

#[tokio::test]
async fn a_creation_that_goes_wrong_makes_one_conversation() {
    for fault in [
        Fault::ErrorBefore { status: 500, retry_after: None },
        Fault::ErrorAfter { status: 500 },
        Fault::DropAfter,
    ] {
        let world = World::new().await;
        world.fault(world.points().open, 1, fault.clone());
        let chat = world.talking().await;
        world.say("hello");
        world.until_words(&chat, &["hello"]).await;
        assert_eq!(world.desk().chats().len(), 1, "{fault:?}");
        assert_eq!(world.calls("/access-token").len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_start_that_is_given_up_after_a_lost_answer_is_closed() {
    let world = World::new().await;
    world.fault(world.points().open, 1, Fault::DropAfter);
    world.fault(
        Some("GET /iamessage/api/v2/conversation/"),
        1_000,
        Fault::ErrorBefore { status: 500, retry_after: None },
    );
    let chat = world.waiting().await;
    eventually(|| (world.calls("GET /iamessage/api/v2/conversation/").len() > 1).then_some(())).await;
    // The engine gives the hand-over up: in the place of the Open it hands out the Close.
    world.engine.replace_by(world.item(
        Speaker::System,
        Body::Close { participant: ParticipantNo(2), outcome: Outcome::CustomerEnded },
    ));
    world.until_over(&chat).await;
}

#[tokio::test]
async fn wrong_settings_are_refused_at_once() {
    for (setting, value) in [("organization_id", "00DSim000000002"), ("developer_name", "Other")] {
        let world = World::with(Org::roomy(), json!({ setting: value })).await;
        let seq = world.give(world.opening());
        let failure = world.engine.settled(seq).await.expect_err("refused");
        assert!(matches!(&failure, Failure::Refused(cause) if cause.reason == Reason::Unauthorized));
    }
}

#[tokio::test]
async fn what_is_told_twice_is_said_once_and_what_is_late_is_said() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.fault(world.points().said, 1, Fault::Twice);
    world.act(&chat, Act::say("one")).await;
    world.fault(world.points().said, 1, Fault::Late { ms: 50 });
    world.act(&chat, Act::say("late")).await;
    world.act(&chat, Act::say("two")).await;
    world.until_spoken(&["one", "two", "late"]).await;
}

// ── the stream ───────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_stream_that_is_cut_goes_on_behind_the_last_event() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.act(&chat, Act::say("one")).await;
    world.until_spoken(&["one"]).await;
    world.fault(world.points().stream, 1, Fault::Kill);
    for line in ["two", "three"] {
        world.act(&chat, Act::say(line)).await;
    }
    world.until_spoken(&["one", "two", "three"]).await;
    let resumed = world.calls("/eventrouter/v1/sse").pop().expect("a call");
    let after =
        resumed.headers.iter().find(|(name, _)| name == "last-event-id").map(|(_, value)| value.clone());
    assert_ne!(after.as_deref(), Some("0"));
    world.say("both ways");
    world.until_words(&chat, &["both ways"]).await;
}

#[tokio::test]
async fn what_a_stream_lost_is_in_the_list() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.fault(world.points().said, 1, Fault::Lose);
    world.act(&chat, Act::say("lost on the way")).await;
    world.sim.cut_streams();
    world.until_spoken(&["lost on the way"]).await;
}

#[tokio::test]
async fn a_long_gap_is_read_page_by_page() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.fault(world.points().said, 200, Fault::Lose);
    let lines: Vec<String> = (0..120).map(|n| format!("line {n}")).collect();
    for line in &lines {
        // The list is read on from a moment: not all of it may be one.
        world.desk().clock().advance(1);
        world.act(&chat, Act::say(line)).await;
    }
    world.sim.cut_streams();
    let words: Vec<&str> = lines.iter().map(String::as_str).collect();
    world.until_spoken(&words).await;
}

#[tokio::test]
async fn an_end_that_the_stream_lost_is_found() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.fault(Some("PARTICIPANT_CHANGED"), 1, Fault::Lose);
    world.fault(world.points().ended, 1, Fault::Lose);
    world.act(&chat, Act::End).await;
    world.sim.cut_streams();
    world.until_heard(|event| *event == AgentEvent::Ended { tag: None }).await;
    eventually(|| (world.calls("DELETE ").len() == 1).then_some(())).await;
}

// ── our restart ──────────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.say("before");
    world.until_words(&chat, &["before"]).await;
    world.engine.restart(None);
    world.act(&chat, Act::say("meanwhile")).await;
    world.until_spoken(&["meanwhile"]).await;
    world.say("after");
    world.until_words(&chat, &["before", "after"]).await;
    assert_eq!((world.desk().chats().len(), world.calls("/access-token").len()), (1, 1));
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_delivery_says_nothing_twice() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.fault(world.points().say, 1, Fault::NeverAnswer);
    world.say("once");
    world.until_words(&chat, &["once"]).await;
    world.engine.restart(None);
    world.say("then this");
    world.until_words(&chat, &["once", "then this"]).await;
}

#[tokio::test]
async fn a_restart_in_the_middle_of_the_opening_makes_one_conversation() {
    let world = World::new().await;
    world.fault(world.points().open, 1, Fault::NeverAnswer);
    let chat = world.waiting().await;
    world.engine.restart(None);
    world.act(&chat, Act::Accept { agent: None }).await;
    world.say("hello");
    world.until_words(&chat, &["hello"]).await;
    assert_eq!(world.desk().chats().len(), 1);

    // Prepared and never made: it begins anew.
    let world = World::new().await;
    world.fault(world.points().open, 1, Fault::Latency { ms: 60_000 });
    world.give(world.opening());
    eventually(|| world.engine.session()).await;
    world.engine.restart(None);
    eventually(|| (world.desk().chats().len() == 1).then_some(())).await;
}

#[tokio::test]
async fn a_conversation_that_is_gone_is_lost() {
    let world = World::new().await;
    world.talking().await;
    let mut session = world.engine.session().expect("a session");
    session["conversation"] = "11111111-2222-4333-8444-555555555555".into();
    world.engine.set_session(session);
    world.engine.restart(None);
    let seq = world.say("hello?");
    assert!(matches!(world.engine.settled(seq).await, Err(Failure::Gone(_))));
}
