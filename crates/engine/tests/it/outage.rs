//! The database goes away and comes back: results in hand are kept, what was accepted is there once.
//! Only on PostgreSQL, through a proxy that can be cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use interline_connector::channel::{HeardAs, Host, Said, What};
use interline_core::conversation::entry::{Note, Text};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::fake::{Act, Fake};
use crate::world::{World, each, until};

/// A way to the database that is open or not.
struct Way {
    address: SocketAddr,
    open: watch::Sender<bool>,
}

impl Way {
    async fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = watch::Sender::new(true);
        let switch = open.clone();
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let (mut switched, target) = (switch.subscribe(), target.clone());
                tokio::spawn(async move {
                    if !*switched.borrow_and_update() {
                        return;
                    }
                    let Ok(mut to) = TcpStream::connect(target).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
                        _ = switched.changed() => {}
                    }
                });
            }
        });
        Self { address, open }
    }
}

async fn behind_a_way(world: World) -> Option<(World, Way)> {
    let url: url::Url = world.url().parse().ok().filter(|url: &url::Url| url.scheme() == "postgres")?;
    let way = Way::to(format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432))).await;
    let mut through = url;
    through.set_host(Some("127.0.0.1")).unwrap();
    through.set_port(Some(way.address.port())).unwrap();
    Some((world.at(through.as_str()), way))
}

#[test]
fn a_result_waits_for_the_database_and_nothing_is_doubled() {
    each("outage", async |world| {
        let Some((world, way)) = behind_a_way(world).await else { return };
        let desk = Fake::no_dedupe();
        let gate = Arc::new(tokio::sync::Notify::new());
        let node = world.faster(5).agent("desk", desk.clone()).start().await;
        let anna = node.customer("anna").await;
        desk.script([Act::After(gate.clone())]);
        node.say(&anna, "a human please").await;
        desk.until_tried("open", 1).await;
        way.open.send_replace(false);
        gate.notify_one();
        // Nothing is accepted meanwhile; the client tries again with the same id.
        let hear = async || {
            let (engine, app, anna) = (node.engine.clone(), node.app.clone(), anna.clone());
            let said = Said { external_id: Some("1".into()), what: What::Text(Text::plain("one")) };
            node.on(async move { engine.hear(&app, &anna, said).await }).await
        };
        assert!(hear().await.is_err());
        tokio::time::sleep(Duration::from_millis(300)).await;
        way.open.send_replace(true);
        until("the line is accepted", async || hear().await.ok()).await;
        assert_eq!(hear().await, Ok(HeardAs::Again));
        desk.until_got("one").await;
        assert_eq!(desk.got(), ["open", "one"], "the session document was not lost, nothing was repeated");
        assert!(desk.tries_at("one")[0].session.is_some());
        assert!(!node.notes(&anna).await.iter().any(|note| matches!(note, Note::Unconfirmed { .. })));
        node.engine.stop().await;
    });
}
