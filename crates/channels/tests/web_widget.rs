//! What our own widget is told beside the published protocol, and the script that it is served as.

mod support;

use std::sync::atomic::Ordering;

use interline_connector::channel::Phase;
use interline_core::conversation::entry::Text;
use interline_core::{Body, Speaker};
use serde_json::{Value, json};
use support::{Client, World, until};

/// A widget that has seen the welcome.
async fn widget(world: &World, user: &str) -> (String, Client) {
    let token = world.login(user).await;
    let mut client = Client::open(&world.widget_url(&token).await).await;
    assert_eq!(client.line().await, "< welcome");
    assert_eq!(client.frame().await["phase"], "bot");
    (token, client)
}

async fn reopened(world: &World, token: &str, after: &str) -> Client {
    Client::open(&format!("{}&isReconnect=true&after={after}", world.widget_url(token).await)).await
}

fn without(mut frame: Value, names: &[&str]) -> Value {
    for name in names {
        frame.as_object_mut().expect("a frame").remove(*name);
    }
    frame
}

#[tokio::test]
async fn the_phase_comes_at_the_start_and_after_the_lines_that_led_to_it() {
    let world = World::start().await;
    let (_, mut client) = widget(&world, "ann").await;
    // The line is in the log before anybody is told of either.
    world.host.inner().phase = Some(Phase::Waiting { position: None });
    world.host.bot("ann", "One moment");
    assert_eq!(client.frame().await["type"], "bot_response");
    let common = ["botInfo", "icon", "from"];
    assert_eq!(without(client.frame().await, &common), json!({ "type": "phase", "phase": "waiting" }));
    world.host.push("ann", Speaker::System, Body::Queued { position: 2 });
    world.host.enter("ann", Phase::Waiting { position: Some(2) });
    let phase = client.frame().await;
    assert_eq!(without(phase, &common), json!({ "type": "phase", "phase": "waiting", "position": 2 }));
    world.host.enter("ann", Phase::Agent { name: Some("Ann B".into()) });
    let phase = client.frame().await;
    assert_eq!(phase["botInfo"]["chatBot"], "Bot");
    assert_eq!(without(phase, &common), json!({ "type": "phase", "phase": "agent", "agent": "Ann B" }));
    // The same again is not told again.
    world.host.enter("ann", Phase::Agent { name: Some("Ann B".into()) });
    world.host.agent("ann", "good day");
    assert_eq!(client.frame().await["type"], "bot_response");
    client
        .send(json!({ "clientMessageId": 9, "id": 9, "resourceid": "/bot.closeConversationSession" }))
        .await;
    assert_eq!(client.frame_of("phase").await["phase"], "closed");
}

#[tokio::test]
async fn a_widget_opened_in_the_middle_learns_the_phase_once() {
    let world = World::start().await;
    let (token, _first) = widget(&world, "ann").await;
    world.host.inner().phase = Some(Phase::Agent { name: None });
    let mut second = Client::open(&world.widget_url(&token).await).await;
    let frame = second.frame().await;
    assert_eq!(
        (&frame["type"], &frame["phase"], frame.get("agent")),
        (&json!("phase"), &json!("agent"), None)
    );
    assert_eq!(second.lines().await, [""; 0]);
}

#[tokio::test]
async fn a_published_client_gets_none_of_it() {
    let world = World::start().await;
    let (_, mut client) = world.welcomed("ann").await;
    world.host.enter("ann", Phase::Waiting { position: Some(3) });
    world.host.push("ann", Speaker::System, Body::Queued { position: 3 });
    // The words, and no frame of another type before them.
    let frame = client.frame().await;
    assert_eq!(frame["message"][0]["cInfo"]["body"], "You are number 3 in the queue.");
    client.say(1001, &"x".repeat(5000)).await;
    assert_eq!(client.frame().await["type"], "bot_response");
}

#[tokio::test]
async fn the_widget_gets_its_own_lines_back_with_their_place() {
    let world = World::start().await;
    let (_, mut client) = widget(&world, "ann").await;
    client.say(1_795_329_732_228_001, "hello").await;
    let (one, two) = (client.frame().await, client.frame().await);
    let (ack, line) = if one["type"] == "ack" { (one, two) } else { (two, one) };
    assert_eq!((&ack["ok"], &ack["replyto"]), (&json!(true), &json!(1_795_329_732_228_001_u64)));
    assert_eq!((&line["type"], &line["id"]), (&json!("user_message"), &json!(1_795_329_732_228_001_u64)));
    assert_eq!(line["traceId"], "ms-cnv_1-3");
}

#[tokio::test]
async fn a_refusal_names_the_line() {
    let world = World::start().await;
    let (_, mut client) = widget(&world, "ann").await;
    client.say(1001, &"x".repeat(5000)).await;
    let frame = client.frame().await;
    assert_eq!(
        (&frame["type"], &frame["replyto"], &frame["again"]),
        (&json!("refused"), &json!(1001), &json!(false))
    );
    assert!(frame["message"].as_str().is_some_and(|text| text.contains("too long")));
    world.host.down.store(true, Ordering::Relaxed);
    client.say(1002, "hello").await;
    let frame = client.frame_of("refused").await;
    assert_eq!((&frame["replyto"], &frame["again"]), (&json!(1002), &json!(true)));
    world.host.down.store(false, Ordering::Relaxed);
    client.say(1002, "hello").await;
    assert_eq!(client.frame_of("ack").await["replyto"], 1002);
    assert_eq!(world.host.said("ann"), ["hello"]);
}

#[tokio::test]
async fn a_widget_goes_on_right_behind_the_line_it_names() {
    let world = World::start().await;
    let (token, mut client) = widget(&world, "ann").await;
    world.host.bot("ann", "one");
    let last = client.frame_of("bot_response").await["messageId"].as_str().expect("an id").to_owned();
    world.host.bot("ann", "two");
    assert_eq!(client.line().await, "< two");
    // What the server knows to have arrived does not count: the page knows better what it has.
    until("delivered", || world.host.delivered("ann") == 4).await;
    client.cut();
    world.host.bot("ann", "three");
    let mut again = reopened(&world, &token, &last).await;
    assert_eq!(again.lines().await, ["< two", "< three"]);
    // Also with another login, after a restart.
    let mut fresh = reopened(&world, &world.login("ann").await, &last).await;
    assert_eq!(fresh.lines().await, ["< two", "< three"]);
    let mut head = reopened(&world, &token, "ms-cnv_1-5").await;
    assert_eq!(head.frame().await["type"], "phase");
    world.host.bot("ann", "four");
    assert_eq!(head.lines().await, ["< four"]);
}

#[tokio::test]
async fn a_place_in_an_earlier_conversation_leads_into_the_next() {
    let world = World::start().await;
    let (token, mut client) = widget(&world, "ann").await;
    client
        .send(json!({ "clientMessageId": 9, "id": 9, "resourceid": "/bot.closeConversationSession" }))
        .await;
    client.frame_of("session_end").await;
    client.say(10, "again").await;
    until("a second conversation", || world.host.said("ann") == ["again"]).await;
    let mut again = reopened(&world, &token, "ms-cnv_1-2").await;
    again.frame_of("session_end").await;
    again.frame_of("session_start").await;
    assert_eq!(again.line().await, "> again");
}

#[tokio::test]
async fn a_place_that_is_not_the_customers_gives_nothing_of_it() {
    let world = World::start().await;
    let (_, _bob) = widget(&world, "bob").await;
    world.host.bot("bob", "private");
    // Bob's, nobody's, beyond the end, and no place at all. Ann's own conversations begin with the second.
    for (number, foreign) in
        ["ms-cnv_1-1", "ms-cnv_99-1", "ms-cnv_4-9", "nonsense", ""].into_iter().enumerate()
    {
        let ann = format!("ann{number}");
        let (token, client) = widget(&world, &ann).await;
        until("the welcome is delivered", || world.host.delivered(&ann) == 2).await;
        client.cut();
        world.host.bot(&ann, "missed");
        // The usual rule: behind what is proven to have arrived.
        assert_eq!(reopened(&world, &token, foreign).await.lines().await, ["< missed"], "{foreign}");
    }
}

#[tokio::test]
async fn only_the_widget_may_name_a_place() {
    let world = World::start().await;
    let (token, mut client) = world.welcomed("ann").await;
    world.host.bot("ann", "one");
    assert_eq!(client.line().await, "< one");
    until("delivered", || world.host.delivered("ann") == 3).await;
    client.cut();
    let url = world.socket_url(&token).await;
    let mut again = Client::open(&format!("{url}&isReconnect=true&after=ms-cnv_1-1")).await;
    assert_eq!(again.lines().await, [""; 0]);
}

#[tokio::test]
async fn an_operator_with_a_name_is_shown_as_a_person() {
    let world = World::start().await;
    let (token, mut client) = widget(&world, "ann").await;
    let says = |name: Option<&str>| {
        world.host.push(
            "ann",
            Speaker::Operator { name: name.map(Into::into) },
            Body::Text(Text::plain("hi")),
        );
    };
    says(Some("Eve Ops"));
    let frame = client.frame_of("bot_response").await;
    assert_eq!(frame["author"], json!({ "type": "AGENT", "firstName": "Eve", "lastName": "Ops" }));
    assert_eq!(frame["message"][0]["component"]["payload"]["template_type"], "live_agent");
    says(None);
    assert_eq!(client.frame_of("bot_response").await.get("author"), None);
    let (_, history) = world.get("/api/botmessages/rtm", &token).await;
    let authors: Vec<&Value> =
        history["messages"].as_array().expect("lines").iter().map(|line| &line["author"]).collect();
    assert_eq!(authors[1], &json!({ "type": "AGENT", "firstName": "Eve", "lastName": "Ops" }));
    assert_eq!(authors[2], &json!({ "firstName": "Bot", "lastName": "" }));
}

#[tokio::test]
async fn two_widgets_do_not_call_each_other_left_over() {
    let world = World::start().await;
    let (first, client) = widget(&world, "ann").await;
    client.cut();
    until("the cut is noticed", || world.host.watchers("ann") == 0).await;
    let mut second = reopened(&world, &world.login("ann").await, "").await;
    second.frame_of("phase").await;
    // With the published client, the first login would now be told that it expired (`widget_url` asserts a 200).
    let mut again = reopened(&world, &first, "").await;
    again.frame_of("phase").await;
}

#[tokio::test]
async fn the_script_is_served_to_every_page_and_checked_by_its_tag() {
    let world = World::start().await;
    let url = format!("{}/widget.js", world.base);
    let answer = world.http.get(&url).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
    assert_eq!(header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("cross-origin-resource-policy"), "cross-origin");
    assert_eq!(header("access-control-allow-origin"), "*");
    assert!(header("cache-control").contains("max-age=300"));
    let tag = header("etag");
    assert!(answer.headers().get("content-encoding").is_none());
    assert_eq!(answer.text().await.expect("a script"), include_str!("../../../widget/dist/interline.js"));
    let again = world.http.get(&url).header("if-none-match", &tag).send().await.expect("an answer");
    assert_eq!(
        (again.status().as_u16(), again.headers()["etag"].to_str().expect("text")),
        (304, tag.as_str())
    );
    let other = world.http.get(&url).header("if-none-match", "\"x\"").send().await.expect("an answer");
    assert_eq!(other.status(), 200);
    let zipped = world.http.get(&url).header("accept-encoding", "br, gzip").send().await.expect("an answer");
    assert_eq!(zipped.headers()["content-encoding"], "gzip");
    assert_eq!(zipped.headers()["vary"], "Accept-Encoding");
    assert_eq!(&zipped.bytes().await.expect("bytes")[..2], [0x1f, 0x8b]);
}
