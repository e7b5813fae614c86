//! A real scanner, and a real bucket instead of a directory. Where there is none (`tests/support/clamd.sh`, `s3.sh`) a test is
//! skipped, by name.

use std::time::Duration;

use interline_tests::server::{Setup, example_with};

use super::world::{World, random, why};

/// EICAR's test file, in two halves: a scanner on a developer's machine would take this source file away.
fn eicar() -> Vec<u8> {
    [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-", r"ANTIVIRUS-TEST-FILE!$H+H*"].concat().into_bytes()
}

fn variable(name: &str, test: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    if value.is_none() {
        eprintln!("skipped ({name} is not set): {test}");
    }
    value
}

/// A server whose app asks for a scan, by this rule, of the scanner there.
async fn scanning(name: &str, rule: &str, clamd: &str) -> World {
    World::with(name, |setup| {
        let directory = setup.data.parent().unwrap().to_owned();
        let files = format!("files: {{ scan: {rule} }}\n\nchannels:");
        let app_file = example_with(&directory, &[("channels:", &files)]).unwrap();
        let variables = vec![("INTERLINE_CLAMD".to_owned(), clamd.to_owned())];
        Setup { app_file, variables, ..setup }
    })
    .await
}

#[tokio::test]
async fn what_a_scanner_finds_is_blocked() {
    let Some(clamd) = variable("INTERLINE_TEST_CLAMD", "what_a_scanner_finds_is_blocked") else { return };
    let world = scanning("scan-block", "{ found: block, down: refuse }", &clamd).await;
    let (mut customer, _agent) = world.with_agent("ann").await;
    let at = customer.begin("eicar.txt", eicar().len()).await;
    let refused = customer.tus.append(&at, 0, &eicar()).await.unwrap();
    let (status, code, words) = why(&refused);
    assert_eq!((status, code.as_str()), (422, "file_infected"));
    assert!(words.contains("Eicar-Test-Signature"), "{words}");
    assert!(world.data("files").is_empty(), "its bytes were kept");
    let clean = customer.tus.send("clean.txt", b"words").await.unwrap();
    customer.socket.tell_with(2, "clean", &[clean]).await.unwrap();
    assert_eq!(world.event("clean").await.len(), 1);
    world.lives().await;
}

#[tokio::test]
async fn what_a_scanner_finds_is_sent_with_a_warning() {
    let Some(clamd) = variable("INTERLINE_TEST_CLAMD_SOCKET", "what_a_scanner_finds_is_sent_with_a_warning")
    else {
        return;
    };
    let world = scanning("scan-warn", "{ found: warn, down: refuse }", &clamd).await;
    let (mut customer, _agent) = world.with_agent("ann").await;
    let at = customer.begin("eicar.txt", eicar().len()).await;
    let taken = customer.tus.append(&at, 0, &eicar()).await.unwrap();
    assert_eq!(taken.status, 200, "{}", taken.text());
    let told = taken.json();
    assert!(told["warning"].as_str().unwrap().contains("Eicar-Test-Signature"), "{told}");
    let file = interline_tests::files::Attached::read(&told).unwrap();
    customer.socket.tell_with(2, "look", std::slice::from_ref(&file)).await.unwrap();
    let files = world.event("look").await;
    assert_eq!(files.len(), 1);
    // Who opens the page is warned before they download it.
    let page = world.get(interline_tests::files::path_of(&files[0].file_url)).await;
    assert!(page.text().contains("Eicar-Test-Signature"), "{}", page.text());
}

#[tokio::test]
async fn a_scanner_that_is_down_refuses_or_lets_pass_as_the_app_says() {
    let nowhere = "tcp://127.0.0.1:1";
    let world = scanning("scan-down-refuse", "{ found: block, down: refuse }", nowhere).await;
    let mut customer = world.customer("ann").await;
    let at = customer.begin("a.txt", 5).await;
    let refused = customer.tus.append(&at, 0, b"words").await.unwrap();
    let (status, code, _) = why(&refused);
    assert_eq!((status, code.as_str()), (503, "file_not_scanned"));
    let world = scanning("scan-down-accept", "{ found: block, down: accept }", nowhere).await;
    let mut customer = world.customer("ann").await;
    customer.tus.send("a.txt", b"words").await.unwrap();
    assert!(world.server.logged("scan") > 0, "nobody was told: {}", world.server.log_end());
}

#[tokio::test]
async fn files_in_a_bucket_outlive_a_kill() {
    let Some(endpoint) = variable("INTERLINE_TEST_S3", "files_in_a_bucket_outlive_a_kill") else { return };
    let mut world = World::with("bucket", |setup| {
        let settings = [
            ("INTERLINE_S3_BUCKET", "interline"),
            ("INTERLINE_S3_ENDPOINT", endpoint.as_str()),
            ("INTERLINE_S3_REGION", "us-east-1"),
            ("INTERLINE_S3_PREFIX", "black-box"),
            ("INTERLINE_S3_ACCESS_KEY", "test"),
            ("INTERLINE_S3_SECRET_KEY", "verysecret"),
        ];
        let variables = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Setup { variables, ..setup }
    })
    .await;
    let bytes = random(7_000_000);
    let (mut customer, _agent) = world.with_agent("ann").await;
    let file = customer.tus.send("large.txt", &bytes).await.unwrap();
    customer.socket.tell_with(2, "large", &[file]).await.unwrap();
    let brought = world.event("large").await.remove(0);
    assert!(world.data("files").is_empty(), "the bytes are here, not there");
    world.server.kill().await.unwrap();
    world.server.spawn().unwrap();
    world.server.ready().await.unwrap();
    let fetched = world.fetched(&brought).await;
    assert_eq!(fetched, interline_tests::files::Facts::of(&brought.file_name, &bytes));
    tokio::time::timeout(Duration::from_secs(30), world.lives()).await.unwrap();
    assert_eq!(world.server.logged("verysecret"), 0);
}
