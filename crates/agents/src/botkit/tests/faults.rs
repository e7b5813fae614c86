//! Every scripted fault, and what the client makes of it.

use interline_connector::Failure;
use interline_connector::simulator::{Fault, Rule};

use super::*;
use crate::botkit::simulator::{Behaviour, EXPIRED_TOKEN, FOREIGN_TOKEN, HOLD, NO_EXP};

fn on(event: &str, fault: Fault) -> Vec<Rule> {
    vec![Rule { on: Some(event.into()), times: None, fault }]
}

fn special(name: &str) -> Fault {
    Fault::Special { name: name.into() }
}

/// An Open, a held line and an agent-mode line under the same fault.
async fn struck(world: &World, fault: Fault) -> [Result<(), Failure>; 3] {
    let open = world.item(Speaker::System, Role::Agent, Body::Open);
    let held = world.line(Speaker::Customer, Role::Interceptor, "to the bot");
    let mode = world.line(Speaker::Customer, Role::Agent, "to the agent");
    world.sim.desk().faults().set(vec![Rule { on: None, times: None, fault }]);
    let mut results = Vec::new();
    for item in [open, held, mode] {
        results.push(world.agent.deliver(&item, None).await.map(|_| ()));
    }
    results.try_into().expect("three")
}

fn reason(failure: &Failure) -> (&'static str, Reason, String) {
    let variant = match failure {
        Failure::Retry { .. } => "retry",
        Failure::Uncertain(_) => "uncertain",
        Failure::Refused(_) => "refused",
        Failure::Gone(_) => "gone",
        Failure::Unauthorized(_) => "unauthorized",
        Failure::Bug(_) => "bug",
    };
    (variant, failure.cause().reason, failure.cause().code.clone())
}

#[tokio::test]
async fn every_status_is_a_decision() {
    use Reason::*;
    let world = World::new().await;
    let http = "INTERNAL_SERVER_ERROR";
    for (status, why, open, held, mode) in [
        (500, VendorError, "refused", "refused", "uncertain"),
        (503, VendorError, "refused", "refused", "uncertain"),
        (400, BadRequest, "refused", "refused", "refused"),
        (404, Unconfigured, "refused", "refused", "refused"),
        (302, Unconfigured, "refused", "refused", "refused"),
        (429, RateLimited, "retry", "retry", "retry"),
    ] {
        let fault = Fault::ErrorBefore { status, retry_after: None };
        let results = struck(&world, fault).await.map(|result| reason(&result.expect_err("a failure")));
        let code = format!("HTTP {status} {http}");
        assert_eq!(results, [open, held, mode].map(|variant| (variant, why, code.clone())), "{status}");
    }
    let results = struck(&world, Fault::ErrorBefore { status: 401, retry_after: None }).await;
    for (variant, result) in ["refused", "unauthorized", "unauthorized"].into_iter().zip(results) {
        let failure = result.expect_err("a failure");
        assert_eq!(reason(&failure), (variant, Unauthorized, "HTTP 401 4002".into()));
    }
    let results = struck(&world, Fault::ErrorBefore { status: 503, retry_after: Some(3) }).await;
    for result in results {
        assert!(matches!(result, Err(Failure::Retry { after_ms: Some(3000), .. })), "{result:?}");
    }
}

#[tokio::test]
async fn a_500_after_the_effect_does_not_repeat_it() {
    let world = World::new().await;
    let [open, held, mode] = struck(&world, Fault::ErrorAfter { status: 500 }).await;
    assert!(matches!((open, held), (Err(Failure::Refused(_)), Err(Failure::Refused(_)))));
    assert!(matches!(mode, Err(Failure::Uncertain(_))));
    assert!(!world.platform.calls().is_empty());
}

#[tokio::test]
async fn garbage_with_200_is_a_success() {
    let world = World::new().await;
    assert_eq!(struck(&world, Fault::Garbage).await, [Ok(()), Ok(()), Ok(())]);
}

#[tokio::test]
async fn a_connection_closed_after_the_effect_is_uncertain() {
    let world = World::new().await;
    for result in struck(&world, Fault::DropAfter).await {
        assert!(matches!(result, Err(Failure::Uncertain(_))), "{result:?}");
    }
    let calls = world.platform.calls();
    assert!(calls.contains(&Call::SendBotMessage(Text::plain("to the bot"))), "it had its effect: {calls:?}");
}

#[tokio::test]
async fn what_may_have_arrived_on_a_used_connection_is_not_sent_again() {
    let world = World::new().await;
    for n in 0..3 {
        let line = world.line(Speaker::Customer, Role::Interceptor, &format!("line {n}"));
        world.agent.deliver(&line, None).await.expect("delivered");
        world.sim.desk().faults().set(vec![Rule { on: None, times: Some(1), fault: Fault::DropAfter }]);
        let line = world.line(Speaker::Customer, Role::Interceptor, &format!("lost {n}"));
        let result = world.agent.deliver(&line, None).await.map(|_| ());
        assert!(matches!(result, Err(Failure::Uncertain(_))), "{result:?}");
    }
    assert_eq!(world.platform.calls().len(), 6, "each once");
}

#[tokio::test]
async fn a_botkit_that_never_answers() {
    let world = World::with(Algorithm::HS256, "", json!({ "answer_timeout_ms": 3_000 })).await;
    let begun = std::time::Instant::now();
    let [open, held, mode] = struck(&world, Fault::NeverAnswer).await;
    // A transfer needs an answer; lines count as delivered after two seconds.
    assert!(matches!(open, Err(Failure::Uncertain(_))), "{open:?}");
    assert_eq!((held, mode), (Ok(()), Ok(())));
    assert!((6.5..9.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_botkit_that_is_not_there_is_tried_again() {
    let agent =
        agent("http://127.0.0.1:9", "http://127.0.0.1:1/", Algorithm::HS256, json!({})).expect("an agent");
    let item = item(1, Speaker::Customer, Role::Agent, Body::Text(Text::plain("hello")));
    let result = agent.deliver(&item, None).await.map(|_| ());
    assert!(matches!(result, Err(Failure::Retry { .. })), "{result:?}");
}

#[tokio::test]
async fn latency_is_waited_for() {
    let world = World::new().await;
    world.sim.desk().faults().set(on("on_agent_transfer", Fault::Latency { ms: 2_500 }));
    let (_, chat) = world.transfer().await;
    assert!(!chat.is_empty());
}

#[tokio::test]
async fn a_botkit_that_holds_forever_says_nothing() {
    let world = World::new().await;
    world.sim.desk().faults().set(on("on_user_message", special(HOLD)));
    let item = world.line(Speaker::Customer, Role::Interceptor, "hello");
    world.agent.deliver(&item, None).await.expect("delivered");
    assert_eq!(world.platform.calls(), []);
}

#[tokio::test]
async fn called_back_twice_and_closed_twice() {
    let world = World::new().await;
    world.sim.desk().faults().set(on("sendBotMessage", Fault::Twice));
    let item = world.line(Speaker::Customer, Role::Interceptor, "hello");
    world.agent.deliver(&item, None).await.expect("delivered");
    let call = Call::SendBotMessage(Text::plain("hello"));
    assert_eq!(world.platform.calls(), [call.clone(), call]);

    let (_, chat) = world.transfer().await;
    world.sim.desk().faults().set(on("clearAgentSession", Fault::Twice));
    world.sim.end(&chat).await.expect("ended");
    let closed = world.platform.heard().into_iter().filter(|(_, call)| *call == Call::ClearAgentSession);
    assert_eq!(closed.count(), 2);
    assert!(world.platform.seen().iter().all(|seen| seen.status == 200));
}

#[tokio::test]
async fn calls_overtake_each_other() {
    let world = World::new().await;
    world.sim.desk().faults().set(on("sendUserMessage", Fault::Late { ms: 200 }));
    world.transfer().await;
    let calls = world.platform.calls();
    assert!(matches!(calls.as_slice(), [Call::StartAgentSession, Call::SendUserMessage(_)]), "{calls:?}");
    assert!(world.agent.describe().drain_ms > 0, "last words behind the end are still heard");
}

#[tokio::test]
async fn tokens_that_prove_nothing_are_401() {
    for fault in
        [Fault::Forged, Fault::Unsigned, special(EXPIRED_TOKEN), special(FOREIGN_TOKEN), special(NO_EXP)]
    {
        let world = World::new().await;
        let (_, chat) = world.transfer().await;
        let before = world.platform.calls().len();
        world.sim.desk().faults().set(on("sendUserMessage", fault.clone()));
        assert!(world.sim.say(&chat, "hello").await.is_err(), "{fault:?}");
        assert!(lines(&world.sim, &chat).pop().is_some_and(|line| line.failed.is_some()));
        assert_eq!(world.platform.calls().len(), before);
        assert_eq!(world.platform.seen().pop().map(|seen| seen.status), Some(401), "{fault:?}");
    }
}

#[tokio::test]
async fn tokens_without_exp_are_taken_when_allowed() {
    let world = World::with(Algorithm::HS256, "", json!({ "accept_tokens_without_exp": true })).await;
    world.sim.desk().faults().set(vec![Rule { on: None, times: None, fault: special(NO_EXP) }]);
    let (_, chat) = world.transfer().await;
    world.sim.say(&chat, "hello").await.expect("said");
}

#[tokio::test]
async fn our_own_refusal_comes_back_as_a_500_and_is_not_sent_again() {
    let world = World::new().await;
    *world.platform.refuse_with.lock().expect("lock") = Some(500);
    let item = world.line(Speaker::Bot, Role::Interceptor, "hello");
    let result = world.agent.deliver(&item, None).await.map(|_| ());
    let failure = result.expect_err("a failure");
    assert_eq!(reason(&failure).0, "refused");
    assert_eq!(world.platform.seen().len(), 1);
}

#[tokio::test]
async fn a_botkit_that_answers_before_it_calls() {
    let world = World::new().await;
    world.sim.set_behaviour(Behaviour { answer_at_once: true, ..Behaviour::default() });
    let item = world.line(Speaker::Customer, Role::Interceptor, "hello");
    world.agent.deliver(&item, None).await.expect("delivered");
    eventually(|| (!world.platform.calls().is_empty()).then_some(())).await;
}
