//! Uploads under way, and where stored files are.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::{Duration, SystemTime};

use interline_connector::files::Interrupted;
use interline_files::blobs::Blobs;
use interline_files::parts::{AppendError, Parts, measure};
use support::{Scratch, read, stream};
use uuid::Uuid;

#[tokio::test]
async fn bytes_are_kept_as_they_come_and_hashed_on_the_way() {
    let scratch = Scratch::new();
    let parts = Parts::open(scratch.path().join("parts")).unwrap();
    let id = Uuid::now_v7();
    assert_eq!((parts.len(id).await.unwrap(), parts.whole(id).await.unwrap()), (0, None));
    let large = vec![7; 200_000];
    assert_eq!(parts.append(id, 0, stream(vec![Ok(large.clone())]), 1_000_000).await, Ok(200_000));
    let broken = stream(vec![Ok(b"more".to_vec()), Err(Interrupted("gone".into()))]);
    let ended = parts.append(id, 200_000, broken, 1_000_000).await;
    assert_eq!(ended, Err(AppendError::Interrupted { offset: 200_004 }));
    let misplaced = parts.append(id, 5, stream(vec![]), 1_000_000).await;
    assert_eq!(misplaced, Err(AppendError::Misplaced { offset: 200_004 }));
    let whole = parts.whole(id).await.unwrap().unwrap();
    assert_eq!(whole, measure(whole.path.clone()).unwrap(), "the hash on the way is that of the file");
    assert_eq!(std::fs::read(&whole.path).unwrap(), [large, b"more".to_vec()].concat());

    // After a restart what is on disk counts.
    let again = Parts::open(scratch.path().join("parts")).unwrap();
    assert_eq!(again.append(id, 200_004, stream(vec![Ok(b"!".to_vec())]), 200_005).await, Ok(200_005));
    let too_large = again.append(id, 200_005, stream(vec![Ok(b"?".to_vec())]), 200_005).await;
    assert_eq!(too_large, Err(AppendError::TooLarge));
    let whole = again.whole(id).await.unwrap().unwrap();
    assert_eq!(whole.sha256, measure(whole.path.clone()).unwrap().sha256);
    again.remove(id).await;
    assert_eq!(again.len(id).await.unwrap(), 0);
}

#[tokio::test]
async fn who_goes_on_ends_who_hangs() {
    let scratch = Scratch::new();
    let parts = Parts::open(scratch.path()).unwrap();
    let id = Uuid::now_v7();
    // A stream that says when all it has was taken, and then hangs.
    let (taken, was_taken) = tokio::sync::oneshot::channel();
    let mut taken = Some(taken);
    let hanging = {
        use futures_util::StreamExt as _;
        let hangs = futures_util::stream::poll_fn(move |_| {
            if let Some(taken) = taken.take() {
                taken.send(()).unwrap();
            }
            std::task::Poll::Pending
        });
        Box::pin(stream(vec![Ok(b"half".to_vec())]).chain(hangs))
    };
    let first = tokio::spawn({
        let parts = parts.clone();
        async move { parts.append(id, 0, hanging, 100).await }
    });
    was_taken.await.unwrap();
    assert_eq!(parts.append(id, 4, stream(vec![Ok(b" and half".to_vec())]), 100).await, Ok(13));
    assert_eq!(first.await.unwrap(), Err(AppendError::Superseded));
    assert_eq!(parts.len(id).await.unwrap(), 13);
}

#[tokio::test]
async fn what_nobody_goes_on_with_is_swept() {
    let scratch = Scratch::new();
    let parts = Parts::open(scratch.path()).unwrap();
    let id = Uuid::now_v7();
    parts.append(id, 0, stream(vec![Ok(b"x".to_vec())]), 9).await.unwrap();
    assert_eq!(parts.sweep(SystemTime::now() - Duration::from_secs(60)).await, 0);
    assert_eq!(parts.sweep(SystemTime::now() + Duration::from_secs(60)).await, 1);
    assert_eq!(parts.len(id).await.unwrap(), 0);
}

#[tokio::test]
async fn a_full_disk_is_told() {
    let scratch = Scratch::new();
    let parts = Parts::open(scratch.path()).unwrap();
    let id = Uuid::now_v7();
    // Every write to it fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", scratch.path().join(id.simple().to_string())).unwrap();
    let full = parts.append(id, 0, stream(vec![Ok(b"x".to_vec())]), 9).await;
    assert_eq!(full, Err(AppendError::Full));
}

#[tokio::test]
async fn a_stored_file_is_whole_replaced_and_deleted() {
    let scratch = Scratch::new();
    let blobs = Blobs::directory(scratch.path().join("blobs")).unwrap();
    let large: Vec<u8> = (0..700_000_u32).map(|at| at as u8).collect();
    for bytes in [large.as_slice(), b"", b"short"] {
        blobs.put("st-a/fil_1", &scratch.file("x", bytes)).await.unwrap();
        let (size, stream) = blobs.open("st-a/fil_1").await.unwrap().unwrap();
        assert_eq!((size, read(stream).await), (bytes.len() as u64, bytes.to_vec()));
        let local = blobs.local("st-a/fil_1", scratch.path().join("copy")).await.unwrap().unwrap();
        assert_eq!(std::fs::read(local.path()).unwrap(), bytes);
    }
    blobs.delete("st-a/fil_1").await.unwrap();
    blobs.delete("st-a/fil_1").await.unwrap();
    assert!(blobs.open("st-a/fil_1").await.unwrap().is_none());
    for key in ["../x", "st-a/../../x", "/etc/passwd", "", "a//b"] {
        assert!(blobs.put(key, &scratch.file("x", b"x")).await.is_err(), "{key}");
    }
}

#[tokio::test]
async fn all_uploads_of_one_owner_are_forgotten_and_nobody_elses() {
    let scratch = Scratch::new();
    let parts = Parts::open(scratch.path().join("parts")).unwrap();
    let (ann, bob) = (parts.of("cus_ann"), parts.of("cus_bob/../../x"));
    let (one, two, three) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    for (of, id) in [(&ann, one), (&ann, two), (&bob, three)] {
        of.append(id, 0, stream(vec![Ok(b"words".to_vec())]), 100).await.unwrap();
    }
    assert!(scratch.path().join("parts/cus_bobx").is_dir(), "an owner's name is no path");
    ann.forget().await;
    ann.forget().await;
    assert_eq!((ann.len(one).await.unwrap(), ann.len(two).await.unwrap()), (0, 0));
    assert_eq!(bob.len(three).await.unwrap(), 5);
    assert!(!scratch.path().join("parts/cus_ann").exists());
    // Old ones are swept wherever they are, and empty directories with them.
    let later = SystemTime::now() + Duration::from_secs(60);
    assert_eq!(parts.sweep(later).await, 1);
    assert!(!scratch.path().join("parts/cus_bobx").exists());
    assert_eq!(bob.append(three, 0, stream(vec![Ok(b"anew".to_vec())]), 100).await, Ok(4));
}

#[tokio::test]
async fn a_large_upload_in_odd_pieces_is_whole() {
    let scratch = Scratch::new();
    let parts = Parts::open(scratch.path().join("parts")).unwrap().of("cus_ann");
    let id = Uuid::now_v7();
    let pieces: Vec<Vec<u8>> = (0..120_u8).map(|n| vec![n; 70_001]).collect();
    let all = pieces.concat();
    let came = parts.append(id, 0, stream(pieces.into_iter().map(Ok).collect()), 10_000_000).await;
    assert_eq!(came, Ok(all.len() as u64));
    let whole = parts.whole(id).await.unwrap().unwrap();
    assert_eq!(whole, measure(whole.path.clone()).unwrap());
    assert!(std::fs::read(&whole.path).unwrap() == all);
}
