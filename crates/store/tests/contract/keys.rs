//! Keys of the API.

use interline_store::{Error, KeyRow};

use crate::bed::*;
use crate::contract;

fn key(app: &str, id: &str) -> KeyRow {
    KeyRow {
        app: app.into(),
        id: id.into(),
        hash: format!("hash of {id}"),
        role: "read".into(),
        name: "the dashboard".into(),
        created_at: 1,
        expires_at: Some(100),
        revoked_at: None,
    }
}

contract! {
    a_key_is_found_by_its_id_alone(bed) {
        let store = bed.open().await;
        let everywhere = KeyRow { expires_at: None, ..key("", "k0") };
        store.add_key(&key(APP, "k1")).await.unwrap();
        store.add_key(&everywhere).await.unwrap();
        assert_eq!(store.key("k1").await.unwrap(), Some(key(APP, "k1")));
        assert_eq!(store.key("k0").await.unwrap(), Some(everywhere));
        assert_eq!(store.key("k2").await.unwrap(), None);
        // A repeat is none; another key with the same id is refused, in whatever app.
        store.add_key(&key(APP, "k1")).await.unwrap();
        for app in [APP, "st-b", ""] {
            let other = KeyRow { hash: "another".into(), ..key(app, "k1") };
            assert!(matches!(store.add_key(&other).await, Err(Error::Broken(_))), "{app}");
        }
        assert!(matches!(store.add_key(&key("st-b", "k1")).await, Err(Error::Broken(_))));
        assert_eq!(store.key("k1").await.unwrap(), Some(key(APP, "k1")));
        assert!(!format!("{:?}", key(APP, "k1")).contains("hash of"));
        store.close().await;
        assert!(bed.open().await.key("k1").await.unwrap().is_some());
    }

    a_key_is_revoked_once(bed) {
        let store = bed.open().await;
        store.add_key(&key(APP, "k1")).await.unwrap();
        assert!(!store.revoke_key("st-b", "k1", 40).await.unwrap());
        assert!(!store.revoke_key(APP, "k2", 40).await.unwrap());
        assert_eq!(store.key("k1").await.unwrap().unwrap().revoked_at, None);
        assert!(store.revoke_key(APP, "k1", 50).await.unwrap());
        assert!(!store.revoke_key(APP, "k1", 60).await.unwrap());
        assert_eq!(store.key("k1").await.unwrap().unwrap().revoked_at, Some(50));
        // A late repeat of the adding does not bring it back.
        store.add_key(&key(APP, "k1")).await.unwrap();
        assert_eq!(store.key("k1").await.unwrap().unwrap().revoked_at, Some(50));
        store.close().await;
    }

    keys_are_listed_by_id_and_app(bed) {
        let store = bed.open().await;
        for (app, id) in [(APP, "c"), (APP, "a"), ("st-b", "x"), (APP, "b"), ("", "y")] {
            store.add_key(&key(app, id)).await.unwrap();
        }
        let ids = async |app: &str, after: Option<&str>, limit: i64| -> Vec<String> {
            store.keys(app, after, limit).await.unwrap().into_iter().map(|row| row.id).collect()
        };
        assert_eq!(ids(APP, None, 9).await, ["a", "b", "c"]);
        assert_eq!(ids(APP, None, 2).await, ["a", "b"]);
        assert_eq!(ids(APP, Some("b"), 9).await, ["c"]);
        assert_eq!(ids("", None, 9).await, ["y"]);
        assert_eq!(ids("st-b", None, 9).await, ["x"]);
        assert_eq!(ids("st-c", None, 9).await, [""; 0]);
        assert_eq!(store.keys("st-b", None, 9).await.unwrap(), [key("st-b", "x")]);
        store.close().await;
    }
}
