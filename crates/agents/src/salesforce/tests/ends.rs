//! How a hand-over ends, by whom, and what is done about it at the org.

use super::*;
use interline_connector::simulator::OUTSIDE_HOURS;
use interline_connector::{Failure, RunEnd};

const ENDED: AgentEvent = AgentEvent::Ended { tag: None };

#[tokio::test]
async fn when_the_agent_ends_the_conversation_is_closed_too() {
    for talking in [true, false] {
        let world = World::new().await;
        let chat = if talking { world.talking().await } else { world.waiting().await };
        world.act(&chat, Act::End).await;
        world.until_heard(|event| *event == ENDED).await;
        eventually(|| (world.calls("DELETE ").len() == 1).then_some(())).await;
        // What the customer says now begins no new session.
        let seq = world.say("are you still there?");
        assert!(matches!(world.engine.settled(seq).await, Err(Failure::Gone(_))));
        assert_eq!(world.chat(&chat).customer_words(), [""; 0]);
        assert_eq!(world.calls("DELETE ")[0].status, 204);
        let ends = world.engine.heard().into_iter().filter(|event| *event == ENDED).count();
        assert_eq!(ends, 1, "both the agent's leaving and the session's end are told, once");
    }
}

#[tokio::test]
async fn when_the_customer_ends_the_agent_sees_it() {
    for (talking, outcome) in
        [(true, Outcome::CustomerEnded), (false, Outcome::CustomerEnded), (true, Outcome::OperatorEnded)]
    {
        let world = World::new().await;
        let chat = if talking { world.talking().await } else { world.waiting().await };
        let seq = world.close(outcome);
        world.engine.over();
        assert!(world.engine.settled(seq).await.is_ok());
        world.until_over(&chat).await;
        eventually(|| (world.engine.runs() == [RunEnd::Over]).then_some(())).await;
        assert!(!world.engine.heard().contains(&ENDED), "it is no end of the agent's");
        assert_eq!(world.calls("DELETE ").len(), 1);
    }
}

#[tokio::test]
async fn an_end_that_goes_wrong_is_tried_again() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.fault(world.points().close, 1, Fault::ErrorBefore { status: 503, retry_after: None });
    let seq = world.close(Outcome::CustomerEnded);
    assert!(world.engine.settled(seq).await.is_ok());
    world.until_over(&chat).await;

    // The agent's end too: at the latest when our part is over.
    let world = World::new().await;
    let chat = world.talking().await;
    world.fault(world.points().close, 1, Fault::ErrorBefore { status: 503, retry_after: None });
    world.act(&chat, Act::End).await;
    world.until_heard(|event| *event == ENDED).await;
    world.engine.over();
    eventually(|| (world.engine.runs() == [RunEnd::Over]).then_some(())).await;
    let statuses: Vec<_> = world.calls("DELETE ").iter().map(|call| call.status).collect();
    assert_eq!(statuses, [503, 204]);
}

#[tokio::test]
async fn last_words_that_come_after_the_end_are_heard() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.fault(world.points().said, 1, Fault::Late { ms: 100 });
    world.act(&chat, Act::say("good-bye")).await;
    world.act(&chat, Act::End).await;
    world.until_spoken(&["good-bye"]).await;
    let heard = world.engine.heard();
    assert_eq!(heard.iter().filter(|event| **event == ENDED).count(), 1);
    assert!(matches!(heard.last(), Some(AgentEvent::Said { .. })));
}

#[tokio::test]
async fn nobody_is_there() {
    let world = World::new().await;
    let chat = world.waiting().await;
    world.act(&chat, Act::Decline).await;
    let failed = world.until_heard(|event| matches!(event, AgentEvent::Failed(_))).await;
    assert!(matches!(failed, AgentEvent::Failed(failure) if failure.reason == Reason::NoAgents));
    // The engine answers with a Close: the conversation does not stay open.
    world.close(Outcome::CustomerEnded);
    eventually(|| (world.calls("DELETE ").len() == 1).then_some(())).await;
}

#[tokio::test]
async fn outside_hours_is_what_the_flow_says() {
    let outside = Fault::Special { name: OUTSIDE_HOURS.into() };
    let world = World::new().await;
    world.fault(Some(OUTSIDE_HOURS), 1, outside.clone());
    world.give(world.opening());
    let failed = world.until_heard(|event| matches!(event, AgentEvent::Failed(_))).await;
    assert!(matches!(failed, AgentEvent::Failed(failure) if failure.reason == Reason::OutsideHours));
    assert!(!world.engine.heard().contains(&ENDED) && world.spoken().is_empty());

    // Without the words it is a bot that says something and ends.
    let world = World::with(Org::roomy(), json!({ "outside_hours_words": [] })).await;
    world.fault(Some(OUTSIDE_HOURS), 1, outside);
    world.give(world.opening());
    world.until_heard(|event| *event == ENDED).await;
    assert_eq!(world.spoken(), ["Thank you for writing. We are outside our working hours."]);
}

#[tokio::test]
async fn once_an_agent_talked_a_bots_words_refuse_nobody() {
    let world = World::with(Org::roomy(), json!({ "no_agents_words": ["nobody is there"] })).await;
    let chat = world.talking().await;
    let payload =
        json!({ "abstractMessage": { "id": "b1", "staticContent": { "text": "Nobody is there?" } } });
    let data = json!({ "conversationId": chat, "conversationEntry": {
        "identifier": "b1", "entryType": "Message", "sender": { "role": "Chatbot" },
        "entryPayload": payload.to_string(), "transcriptedTimestamp": now_ms(),
    }});
    world.sim.tell_raw(&chat, "CONVERSATION_MESSAGE", &data.to_string());
    world.until_spoken(&["Nobody is there?"]).await;
}

#[tokio::test]
async fn inactive_is_no_end() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.sim.marks_inactive(&chat);
    world.act(&chat, Act::say("are you there?")).await;
    world.until_spoken(&["are you there?"]).await;
    assert!(!world.engine.heard().contains(&ENDED));
}

#[tokio::test]
async fn what_is_over_before_it_began_makes_nothing() {
    let world = World::new().await;
    let seq = world.close(Outcome::CustomerEnded);
    assert!(world.engine.settled(seq).await.is_ok());
    assert!(world.desk().log().all().is_empty());
}

// ── the token runs out ───────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn a_token_that_is_refused_ends_the_hand_over() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.desk().clock().advance(7 * 3_600_000);
    let seq = world.say("anybody?");
    let failure = world.engine.settled(seq).await.expect_err("refused");
    assert!(matches!(&failure, Failure::Gone(cause) if cause.reason == Reason::AgentLost), "{failure:?}");
    assert_eq!(world.chat(&chat).customer_words(), [""; 0]);
    assert_eq!(world.calls("/access-token").len(), 1, "another one would be another customer");
}

#[tokio::test]
async fn a_stream_that_is_refused_ends_the_hand_over() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.desk().clock().advance(7 * 3_600_000);
    world.act(&chat, Act::say("nobody hears that")).await;
    let failed = world.until_heard(|event| matches!(event, AgentEvent::Failed(_))).await;
    assert!(matches!(failed, AgentEvent::Failed(failure) if failure.reason == Reason::AgentLost));
    // What is left for us is settled without a stream.
    let seq = world.close(Outcome::CustomerEnded);
    assert!(world.engine.settled(seq).await.is_ok());
    assert!(world.spoken().is_empty());
}

/// The session goes on, and its token is good for so many seconds.
fn runs_out_in(world: &World, seconds: i64) {
    let mut session = world.engine.session().expect("a session");
    session["exp"] = (now_ms() / 1_000 + seconds).into();
    world.engine.set_session(session);
    world.engine.restart(None);
}

#[tokio::test]
async fn the_customer_is_warned_in_time() {
    let world = World::with(Org::roomy(), json!({ "expiry_notice": "Five more minutes." })).await;
    let chat = world.talking().await;
    runs_out_in(&world, 300);
    world.until_spoken(&["Five more minutes."]).await;
    world.say("still here");
    world.until_words(&chat, &["still here"]).await;
    // Once is enough, also after a restart.
    runs_out_in(&world, 290);
    world.act(&chat, Act::say("I hurry")).await;
    world.until_spoken(&["Five more minutes.", "I hurry"]).await;
}

#[tokio::test]
async fn the_conversation_is_closed_while_the_token_is_good() {
    let world = World::with(Org::roomy(), json!({ "expiry_notice": "" })).await;
    let chat = world.talking().await;
    runs_out_in(&world, 30);
    let failed = world.until_heard(|event| matches!(event, AgentEvent::Failed(_))).await;
    assert!(matches!(failed, AgentEvent::Failed(failure) if failure.reason == Reason::AgentLost));
    world.until_over(&chat).await;
    assert_eq!(world.calls("DELETE ")[0].status, 204);
    let seq = world.say("too late");
    assert!(matches!(world.engine.settled(seq).await, Err(Failure::Gone(_))));
    assert!(world.spoken().is_empty());
}
