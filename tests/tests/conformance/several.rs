//! Several agent systems at once: two of one vendor, the default and the mapping of channels over them, and the ladder from
//! one vendor's to another's.

use anyhow::{Context, Result, ensure};
use interline_tests::App;
use interline_tests::web::Site;
use libtest_mimic::Trial;
use serde_json::json;

use crate::customer::Customer;
use crate::world::{World, set};
use crate::{block_on, done, ladder};
use interline_tests::office::Kind;

/// The tests of the systems that there are: for each kind two of it at once, and the ladder to the next kind.
pub fn trials() -> Vec<Trial> {
    let kinds = Kind::all();
    let mut trials = Vec::new();
    for (at, kind) in kinds.iter().copied().enumerate() {
        let next = kinds[(at + 1) % kinds.len()];
        trials
            .push(Trial::test(format!("several::two_of_{}", kind.id), move || done(block_on(two_of(kind)))));
        if kind.id != next.id {
            let name = format!("several::{}_falls_back_to_{}", kind.id, next.id);
            trials.push(Trial::test(name, move || done(block_on(ladder::falls_back(kind, next)))));
        }
    }
    trials
}

/// One channel goes to the default, another is mapped to the second of the same kind; nobody hears the other's words.
async fn two_of(kind: Kind) -> Result<()> {
    let other = App::fresh();
    let mut world = World::of(&[(kind, "desk"), (kind, "spare")], |app| {
        let login = json!({ "client_id": other.client_id, "client_secret": other.secret, "scopes": ["web"] });
        set(app, "/credentials/other", login);
        set(app, "/channels/shop", json!({ "type": "web", "credentials": ["other"], "origins": ["*"] }));
        set(app, "/channel_agents", json!({ "shop": "spare" }));
        // One credential signs for a BotKit; which one has to be said where there are two.
        for name in ["desk", "spare"].into_iter().filter(|_| kind.id == "botkit") {
            set(app, &format!("/agents/{name}/credential"), json!("main"));
        }
    })
    .await?;
    let main = world.site();
    let shop = Site { app: App { bot: main.app.bot.clone(), ..other }, address: main.address };
    let mut ann = Customer::open(main, "ann").await?;
    let mut bob = Customer::open(shop, "bob").await?;
    ann.say("a human please").await?;
    bob.say("a human please").await?;
    let mut chats = Vec::new();
    for (desk, customer) in world.desks.iter().zip([&ann, &bob]) {
        let chat = desk.next_chat().await?;
        desk.accepts(&chat).await?;
        chats.push((chat, customer.name.clone()));
    }
    for customer in [&ann, &bob] {
        world.until_stage(customer, "talking").await?;
    }
    ann.say("this is ann").await?;
    bob.say("this is bob").await?;
    for (desk, (chat, name)) in world.desks.iter().zip(&chats) {
        let here = &desk.office.name;
        desk.sees(chat, &format!("this is {name}")).await?;
        ensure!(desk.heard(chat, "this is")?.len() == 1, "{here} hears both");
        ensure!(desk.count() == 1, "{here} has both");
        desk.says(chat, &format!("hello {name}, this is the {here}")).await?;
    }
    ann.sees("hello ann, this is the desk").await?;
    bob.sees("hello bob, this is the spare").await?;
    for (customer, integration) in [(&ann, "desk"), (&bob, "spare")] {
        ensure!(customer.count("hello ") == 1, "{:?}", customer.lines());
        let conversation = world.conversation(customer).await?;
        let rung = conversation["transfer"]["rung"]["integration"].as_str().context("a rung")?;
        ensure!(rung == integration, "{conversation}");
    }
    world.close().await
}
