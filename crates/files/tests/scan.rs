//! The scanner: Debian's clamd where `INTERLINE_TEST_CLAMD` names one (`tests/support/clamd.sh CMD`), and stand-ins for what
//! a good one never does.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use interline_files::scan::{Scanner, Verdict};
use support::Scratch;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// EICAR's test file, in two halves: a scanner on a developer's machine would take this source file away.
fn eicar() -> Vec<u8> {
    [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-", r"ANTIVIRUS-TEST-FILE!$H+H*"].concat().into_bytes()
}

fn scanners(test: &str) -> Vec<Scanner> {
    let named = ["INTERLINE_TEST_CLAMD", "INTERLINE_TEST_CLAMD_SOCKET"].map(|name| std::env::var(name).ok());
    if named[0].is_none() {
        eprintln!("skipped (INTERLINE_TEST_CLAMD is not set): {test}");
    }
    named.into_iter().flatten().map(|address| Scanner::new(&address).unwrap()).collect()
}

#[tokio::test]
async fn a_real_scanner_finds_eicar_and_nothing_else() {
    let scratch = Scratch::new();
    let infected = scratch.file("eicar.txt", &eicar());
    // The signature is of the whole file: one more letter, and it is another.
    let clean = scratch.file("clean.txt", &[eicar(), b"x".to_vec()].concat());
    let large = scratch.file("large.bin", &vec![7; 25 * 1024 * 1024]);
    for scanner in scanners("a_real_scanner_finds_eicar_and_nothing_else") {
        scanner.ping().await.unwrap();
        let found = scanner.scan(&infected).await.unwrap();
        assert!(matches!(&found, Verdict::Found(name) if name.contains("Eicar-Test-Signature")), "{found:?}");
        assert_eq!(scanner.scan(&clean).await, Ok(Verdict::Clean));
        assert_eq!(scanner.scan(&large).await, Ok(Verdict::Clean));
    }
}

#[tokio::test]
async fn a_file_larger_than_a_real_scanner_takes_is_no_verdict() {
    let scratch = Scratch::new();
    let larger = scratch.file("larger.bin", &vec![7; 31 * 1024 * 1024]);
    for scanner in scanners("a_file_larger_than_a_real_scanner_takes_is_no_verdict") {
        assert!(scanner.scan(&larger).await.is_err());
        // It goes on with the next.
        assert_eq!(scanner.scan(&scratch.file("a.txt", b"words")).await, Ok(Verdict::Clean));
    }
}

/// Says `answer` to whatever is sent, and hangs up.
async fn says(answer: &'static [u8]) -> Scanner {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut some = [0; 64];
            let _ = socket.read(&mut some).await;
            let _ = socket.write_all(answer).await;
        }
    });
    Scanner::new(&format!("tcp://{address}")).unwrap()
}

#[tokio::test]
async fn anything_but_a_verdict_is_a_scanner_that_is_down() {
    let scratch = Scratch::new();
    let file = scratch.file("a.txt", b"words");
    for answer in [b"".as_slice(), b"INSTREAM size limit exceeded. ERROR\0", b"\xff\xfe\0", b"stream: OK?\0"]
    {
        let said = says(answer).await.scan(&file).await;
        assert!(said.is_err(), "{answer:?}: {said:?}");
    }
    // Nobody listens there.
    let nowhere = Scanner::new("tcp://127.0.0.1:1").unwrap();
    assert!(nowhere.scan(&file).await.is_err() && nowhere.ping().await.is_err());
    let no_socket = Scanner::new("unix:///nowhere/clamd.sock").unwrap();
    assert!(no_socket.scan(&file).await.is_err());
}
