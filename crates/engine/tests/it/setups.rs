//! What a script sets of an agent system for one hand-over: where it leads, what is kept of it, and how it is refused.

use std::sync::Arc;

use interline_connector::agent::Connector as _;
use interline_connector::simulator::{Served, StandIn, Tenant};
use interline_connector::{Algorithm, Credential};
use interline_core::conversation::state::Customer;
use serde_json::{Value, json};

use crate::examples::QuickJs;
use crate::shop::{CLIENT, SECRET, Shop, until_told};
use crate::world::{Node, World, each_alone, until};

/// Salesforce's stand-in on a port of its own.
struct Org {
    stand_in: Arc<dyn StandIn>,
    served: Served,
}

impl Org {
    async fn open(shop: &Shop) -> Self {
        let credential = Credential {
            client_id: CLIENT.into(),
            client_secret: SECRET.to_owned().into(),
            algorithm: Algorithm::HS256,
        };
        let tenant = Tenant { app: shop.world.app.id.clone(), credential };
        let stand_in = interline_agents::salesforce::Salesforce.stand_in(&tenant).unwrap();
        let served = Served::start(stand_in.router()).await.unwrap();
        Self { stand_in, served }
    }

    fn url(&self) -> &str {
        self.served.url.as_str()
    }

    async fn until_told(&self, words: &str) {
        until(&format!("the org is told {words:?}"), async || {
            let chats = self.stand_in.desk().chats();
            chats.iter().flat_map(|chat| &chat.lines).any(|line| line.text == words).then_some(())
        })
        .await;
    }

    fn chats(&self) -> usize {
        self.stand_in.desk().chats().len()
    }
}

/// An app whose script sets `config` of its Salesforce, `here`, and that falls back to its BotKit.
async fn shop(mut world: World, config: impl FnOnce(&str) -> Value) -> (Shop, Node, Org, Org) {
    world.scripts = Arc::new(QuickJs::new());
    let mut shop = Shop::open(world).await;
    let (here, there) = (Org::open(&shop).await, Org::open(&shop).await);
    let mut settings = here.stand_in.settings(&here.served.url);
    settings["type"] = "salesforce".into();
    shop.document["agents"]["sf"] = settings;
    let asks = json!({ "name": "salesforce", "config": config(there.url()) });
    let source = format!("agentUtils.setLiveChatAgentOutGoingSetup({asks}); console.log('asked')");
    shop.document["flow"]["words"][0]["go_to"] = "choose".into();
    shop.document["flow"]["nodes"]["choose"] = json!({ "script": { "source": source, "next": "human" } });
    shop.document["flow"]["nodes"]["human"] =
        json!({ "agent_transfer": { "fallback": [{ "integration": "desk" }] } });
    let node = shop.start().await;
    shop.apply(&node).await.unwrap();
    (shop, node, here, there)
}

/// All that is kept of a conversation in clear.
async fn kept(node: &Node, customer: &Customer) -> String {
    let conversation = node.conversation(customer).await;
    let inbox = node.store.replay(node.app.as_str(), &conversation).await.unwrap();
    let inbox: Vec<_> = inbox.iter().map(|row| row.doc.as_str()).collect();
    let log = serde_json::to_string(&node.log(customer).await).unwrap();
    format!("{} {} {log}", inbox.join("\n"), node.loaded(customer).await.doc)
}

#[test]
fn a_script_leads_one_hand_over_elsewhere_and_nothing_shows_its_settings() {
    each_alone("setup_elsewhere", async |world| {
        let (shop, node, here, there) =
            shop(world, |there| json!({ "url": there, "organizationId": "00DSim000000001AAA" })).await;
        let (guard, _) = shop.world.site.as_ref().unwrap();
        guard.allow(&there.served.url);
        let anna = node.customer("anna").await;
        node.say(&anna, "human please").await;
        until("the org of the script has a chat", async || (there.chats() == 1).then_some(())).await;
        node.say(&anna, "are you there?").await;
        there.until_told("are you there?").await;
        let kept = kept(&node, &anna).await;
        assert!(kept.contains("agent_system"), "the script's answer is kept");
        for secret in [there.url().trim_end_matches('/'), "00DSim", "organizationId"] {
            assert!(!kept.contains(secret), "{secret} is kept in clear");
        }
        // A restart finds the way there again.
        shop.kill(node).await;
        let node = shop.start().await;
        node.say(&anna, "still there?").await;
        there.until_told("still there?").await;
        assert_eq!((here.chats(), there.chats(), shop.desk.desk().chats().len()), (0, 1, 0));
        node.engine.stop().await;
    });
}

#[test]
fn settings_that_a_script_may_not_set_fail_the_rung_and_the_ladder_goes_on() {
    for (name, config, told) in [
        ("setup_unknown", json!({ "liveAgentUrl": "https://hunter2.example" }), "`liveAgentUrl`"),
        (
            "setup_private",
            json!({ "url": "http://127.0.0.1:9/hunter2" }),
            "url: the address may not be reached",
        ),
        ("setup_bad", json!({ "organizationId": "hunter2" }), "organization_id: begins with 00D"),
    ] {
        each_alone(name, async |world| {
            let (shop, node, here, there) = shop(world, |_| config.clone()).await;
            let anna = node.customer("anna").await;
            node.say(&anna, "human please").await;
            until("the next agent system has it", async || shop.desk.desk().chats().first().map(|_| ()))
                .await;
            let chat = shop.desk.desk().chats()[0].id.clone();
            node.say(&anna, "hello desk").await;
            until_told(&shop.desk, &chat, "hello desk").await;
            let kept = kept(&node, &anna).await;
            assert!(kept.contains(told), "{told}: {kept}");
            assert!(!kept.contains("hunter2"));
            assert_eq!((here.chats(), there.chats()), (0, 0));
            node.engine.stop().await;
        });
    }
}
