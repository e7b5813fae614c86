//! Files that want to harm: not what they say, or with a name that is a trap.

use std::path::PathBuf;

use interline_tests::files::{self, Attached, Published};
use interline_tests::shelf::Lies;

use crate::world::{World, why};

/// What it is decides, not what it is called; and whatever it is, no browser shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_taken_for_what_it_is_not_or_shown() {
    let world = World::new("polyglots").await;
    let (mut customer, mut voice) = world.with_agent("ann").await;
    let cases: [(&str, &[u8], &str); 7] = [
        ("page.pdf", b"<html><script>alert(1)</script>%PDF-1.7", "file_content"),
        ("script.gif", b"GIF89a/*xxxxxxxxxxxx*/=1;alert(document.domain)//", "file_content"),
        ("page.txt", b"<html><body onload=alert(1)>", "file_content"),
        ("drawing.png", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "file_content"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "file_format"),
        ("program.exe", b"MZ\x90\0", "file_format"),
        ("program", b"#!/bin/sh\n", "file_format"),
    ];
    for (name, bytes, wanted) in cases {
        let tus = match customer.tus.create(name, bytes.len()).await.unwrap() {
            begun if begun.status == 201 => {
                let at = begun.header("location").unwrap().to_owned();
                let done = customer.tus.append(&at, 0, bytes).await.unwrap();
                assert_eq!(
                    customer.tus.progress(&at).await.unwrap().status,
                    200,
                    "a refused one begins anew"
                );
                done
            }
            refused => refused,
        };
        let mut published = Published::new(world.site.address, &customer.token);
        let (small, chunked) =
            (published.small(name, bytes).await.unwrap(), published.chunked(name, bytes).await.unwrap());
        for answer in [tus, small, chunked] {
            let (status, code, words) = why(&answer);
            assert_eq!((status, code.as_str()), (415, wanted), "{name}: {}", answer.text());
            assert!(words.contains("not what its name says") || words.contains(".pdf, "), "{words}");
        }
        let shelved = world.botkit.shelve(name, bytes, Lies::Whole);
        let answer = voice.send_with("look at this", &[shelved]).await.unwrap();
        assert_eq!(answer.status, 415, "{name}: {}", answer.text());
    }
    assert_eq!([world.data("uploads"), world.data("files")].concat(), Vec::<PathBuf>::new());

    // Those that may be sent are saved, never shown.
    let page = b"<!doctype html><html><script>alert(document.cookie)</script></html>";
    let xml = b"<?xml version=\"1.0\"?><order><item/></order>";
    let both = [
        customer.tus.send("page.html", page).await.unwrap(),
        customer.tus.send("order.xml", xml).await.unwrap(),
    ];
    customer.socket.tell_with(2, "take these", &both).await.unwrap();
    for file in world.event("take these").await {
        let person = world.download(&file.file_url).await;
        let machine = world.get(files::path_of(&file.download_url)).await;
        for answer in [person, machine] {
            assert_eq!(answer.status, 200);
            for (name, wanted) in [
                ("content-type", "application/octet-stream"),
                ("x-content-type-options", "nosniff"),
                ("content-security-policy", "default-src 'none'; sandbox"),
                ("referrer-policy", "no-referrer"),
            ] {
                assert_eq!(answer.header(name), Some(wanted), "{}: {name}", file.file_name);
            }
            let how = answer.header("content-disposition").unwrap();
            assert!(how.starts_with(&format!("attachment; filename=\"{}\"", file.file_name)), "{how}");
        }
    }
    world.lives().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_come_out_safe_on_either_side() {
    let world = World::new("names").await;
    let (mut customer, mut voice) = world.with_agent("ann").await;
    let long = format!("{}.txt", "x".repeat(4_000));
    let cases = [
        ("../../../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Windows\\system32\\evil.txt", "evil.txt"),
        ("a\r\nSet-Cookie: x=1\0.txt", "aSet-Cookie_ x=1.txt"),
        ("invoice\u{202e}txt.exe.txt", "invoicetxt.exe.txt"),
        ("quo\"te;<b>%41.txt", "quo_te;_b_%41.txt"),
        ("日本語 Müller.txt", "日本語 Müller.txt"),
        (long.as_str(), ""),
        ("..txt", ""),
        (" . . /.. ", ""),
        ("", ""),
    ];
    for (no, (given, wanted)) in cases.iter().enumerate() {
        let begun = customer.tus.create(given, 5).await.unwrap();
        if begun.status != 201 {
            let (status, _, words) = why(&begun);
            assert!(
                wanted.is_empty() && (400..500).contains(&status) && !words.is_empty(),
                "{given:.40}: {}",
                begun.text()
            );
            continue;
        }
        let at = begun.header("location").unwrap().to_owned();
        let done = customer.tus.append(&at, 0, b"words").await.unwrap();
        let file = Attached::read(&done.json()).unwrap();
        safe(&file.name, wanted);
        customer.socket.tell_with(no as u64 + 10, &format!("case {no}."), &[file]).await.unwrap();
        let came = world.event(&format!("case {no}.")).await;
        safe(&came[0].file_name, wanted);
        let answer = world.download(&came[0].file_url).await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"words"[..]));
        let how = answer.header("content-disposition").unwrap();
        assert!(
            how.is_ascii() && how.matches('"').count() == 2 && answer.header("set-cookie").is_none(),
            "{how}"
        );
        assert_eq!(world.get(files::path_of(&came[0].file_url)).await.status, 200);

        let shelved = world.botkit.shelve(given, "words", Lies::Whole);
        let answer = voice.send_with(&format!("back {no}."), &[shelved]).await.unwrap();
        assert_eq!(answer.status, 200, "{given:.40}: {}", answer.text());
        let got = customer.line(&format!("back {no}.")).await;
        safe(&got[0].name, wanted);
    }
    world.lives().await;
}

/// No path, nothing invisible, and no longer than a file system takes.
fn safe(name: &str, wanted: &str) {
    assert!(wanted.is_empty() || name == wanted, "{name:?}, not {wanted:?}");
    assert!(!name.is_empty() && name.len() <= 255 && name.ends_with(".txt"), "{name:?}");
    assert!(!name.contains(['/', '\\', '\u{202e}']) && !name.chars().any(char::is_control), "{name:?}");
}
