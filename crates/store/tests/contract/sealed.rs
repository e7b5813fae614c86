//! Sealed values: not readable, not movable, and keys can change.

use interline_store::{Error, KeyRing, SealError, Sealer, Unit};
use sqlx::{Executor as _, Row as _};

use crate::bed::*;
use crate::contract;

const OTHER: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

fn with_session(conversation: &str, session: &str) -> Unit {
    let mut row = participant(1);
    row.session = Some(session.into());
    Unit { participants: vec![row], ..unit(APP, conversation) }
}

contract! {
    a_session_is_sealed_into_its_row(bed) {
        let store = bed.open().await;
        for name in ["c", "d"] {
            opened(&store, APP, name).await;
            store.commit(with_session(name, &format!("token of {name}"))).await.unwrap();
        }
        store.put_app(APP, "client secret").await.unwrap();
        let mut raw = bed.raw().await;
        let row = raw.fetch_one("SELECT session FROM participant WHERE conversation = 'c'").await.unwrap();
        let sealed: String = row.try_get("session").unwrap();
        assert!(sealed.starts_with("v1.k1.") && !sealed.contains("token"));
        let app: String = raw.fetch_one("SELECT doc FROM app_version").await.unwrap().try_get("doc").unwrap();
        assert!(app.starts_with("v1.k1.") && !app.contains("secret"));

        // Moved to another row of the same table, it does not open.
        raw.execute(
            "UPDATE participant SET session = (SELECT session FROM participant WHERE conversation = 'c') \
             WHERE conversation = 'd'",
        ).await.unwrap();
        assert!(matches!(store.load(APP, "d").await, Err(Error::Sealed(SealError::Forged(id))) if id == "k1"));
        let loaded = store.load(APP, "c").await.unwrap().unwrap();
        assert_eq!(loaded.participants[0].session.as_deref(), Some("token of c"));
        store.close().await;
    }

    keys_can_change(bed) {
        let store = bed.open().await;
        opened(&store, APP, "c").await;
        store.commit(with_session("c", "old")).await.unwrap();
        store.close().await;

        // The new key first, the old one behind: old values open, new ones use the new key.
        let store = bed.open_with(&format!("k2:{OTHER},{KEY}")).await;
        let loaded = store.load(APP, "c").await.unwrap().unwrap();
        assert_eq!(loaded.participants[0].session.as_deref(), Some("old"));
        opened(&store, APP, "d").await;
        store.commit(with_session("d", "new")).await.unwrap();
        store.close().await;

        // Without the old key: an error that names it, and nothing else is hurt.
        let store = bed.open_with(&format!("k2:{OTHER}")).await;
        let error = store.load(APP, "c").await.unwrap_err();
        assert!(matches!(&error, Error::Sealed(SealError::MissingKey(id)) if id == "k1"));
        assert!(error.to_string().contains("k1") && !error.is_retryable());
        let loaded = store.load(APP, "d").await.unwrap().unwrap();
        assert_eq!(loaded.participants[0].session.as_deref(), Some("new"));
        store.close().await;

        // Another key under the old name.
        let store = bed.open_with(&format!("k1:{OTHER}")).await;
        assert!(matches!(store.load(APP, "c").await, Err(Error::Sealed(SealError::Forged(_)))));
        store.close().await;
    }
}

#[test]
fn a_value_opens_only_where_it_was_sealed() {
    let sealer = Sealer::new(KeyRing::parse(KEY).unwrap());
    let sealed = sealer.seal("a|integration|secret|desk", b"hush").unwrap();
    assert_eq!(sealer.open("a|integration|secret|desk", &sealed).unwrap(), b"hush");
    assert!(matches!(sealer.open("b|integration|secret|desk", &sealed), Err(SealError::Forged(_))));
    assert_ne!(sealed, sealer.seal("a|integration|secret|desk", b"hush").unwrap());
    for broken in ["", "hush", "v1.k1.a", "v2.k1.a.b", "v1.k1.!.!", "v1.k1.AAAA.AAAA", &format!("{sealed}.x")]
    {
        assert_eq!(sealer.open("a", broken), Err(SealError::Malformed), "{broken}");
    }
    let mut bytes = sealed.into_bytes();
    let last = bytes.len() - 2;
    bytes[last] = if bytes[last] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(bytes).unwrap();
    assert!(sealer.open("a|integration|secret|desk", &changed).is_err());
}

#[test]
fn a_key_ring_is_read_and_never_printed() {
    let ring = KeyRing::parse(&format!(" {KEY} ,\n k2:{OTHER}\n")).unwrap();
    assert_eq!(ring.ids().collect::<Vec<_>>(), ["k1", "k2"]);
    let printed = format!("{ring:?} {:?}", Sealer::new(ring.clone()));
    assert!(printed.contains("k1") && !printed.contains("AAEC") && !printed.contains("ICEi"));
    for wrong in ["", "k1", "k1:AAAA", ":AAAA", &format!("k.1:{OTHER}"), &format!("{KEY},{KEY}")] {
        let error = KeyRing::parse(wrong).unwrap_err().to_string();
        assert!(!error.contains("AAAA") && !error.contains("AAEC"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_file_is_made_once_and_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = std::env::temp_dir().join(format!("interline_keys_{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("keys");
    let first = KeyRing::load_or_create(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = KeyRing::load_or_create(&path).unwrap();
    let sealed = Sealer::new(first).seal("a", b"x").unwrap();
    assert_eq!(Sealer::new(again).open("a", &sealed).unwrap(), b"x");
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(KeyRing::load_or_create(&path).is_err());
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_mac_is_for_one_purpose_and_survives_a_new_key() {
    let old = Sealer::new(KeyRing::parse(KEY).unwrap());
    let both = Sealer::new(KeyRing::parse(&format!("k2:{OTHER},{KEY}")).unwrap());
    let new = Sealer::new(KeyRing::parse(&format!("k2:{OTHER}")).unwrap());
    let mac = old.mac("share", b"c#1").unwrap();
    assert_eq!(mac, old.mac("share", b"c#1").unwrap());
    assert!(old.verify_mac("share", b"c#1", &mac));
    let others: [(&str, &[u8]); 5] =
        [("share", b"c#2"), ("fetch", b"c#1"), ("sharec", b"#1"), ("share\0c", b"#1"), ("", b"")];
    for (purpose, bytes) in others {
        assert_ne!(mac, old.mac(purpose, bytes).unwrap());
        assert!(!old.verify_mac(purpose, bytes, &mac), "{purpose}");
    }
    // Shortened to 16 bytes it counts; shorter or longer it does not.
    for length in 0..=mac.len() {
        assert_eq!(old.verify_mac("share", b"c#1", &mac[..length]), length >= 16, "{length}");
    }
    assert!(!old.verify_mac("share", b"c#1", &[&mac[..], &[0]].concat()));
    for bit in 0..8 * 16 {
        let mut changed = mac;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(
            !old.verify_mac("share", b"c#1", &changed[..16]) && !both.verify_mac("share", b"c#1", &changed)
        );
    }
    // The newest key makes them, every key of the ring knows its own.
    let newest = new.mac("share", b"c#1").unwrap();
    assert_eq!(both.mac("share", b"c#1").unwrap(), newest);
    assert_eq!(both.macs("share", b"c#1").unwrap(), [newest, mac]);
    assert!(both.verify_mac("share", b"c#1", &mac) && both.verify_mac("share", b"c#1", &newest));
    assert!(!new.verify_mac("share", b"c#1", &mac));
}
