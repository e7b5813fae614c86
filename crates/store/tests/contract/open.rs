//! Opening: schema versions, wrong URLs, a database that goes away.

use interline_store::{KeyRing, OpenError, Settings, Store, known_version};
use sqlx::Executor as _;

use crate::bed::*;
use crate::contract;

contract! {
    a_newer_schema_is_refused(bed) {
        assert_eq!(Store::migrate_only(&bed.url).await.unwrap(), known_version());
        assert_eq!(Store::migrate_only(&bed.url).await.unwrap(), known_version());
        let mut raw = bed.raw().await;
        raw.execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT 77, 'from the future', success, checksum, 1 FROM _sqlx_migrations WHERE version = 1",
        ).await.unwrap();
        let keys = KeyRing::parse(KEY).unwrap();
        let error = Store::open(Settings { url: bed.url.clone(), lanes: 0, keys }).await.unwrap_err();
        assert!(matches!(error, OpenError::NewerSchema { found: 77, known } if known == known_version()));
        let text = error.to_string();
        assert!(text.contains("77") && text.contains("newer program") && text.contains("backup"), "{text}");
        raw.execute("DELETE FROM _sqlx_migrations WHERE version = 77").await.unwrap();
        bed.open().await.close().await;
    }

    a_database_of_the_first_version_is_brought_up_to_date(bed) {
        let store = bed.open().await;
        let customer = opened(&store, APP, "c").await;
        store.close().await;
        let mut raw = bed.raw().await;
        for statement in [
            "DROP TABLE share_access", "DROP TABLE share", "DROP TABLE api_key",
            "DROP INDEX conversation_by_opened", "DROP INDEX conversation_by_channel",
            "DROP INDEX conversation_live", "DROP INDEX conversation_unclosed",
            "DROP INDEX customer_by_bare_address", "DROP INDEX customer_by_channel",
            "DROP INDEX participant_engaged", "DROP INDEX participant_failing",
            "DELETE FROM _sqlx_migrations WHERE version = 2",
        ] {
            raw.execute(statement).await.unwrap();
        }
        let store = bed.open().await;
        assert_eq!(store.conversations_of(APP, &customer, 9).await.unwrap(), ["c"]);
        assert_eq!(store.live(APP, None, 9).await.unwrap(), []);
        assert_eq!(store.engaged_count(APP, "desk").await.unwrap(), 1);
        assert!(store.revoke_share(APP, "c", 1, 5).await.unwrap());
        store.close().await;
    }
}

#[tokio::test]
async fn a_wrong_url_is_refused_without_repeating_its_password() {
    let keys = || KeyRing::parse(KEY).unwrap();
    for url in ["mysql://root:hunter2@localhost/x", "hunter2", ""] {
        let settings = Settings { url: url.into(), lanes: 0, keys: keys() };
        assert!(!format!("{settings:?}").contains("hunter2"));
        let error = Store::open(settings).await.unwrap_err();
        assert!(matches!(error, OpenError::Url(_)));
        assert!(!error.to_string().contains("hunter2"));
    }
    let settings = Settings { url: "sqlite:///no/such/folder/x.db".into(), lanes: 0, keys: keys() };
    assert!(matches!(Store::open(settings).await, Err(OpenError::File { .. })));
}

#[cfg(unix)]
#[tokio::test]
async fn the_database_file_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let bed = Bed::sqlite();
    let store = bed.open().await;
    opened(&store, APP, "c").await;
    for entry in std::fs::read_dir(bed.file().unwrap().parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
    store.close().await;
    bed.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_reconnects() {
    let Some(bed) = Bed::postgres("a_lane_reconnects").await else { return };
    let store = bed.open().await;
    opened(&store, APP, "c").await;
    let mut raw = bed.raw().await;
    raw.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await
    .unwrap();
    // The first commit finds the connection dead and says so; the next ones find a new one.
    let mut tries = 0;
    loop {
        match store.commit(line(APP, "c", 1, "x")).await {
            Ok(answer) => {
                assert_eq!(answer, done(2));
                break;
            }
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
        tries += 1;
        assert!(tries < 20);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(tries > 0);
    assert_eq!(store.load(APP, "c").await.unwrap().unwrap().version, 2);
    store.close().await;
    bed.remove().await;
}
