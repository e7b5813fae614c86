//! The example flows, each as its first lines promise, with a BotKit as the agent system.

use std::sync::Arc;

use async_trait::async_trait;
use interline_bots::openai::simulator;
use interline_connector::channel::What;
use interline_core::conversation::state::Customer;
use interline_core::flow::script::{Answer, Call};
use interline_engine::Scripts;
use serde_json::{Value, json};

use crate::shop::Shop;
use crate::world::{Node, World, each_alone, until};

pub struct QuickJs(interline_scripts::Scripts);

impl QuickJs {
    pub fn new() -> Self {
        Self(interline_scripts::Scripts::new().unwrap())
    }
}

#[async_trait]
impl Scripts for QuickJs {
    async fn run(&self, call: Call) -> Answer {
        self.0.run(call).await
    }
}

fn example(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flows").join(name);
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

async fn shop(mut world: World, name: &str, change: impl FnOnce(&mut Value)) -> (Shop, Node) {
    world.scripts = Arc::new(QuickJs::new());
    let mut shop = Shop::open(world).await;
    shop.document["flow"] = example(name);
    change(&mut shop.document);
    let node = shop.start().await;
    shop.apply(&node).await.unwrap();
    (shop, node)
}

async fn opens(node: &Node) -> Customer {
    let anna = node.customer("anna").await;
    node.hear(&anna, None, What::Connected).await;
    anna
}

/// The agent's side is not there.
fn nobody_there(document: &mut Value) {
    document["agents"] = json!({});
    document.as_object_mut().unwrap().remove("default_agent");
}

const BUSY: &str = "bot: All our agents are currently busy. Please try again later.";

#[test]
fn billing_goes_to_an_agent_with_what_is_known() {
    each_alone("example_billing", async |world| {
        let (shop, node) = shop(world, "billing.yaml", |_| {}).await;
        let anna = opens(&node).await;
        node.say(&anna, "I have a billing question").await;
        node.until_seen(&anna, "bot: I am connecting you to one of our billing agents.").await;
        until("the agent's side has it", async || shop.desk.desk().chats().first().map(|_| ())).await;
        let state = node.state(&anna).await;
        let transfer = state.transfer.unwrap();
        assert_eq!(transfer.data["topic"], "billing");
        assert_eq!(transfer.rung.unwrap().target.queue.as_deref(), Some("billing"));
        assert_eq!(transfer.ask.user["lastQuestion"], "I have a billing question");
        assert_eq!(transfer.ask.tags.session["topic"], "billing");
        node.engine.stop().await;
    });
}

#[test]
fn billing_says_so_when_nobody_is_there() {
    each_alone("example_billing_busy", async |world| {
        let (_shop, node) = shop(world, "billing.yaml", nobody_there).await;
        let anna = opens(&node).await;
        node.say(&anna, "my invoice is wrong").await;
        node.until_seen(&anna, BUSY).await;
        node.until_seen(
            &anna,
            "bot: I can help with your bill. Say \"billing\", or \"agent\" to talk to a person.",
        )
        .await;
        node.engine.stop().await;
    });
}

#[test]
fn the_menu_leads_by_keys_and_digits() {
    each_alone("example_menu", async |world| {
        let (_shop, node) = shop(world, "ivr_menu.yaml", |_| {}).await;
        let anna = opens(&node).await;
        for (says, hears) in [
            ("5", "bot: That is not one of the choices."),
            ("1", "bot: Please enter your account number, then the hash key."),
            ("12", "bot: An account number has four to ten digits."),
            ("12345#", "bot: One moment, I am connecting you."),
        ] {
            node.say(&anna, says).await;
            node.until_seen(&anna, hears).await;
        }
        let transfer = node.state(&anna).await.transfer.unwrap();
        assert_eq!(transfer.data["account"], "12345");
        assert_eq!(transfer.ask.priority, Some(3));
        assert_eq!(transfer.ask.call.transfer_tags["account"], "12345");
        assert_eq!(transfer.ask.call.headers["X-Account"], "12345");
        node.engine.stop().await;
    });
}

#[test]
fn the_menu_ends_politely_when_nobody_is_there() {
    each_alone("example_menu_busy", async |world| {
        let (_shop, node) = shop(world, "ivr_menu.yaml", nobody_there).await;
        let anna = opens(&node).await;
        node.say(&anna, "support").await;
        node.until_seen(&anna, BUSY).await;
        node.until_seen(&anna, "bot: Thank you for calling. Good-bye.").await;
        node.until_seen(&anna, "closed").await;
        node.engine.stop().await;
    });
}

fn hours(week: Value) -> Value {
    json!({ "default": { "zone": "Europe/Berlin", "week": week } })
}

#[test]
fn within_business_hours_there_is_an_agent() {
    each_alone("example_hours", async |world| {
        let all_day = json!([{ "from": "00:00", "to": "24:00" }]);
        let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let week: serde_json::Map<String, Value> =
            days.iter().map(|day| ((*day).to_owned(), all_day.clone())).collect();
        let open = |document: &mut Value| document["hours"] = hours(week.into());
        let (_shop, node) = shop(world, "business_hours.yaml", open).await;
        let anna = opens(&node).await;
        node.say(&anna, "agent please").await;
        node.until_seen(&anna, "bot: I am connecting you.").await;
        node.engine.stop().await;
    });
}

#[test]
fn outside_of_business_hours_a_call_back_is_noted() {
    each_alone("example_closed", async |world| {
        let closed = |document: &mut Value| document["hours"] = hours(json!({}));
        let (_shop, node) = shop(world, "business_hours.yaml", closed).await;
        let anna = opens(&node).await;
        node.say(&anna, "agent please").await;
        node.until_seen(
            &anna,
            "bot: We call you back on the next working day. Please tell us your telephone number.",
        )
        .await;
        node.say(&anna, "030 1234567").await;
        node.until_seen(&anna, "bot: Thank you. We will call you at 0301234567.").await;
        node.until_seen(&anna, "closed").await;
        let state = node.state(&anna).await;
        assert_eq!(state.bot.user_session["callBack"]["number"], "0301234567");
        node.engine.stop().await;
    });
}

#[test]
fn an_llm_decides_to_hand_over() {
    each_alone("example_llm", async |world| {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{}", listener.local_addr().unwrap(), simulator::PATH);
        tokio::spawn(async move { axum::serve(listener, simulator::router(Some("k"))).await });
        let bot = json!({ "type": "openai", "url": url, "model": "m", "api_key": "k" });
        let with_bot = |document: &mut Value| document["bots"] = json!({ "assistant": bot });
        let (shop, node) = shop(world, "llm_agent.yaml", with_bot).await;
        let anna = opens(&node).await;
        node.until_seen(&anna, "bot: Hello! I am an assistant. What can I do for you?").await;
        node.say(&anna, "my phone is dead").await;
        node.until_seen(&anna, "bot: You said \"my phone is dead\". Say \"human\" and I hand you over.")
            .await;
        node.say(&anna, "give me a human").await;
        node.until_seen(&anna, "bot: I am connecting you to a colleague.").await;
        until("the agent's side has it", async || shop.desk.desk().chats().first().map(|_| ())).await;
        let transfer = node.state(&anna).await.transfer.unwrap();
        assert_eq!(transfer.data["reason"], "The customer asked for a human.");
        node.engine.stop().await;
    });
}
