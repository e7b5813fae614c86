//! Agent Chat: who ends it, and what is left of it after a restart.

use interline_connector::simulator::{ChatState, Fault};

use super::*;

const ENDED: AgentEvent = AgentEvent::Ended { tag: None };

async fn is_over(world: &Chatting, chat: &str) {
    let over = |desk: &Desk| desk.chat(chat).filter(|chat| chat.state == ChatState::Over);
    assert!(world.desk().until(SOON, over).await.is_some());
}

#[tokio::test]
async fn the_customer_ends_it_waiting_or_talking() {
    for talking in [false, true] {
        let world = Chatting::new(json!({})).await;
        let (session, chat) = if talking { world.talking().await } else { world.opened().await };
        world.tell(&close(9, Outcome::CustomerEnded), Some(session)).await;
        is_over(&world, &chat).await;
        let end = &world.actions("END_CONVERSATION", 1).await[0];
        assert_eq!(end["message"]["text"], "");
        // What the instance says to that is about nothing any more.
        let mut answers = world.platform.answers.subscribe();
        let all = if talking { 4 } else { 3 };
        tokio::time::timeout(SOON, answers.wait_for(|it| it.len() == all))
            .await
            .expect("a call")
            .expect("the platform");
        assert!(
            !world
                .platform
                .events()
                .iter()
                .any(|it| matches!(it, AgentEvent::Ended { .. } | AgentEvent::Failed(_)))
        );
        assert_eq!(world.sim.complaints(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn the_agent_ends_it_and_virtual_agent_is_told_that_we_know() {
    for talking in [false, true] {
        let world = Chatting::new(json!({})).await;
        let (_, chat) = if talking { world.talking().await } else { world.opened().await };
        world.act(&chat, Act::End).await;
        world.platform.event(&ENDED).await;
        let end = &world.actions("END_CONVERSATION", 1).await[0];
        assert_eq!((&end["userId"], &end["emailId"]), (&json!(HANDLE), &json!("ann@example.com")));
        assert_eq!(world.sim.complaints(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn the_end_is_seen_in_each_of_its_signs() {
    let text = json!([{ "uiType": "OutputText", "value": "Can I help with anything else?" }]);
    let system = |words: &str| json!([{ "uiType": "ActionMsg", "actionType": "System", "message": words }]);
    for (body, flags) in [
        (json!([{ "uiType": "ActionMsg", "actionType": "SwitchToVirtualAgent" }]), json!({})),
        (system("Agent One has ended the chat."), json!({ "agentChat": true })),
        (json!([]), json!({ "completed": true })),
        (json!([]), json!({ "takeControl": true })),
        (text, json!({})),
    ] {
        let world = Chatting::new(json!({})).await;
        let (_, chat) = world.talking().await;
        world.sim.tells(&chat, body.clone(), flags).await.expect("taken");
        assert!(world.platform.events().contains(&ENDED), "{body}");
    }
}

#[tokio::test]
async fn no_end_where_somebody_only_left_or_virtual_agent_spoke_beside() {
    let world = Chatting::new(json!({ "shown_texts": ["wait time is"] })).await;
    let (_, chat) = world.talking().await;
    let live = json!({ "agentChat": true });
    let left = json!([
        { "uiType": "ActionMsg", "actionType": "System", "message": "Agent One has left the conversation." },
        { "uiType": "OutputText", "value": "Something for nobody" },
        { "uiType": "OutputText", "value": "Your wait time is 3 minutes" },
        { "uiType": "ActionMsg", "actionType": "SomethingNew" },
        { "uiType": "NobodyKnowsThis", "value": { "deep": [1] } },
    ]);
    world.sim.tells(&chat, left, live).await.expect("taken");
    world.act(&chat, Act::say("back again")).await;
    assert_eq!(world.platform.said(), ["Your wait time is 3 minutes", "back again"]);
    assert!(!world.platform.events().contains(&ENDED));
}

#[tokio::test]
async fn after_a_restart_all_goes_on_from_the_document() {
    let first = Chatting::new(json!({})).await;
    let (session, chat) = first.talking().await;
    // Another process of ours, which remembers nothing.
    let agent = build(&ServiceNow, first.settings.clone(), &first.public.url, &[&first.served.url])
        .expect("settings");
    agent.deliver(&line(5, "still here"), Some(session.clone())).await.expect("delivered");
    first.shows(&chat, &["still here"]).await;
    let told = |request: Value| {
        let mut headers = HeaderMap::new();
        headers.insert("x-interline-key", "caller-secret-0123456789".parse().expect("a header"));
        let request = unverified(Method::POST, headers, request.to_string().into(), true);
        let heard = agent.receive(&request).expect("proven").heard;
        let event = |heard| match heard {
            Heard::Event { event, external_id, .. } => Some((external_id, event)),
            _ => None,
        };
        heard.into_iter().filter_map(event).collect::<Vec<_>>()
    };
    let ours = json!({ "tenant": APP, "handoff": HANDLE });
    let said = told(json!({ "clientVariables": ours, "agentChat": true, "body": [
        { "uiType": "OutputText", "value": "hi", "messageId": "m1", "agentInfo": { "sentFromAgent": true, "agentName": "Agent One" } },
    ]}));
    // The first two were told before under the same ids, so they change nothing.
    let ids: Vec<_> = said.iter().map(|(id, _)| id.as_deref()).collect();
    assert_eq!(ids, [Some("queued"), Some("joined/Agent One"), Some("m1")]);
    // An end is an end, although nobody remembers that an agent was there.
    let fresh = build(&ServiceNow, first.settings.clone(), &first.public.url, &[&first.served.url])
        .expect("settings");
    let mut headers = HeaderMap::new();
    headers.insert("x-interline-key", "caller-secret-0123456789".parse().expect("a header"));
    let body = json!({ "clientVariables": ours, "userId": HANDLE, "body": [], "completed": true });
    let received =
        fresh.receive(&unverified(Method::POST, headers, body.to_string().into(), true)).expect("proven");
    assert!(
        matches!(&received.heard[..], [Heard::Event { event, .. }] if *event == ENDED),
        "{:?}",
        received.heard
    );
}

#[tokio::test]
async fn an_open_of_which_nobody_knows_is_ended_all_the_same() {
    let world = Chatting::new(json!({})).await;
    world.desk().faults().add("bot/integration", 1, Fault::DropAfter);
    world.agent.deliver(&open(), None).await.expect_err("uncertain");
    let chat = world.chat().await;
    // A sign of life came meanwhile.
    world.platform.event(&AgentEvent::Queued { position: None }).await;
    world.tell(&close(9, Outcome::OperatorEnded), None).await;
    is_over(&world, &chat).await;
    // And if it was never there, it does no harm, also where nothing answers.
    world.desk().faults().add("bot/integration", 1, Fault::DropAfter);
    world.tell(&close(10, Outcome::OperatorEnded), None).await;
}
