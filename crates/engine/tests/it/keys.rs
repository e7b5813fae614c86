//! Keys of the API.

use interline_core::AppId;
use interline_engine::{Holder, KeyRole, NewKey};

use crate::world::{Node, each, until};

async fn make(node: &Node, app: Option<&AppId>, role: KeyRole, expires_at: Option<i64>) -> NewKey {
    let (engine, app) = (node.engine.clone(), app.cloned());
    node.on(async move { engine.create_key(app.as_ref(), role, "Olga's", expires_at).await.unwrap() }).await
}

async fn holder(node: &Node, token: &str) -> Option<Holder> {
    let (engine, token) = (node.engine.clone(), token.to_owned());
    node.on(async move { engine.key_holder(&token).await.unwrap() }).await
}

#[test]
fn a_key_says_whose_it_is_and_what_it_may_do() {
    each("keys_holder", async |world| {
        let node = world.start().await;
        for role in [KeyRole::Read, KeyRole::Operate, KeyRole::Admin] {
            for app in [None, Some(&node.app)] {
                let NewKey { row, token } = make(&node, app, role, None).await;
                let expected = Holder { id: row.id.clone(), name: "Olga's".into(), role, app: app.cloned() };
                assert_eq!(holder(&node, &token).await, Some(expected));
                assert!(token.starts_with(&format!("ilk_{}_", row.id)));
                let secret = token.rsplit('_').next().unwrap();
                assert!(secret.len() >= 43 && !format!("{row:?}").contains(&row.hash), "{}", secret.len());
                assert!(!row.hash.contains(secret) && !row.name.contains(secret), "it is not kept");
            }
        }
        let keys = node.engine.keys(&node.app, None, 10).await.unwrap();
        assert_eq!(keys.len(), 3, "the app's own");
        let rest = node.engine.keys(&node.app, Some(&keys[0].id), 10).await.unwrap();
        assert_eq!(rest, keys[1..]);
        node.engine.stop().await;
    });
}

#[test]
fn a_wrong_secret_is_nobodys() {
    each("keys_wrong", async |world| {
        let node = world.start().await;
        let NewKey { row, token } = make(&node, None, KeyRole::Admin, None).await;
        let other = make(&node, None, KeyRole::Admin, None).await;
        let secret = token.strip_prefix(&format!("ilk_{}_", row.id)).unwrap();
        let flipped = |at: usize| {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            String::from_utf8(bytes).unwrap()
        };
        let mut wrong: Vec<String> = (0..token.len()).map(flipped).filter(|wrong| *wrong != token).collect();
        wrong.extend((0..token.len()).map(|length| token[..length].to_owned()));
        wrong.extend([
            format!("ilk_{}_{secret}", other.row.id),
            format!("ilk_{}_{}", row.id, row.hash),
            format!("ilk_{}_", row.id),
            format!("ilk__{secret}"),
            format!("{token}0"),
            format!(" {token}"),
            format!("{token}_"),
            token.to_uppercase(),
            token.replace("ilk_", "ILK_"),
            "ilk_%_%".into(),
            "ilk_' OR 1=1 --_x".into(),
            "💥".into(),
            "ilk_\0_\0".replace('\0', "\u{1}"),
            "_".repeat(100_000),
        ]);
        for wrong in wrong {
            assert_eq!(holder(&node, &wrong).await, None, "{}", wrong.chars().take(120).collect::<String>());
        }
        assert!(holder(&node, &token).await.is_some());
        node.engine.stop().await;
    });
}

#[test]
fn a_key_ends_by_its_time_or_by_hand() {
    each("keys_end", async |world| {
        let world = world.faster(60);
        let node = world.start().await;
        let now = world.clock.now().0;
        let soon = make(&node, Some(&node.app), KeyRole::Read, Some(now + 60_000)).await;
        let past = make(&node, Some(&node.app), KeyRole::Read, Some(now - 1)).await;
        assert_eq!(holder(&node, &past.token).await, None);
        assert!(holder(&node, &soon.token).await.is_some());
        until("a minute", async || holder(&node, &soon.token).await.is_none().then_some(())).await;
        let key = make(&node, Some(&node.app), KeyRole::Operate, None).await;
        let revoke = |app: &AppId, id: &str| {
            let (engine, app, id) = (node.engine.clone(), app.clone(), id.to_owned());
            node.on(async move { engine.revoke_key(&app, &id).await.unwrap() })
        };
        let other = AppId::new(format!("st-{}", uuid::Uuid::now_v7()));
        assert!(!revoke(&other, &key.row.id).await, "another app's");
        assert!(!revoke(&node.app, "nobody").await);
        assert!(holder(&node, &key.token).await.is_some());
        assert!(revoke(&node.app, &key.row.id).await);
        assert!(!revoke(&node.app, &key.row.id).await, "it was before");
        assert_eq!(holder(&node, &key.token).await, None);
        // Also for the next process.
        let app = node.app.clone();
        node.kill().await;
        let node = world.start().await;
        assert_eq!(holder(&node, &key.token).await, None);
        let revoked = node.engine.keys(&app, None, 10).await.unwrap();
        assert!(revoked.iter().any(|row| row.id == key.row.id && row.revoked_at.is_some()));
        node.engine.stop().await;
    });
}

#[test]
fn each_role_includes_the_ones_before_it() {
    assert!(KeyRole::Read < KeyRole::Operate && KeyRole::Operate < KeyRole::Admin);
    for role in [KeyRole::Read, KeyRole::Operate, KeyRole::Admin] {
        assert_eq!(role.to_string().parse(), Ok(role));
        assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
    }
    for wrong in ["", "root", "Admin", "admin "] {
        assert!(wrong.parse::<KeyRole>().is_err(), "{wrong}");
    }
}
