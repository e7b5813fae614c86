//! The vendor's limits are kept, not run into.

use super::*;
use interline_connector::Failure;

#[tokio::test]
async fn no_more_messages_a_minute_than_the_org_takes() {
    let org = Org { messages_per_minute: 22, ..Org::roomy() };
    let world = World::with(org, json!({ "messages_per_minute": 21 })).await;
    let chat = world.talking().await;
    let lines: Vec<String> = (0..25).map(|n| format!("line {n}")).collect();
    for line in &lines {
        world.say(line);
    }
    let words: Vec<&str> = lines.iter().map(String::as_str).collect();
    world.until_words(&chat, &words[..21]).await;
    // While the next one waits, the agent is heard.
    world.act(&chat, Act::say("slowly, please")).await;
    world.until_spoken(&["slowly, please"]).await;
    assert_eq!(world.calls("/message").len(), 21);
    world.pass(Duration::from_secs(60)).await;
    world.until_words(&chat, &words).await;
    assert!(world.calls("/message").iter().all(|call| call.status == 202));
}

#[tokio::test]
async fn the_parts_of_one_long_line_wait_too_and_none_is_said_twice() {
    let org = Org { messages_per_minute: 3, ..Org::roomy() };
    let world = World::with(org, json!({ "messages_per_minute": 3 })).await;
    let chat = world.talking().await;
    let long = "ü".repeat(15_000);
    world.say(&long);
    eventually(|| (world.calls("/message").len() == 3).then_some(())).await;
    world.pass(Duration::from_secs(60)).await;
    eventually(|| (world.chat(&chat).customer_words().concat() == long).then_some(())).await;
    assert!(world.calls("/message").iter().all(|call| call.status == 202));
}

#[tokio::test]
async fn starts_wait_for_their_turn_and_nothing_is_made_meanwhile() {
    let org = Org { starts_per_30_s: 3, ..Org::roomy() };
    let world = World::with(org, json!({ "starts_per_30_s": 3 })).await;
    world.waiting().await;
    // The same integration has other hand-overs.
    let engines: Vec<_> = (0..3).map(|_| engine::Engine::run(world.engine.agent.clone())).collect();
    for (n, engine) in engines.iter().enumerate() {
        let mut opening = world.opening();
        opening.conversation.id = format!("cnv_other_{n}").as_str().into();
        engine.give(Next::Item(Box::new(opening)));
    }
    let waits = |engine: &engine::Engine| {
        let results =
            engine.results(Seq(2)).into_iter().chain(engine.results(Seq(3))).chain(engine.results(Seq(4)));
        results.into_iter().find_map(|result| match result {
            Err(Failure::Retry { after_ms: Some(after), cause }) => Some((after, cause.reason)),
            _ => None,
        })
    };
    let (after, reason) = eventually(|| engines.iter().find_map(waits)).await;
    assert!((1..=30_000).contains(&after), "{after}");
    assert_eq!(reason, Reason::RateLimited);
    eventually(|| (world.desk().chats().len() == 3).then_some(())).await;
    assert_eq!(world.calls("/access-token").len(), 3, "nor was a token asked for");
    world.pass(Duration::from_secs(30)).await;
    eventually(|| (world.desk().chats().len() == 4).then_some(())).await;
    let creates = world.calls("POST /iamessage/api/v2/conversation");
    assert!(creates.iter().all(|call| call.status == 201));
}

#[tokio::test]
async fn words_of_any_script_stay_below_8_kb() {
    let world = World::new().await;
    let chat = world.talking().await;
    let texts = [
        "日本語の長い文章。".repeat(1_000),
        "👩‍👩‍👧\u{1f3fd} \"quoted\" \\ \n".repeat(500),
        "\u{7}\t".repeat(2_000),
    ];
    for text in &texts {
        world.say(text);
    }
    let whole = texts.concat();
    eventually(|| (world.chat(&chat).customer_words().concat() == whole).then_some(())).await;
    assert!(world.calls("/message").iter().all(|call| call.status == 202));
}

#[tokio::test]
async fn a_rate_limit_is_waited_for() {
    for (retry_after, at_least) in [(Some(1), 1_000), (None, 2_000)] {
        let world = World::new().await;
        let chat = world.talking().await;
        world.fault(world.points().say, 1, Fault::ErrorBefore { status: 429, retry_after });
        let seq = world.say("one");
        world.say("two");
        let waits = || match world.engine.results(seq).first() {
            Some(Err(Failure::Retry { after_ms, .. })) => *after_ms,
            _ => None,
        };
        assert_eq!(eventually(waits).await, at_least);
        world.pass(Duration::from_millis(at_least)).await;
        world.until_words(&chat, &["one", "two"]).await;
    }
}
