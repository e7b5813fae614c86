//! Files in a bucket: of the store that `INTERLINE_TEST_S3` names (`tests/support/s3.sh CMD`: moto).
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use futures_util::TryStreamExt as _;
use interline_files::blobs::{BlobError, Blobs, S3Settings};
use support::Scratch;
use uuid::Uuid;

fn settings(endpoint: &str) -> S3Settings {
    S3Settings {
        bucket: "interline".into(),
        region: Some("us-east-1".into()),
        endpoint: Some(endpoint.into()),
        access_key: Some("test".into()),
        secret_key: Some("verysecret".into()),
        prefix: Some(format!("tests/{}", Uuid::now_v7().simple())),
        allow_http: true,
    }
}

fn bucket(test: &str) -> Option<Blobs> {
    let Ok(endpoint) = std::env::var("INTERLINE_TEST_S3") else {
        eprintln!("skipped (INTERLINE_TEST_S3 is not set): {test}");
        return None;
    };
    Some(Blobs::s3(settings(&endpoint)).unwrap())
}

async fn read(blobs: &Blobs, key: &str) -> Option<Vec<u8>> {
    let (size, bytes) = blobs.open(key).await.unwrap()?;
    let chunks: Vec<bytes::Bytes> = bytes.try_collect().await.unwrap();
    let bytes = chunks.concat();
    assert_eq!(bytes.len() as u64, size);
    Some(bytes)
}

/// Bytes of which no two blocks are alike: parts in the wrong order would show.
fn noise(len: usize) -> Vec<u8> {
    (0..len as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

#[tokio::test]
async fn what_is_put_is_what_comes_back() {
    let Some(blobs) = bucket("what_is_put_is_what_comes_back") else { return };
    let scratch = Scratch::new();
    // In one piece, in two parts, and in many with a short last one.
    for (n, len) in [11, 5 * 1024 * 1024, 5 * 1024 * 1024 + 1, 25 * 1024 * 1024].into_iter().enumerate() {
        let (key, bytes) = (format!("st-1/fil_{n}"), noise(len));
        blobs.put(&key, &scratch.file("upload", &bytes)).await.unwrap();
        assert!(read(&blobs, &key).await.as_deref() == Some(&bytes), "{len} bytes");
        let copy = blobs.local(&key, scratch.path().join("copy")).await.unwrap().unwrap();
        assert!(std::fs::read(copy.path()).unwrap() == bytes);
        let path = copy.path().to_owned();
        drop(copy);
        assert!(!path.exists(), "a copy stayed");
    }
}

#[tokio::test]
async fn the_same_key_again_is_replaced_and_what_is_deleted_is_gone() {
    let Some(blobs) = bucket("the_same_key_again_is_replaced_and_what_is_deleted_is_gone") else { return };
    let scratch = Scratch::new();
    blobs.put("st-1/fil_a", &scratch.file("upload", b"first")).await.unwrap();
    blobs.put("st-1/fil_a", &scratch.file("upload", b"second")).await.unwrap();
    assert_eq!(read(&blobs, "st-1/fil_a").await.unwrap(), b"second");
    blobs.delete("st-1/fil_a").await.unwrap();
    blobs.delete("st-1/fil_a").await.unwrap();
    assert_eq!(read(&blobs, "st-1/fil_a").await, None);
    assert!(blobs.local("st-1/fil_a", scratch.path().join("copy")).await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_wrong_is_said_without_the_secret() {
    let scratch = Scratch::new();
    let file = scratch.file("upload", b"words");
    if let Ok(endpoint) = std::env::var("INTERLINE_TEST_S3") {
        let nowhere =
            Blobs::s3(S3Settings { bucket: "no-such-bucket".into(), ..settings(&endpoint) }).unwrap();
        let error = nowhere.put("st-1/fil_a", &file).await.unwrap_err();
        assert!(matches!(&error, BlobError::Unavailable(why) if why.contains("NoSuchBucket")), "{error:?}");
    }
    let shown = format!("{:?}", settings("http://127.0.0.1:1"));
    assert!(shown.contains("interline") && !shown.contains("verysecret"), "{shown}");
}

/// It takes a while: the library tries again for as long as it thinks that it may help.
#[tokio::test]
async fn a_store_that_is_away_is_out_of_reach() {
    let scratch = Scratch::new();
    let away = Blobs::s3(settings("http://127.0.0.1:1")).unwrap();
    let error = away.put("st-1/fil_a", &scratch.file("upload", b"words")).await.unwrap_err();
    assert!(matches!(&error, BlobError::Unavailable(why) if !why.contains("verysecret")), "{error:?}");
    assert!(matches!(away.open("st-1/fil_a").await, Err(BlobError::Unavailable(_))));
}
