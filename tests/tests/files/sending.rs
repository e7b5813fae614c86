//! Uploads and agents' files, and what stands in their way.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use interline_tests::files::{self, Attached, Facts, MOST, Published, Tus};
use interline_tests::http::Answer;
use interline_tests::operator::Operator;
use interline_tests::server::Setup;
use interline_tests::shelf::{Lies, Shelved};
use tokio::task::JoinSet;

use crate::world::{SOON, World, random, why};

/// A customer may have so many files under way or unsent.
const WAITING: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_both_ways() {
    let world = World::new("files").await;
    let (mut customer, mut voice) = world.with_agent("ann").await;
    let sent: Vec<Vec<u8>> = [10, 300_000, 1_048_576].map(random).into();
    let mut published = Published::new(world.site.address, &customer.token);
    let small = published.small("small.csv", &sent[1]).await.unwrap();
    // A multiple of the client's chunk: its last one is empty.
    let chunked = published.chunked("chunked.txt", &sent[2]).await.unwrap();
    let named = [
        customer.tus.send("tus.txt", &sent[0]).await.unwrap(),
        Attached::read(&small.json()).unwrap(),
        Attached::read(&chunked.json()).unwrap(),
    ];
    customer.socket.tell_with(2, "three for you", &named).await.unwrap();
    let came = world.event("three for you").await;
    let names: Vec<&str> = came.iter().map(|file| file.file_name.as_str()).collect();
    assert_eq!(names, ["tus.txt", "small.csv", "chunked.txt"]);
    for (file, bytes) in came.iter().zip(&sent) {
        assert_eq!(world.fetched(file).await, Facts::of(&file.file_name, bytes));
        assert_eq!((file.bytes, file.file_type.as_str()), (bytes.len() as u64, "attachment"));
    }

    let answers = [random(5), random(2_000_000)];
    let shelved = [
        world.botkit.shelve("answer.txt", answers[0].clone(), Lies::Whole),
        world.botkit.shelve("long answer.txt", answers[1].clone(), Lies::Unmeasured),
    ];
    assert!(voice.say_with("two for you", &shelved).await.is_good());
    let got = customer.line("two for you").await;
    assert_eq!(got.len(), 2);
    for ((file, bytes), name) in got.iter().zip(&answers).zip(["answer.txt", "long answer.txt"]) {
        let page = world.get(files::path_of(&file.url)).await;
        assert!(page.status == 200 && page.text().contains(name), "{}", page.text());
        assert_eq!(Facts::of(&file.name, &world.download(&file.url).await.body), Facts::of(name, bytes));
    }

    let mut operator = Operator::new(&world.server).await.unwrap();
    let conversation = operator.list("/conversations").await.unwrap()[0]["id"].as_str().unwrap().to_owned();
    let listed = operator.list(&format!("/conversations/{conversation}/files")).await.unwrap();
    let listed: Vec<Facts> = listed
        .iter()
        .map(|file| Facts {
            name: file["name"].as_str().unwrap().to_owned(),
            size: file["size"].as_u64().unwrap(),
            sha256: file["sha256"].as_str().unwrap().to_owned(),
        })
        .collect();
    let all = sent.iter().chain(&answers);
    let names = ["tus.txt", "small.csv", "chunked.txt", "answer.txt", "long answer.txt"];
    let mut all: Vec<Facts> = names.iter().zip(all).map(|(name, bytes)| Facts::of(name, bytes)).collect();
    let mut listed = listed;
    all.sort();
    listed.sort();
    assert_eq!(listed, all);
    world.lives().await;
}

/// Half of a PATCH comes; the connection stays open until the server is gone, or is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_stops_half_way_goes_on_where_it_stands() {
    let mut world = World::new("half").await;
    let (mut customer, _voice) = world.with_agent("ann").await;
    let bytes = random(3_000_000);
    let at = customer.begin("half.txt", bytes.len()).await;
    for killed in [false, true] {
        let from = files::offset(&customer.tus.progress(&at).await.unwrap()).unwrap();
        let (address, token, path) = (world.site.address, customer.token.clone(), at.clone());
        let rest = bytes[from..].to_vec();
        let half = tokio::spawn(async move {
            let mut slow = Tus::paced(address, &token, 50_000, Duration::from_millis(20));
            slow.append(&path, from, &rest).await
        });
        let more = from + 500_000;
        let begin = Instant::now();
        while files::offset(&customer.tus.progress(&at).await.unwrap()).unwrap() < more {
            assert!(begin.elapsed() < SOON, "nothing comes");
        }
        if killed {
            world.server.kill().await.unwrap();
            half.await.unwrap().unwrap_err();
            world.server.spawn().unwrap();
            world.server.ready().await.unwrap();
            customer.tus = Tus::new(address, &customer.token);
        } else {
            half.abort();
        }
        let there = files::offset(&customer.tus.progress(&at).await.unwrap()).unwrap();
        assert!((more..bytes.len()).contains(&there), "{there}");
        // Too early, too late.
        for wrong in [0, there + 1] {
            let (status, code, _) = why(&customer.tus.append(&at, wrong, b"x").await.unwrap());
            assert_eq!((status, code.as_str()), (409, "upload_offset"));
        }
    }
    let there = files::offset(&customer.tus.progress(&at).await.unwrap()).unwrap();
    let done = customer.tus.append(&at, there, &bytes[there..]).await.unwrap();
    assert_eq!(done.status, 200, "{}", done.text());
    let file = Attached::read(&done.json()).unwrap();
    // The answer may have been lost: it is given again.
    let again = customer.tus.append(&at, bytes.len(), b"").await.unwrap();
    assert_eq!(Attached::read(&again.json()).unwrap(), file);
    let mut socket = world.site.open(&customer.token, true, Arc::new(|_| {})).await.unwrap();
    socket.tell_with(2, "here it is", &[file]).await.unwrap();
    let came = world.event("here it is").await;
    assert_eq!(world.fetched(&came[0]).await, Facts::of("half.txt", &bytes));
    assert_eq!(world.data("uploads"), Vec::<PathBuf>::new());
    world.lives().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_large_and_empty_files_are_refused_by_either_way() {
    let world = World::new("large").await;
    let mut customer = world.customer("ann").await;
    let bytes = random(MOST + 1);
    let too_large = |answer: &Answer| {
        let (status, code, words) = why(answer);
        assert_eq!((status, code.as_str()), (413, "file_too_large"), "{}", answer.text());
        assert!(words.contains("25 MB"), "{words}");
    };
    too_large(&customer.tus.create("large.txt", MOST + 1).await.unwrap());
    // More than was declared.
    let at = customer.begin("small.txt", 100).await;
    assert_eq!(customer.tus.append(&at, 0, &bytes[..101]).await.unwrap().status, 413);
    // Not declared: one body, and the published client's chunks.
    let mut published = Published::new(world.site.address, &customer.token);
    too_large(&published.small("large.txt", &bytes).await.unwrap());
    let mut published = Published::new(world.site.address, &customer.token);
    too_large(&published.chunked("large.txt", &bytes).await.unwrap());
    assert_eq!(world.data("uploads"), Vec::<PathBuf>::new(), "what was refused is gone");

    let (status, code, _) = why(&customer.tus.create("empty.txt", 0).await.unwrap());
    assert_eq!((status, code.as_str()), (400, "file_empty"));
    let mut published = Published::new(world.site.address, &customer.token);
    assert_eq!(why(&published.small("empty.txt", b"").await.unwrap()).1, "file_empty");
    let tokens = (published.token().await.unwrap(), published.token().await.unwrap());
    let nothing = published.commit((&tokens.0, &tokens.1), "empty.txt").await.unwrap();
    assert_eq!(why(&nothing).1, "file_empty", "{}", nothing.text());

    // To the byte.
    let file = customer.tus.send("largest.txt", &bytes[..MOST]).await.unwrap();
    assert_eq!(file.bytes, MOST as u64);
    world.lives().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_200_uploads_at_once_so_many_are_taken_as_may_wait() {
    let world = World::new("many").await;
    let mut customer = world.customer("ann").await;
    let mut begun = Vec::new();
    for no in 0..200 {
        begun.push(customer.begin(&format!("{no}.txt"), 20_000).await);
    }
    let mut tasks = JoinSet::new();
    for at in begun {
        let mut tus = Tus::new(world.site.address, &customer.token);
        tasks.spawn(async move { (tus.append(&at, 0, &[b'x'; 10_000]).await.unwrap(), at) });
    }
    let all = tasks.join_all().await;
    let taken: Vec<&String> =
        all.iter().filter(|(answer, _)| answer.status == 204).map(|(_, at)| at).collect();
    for (answer, _) in all.iter().filter(|(answer, _)| answer.status != 204) {
        let (status, code, words) = why(answer);
        assert_eq!((status, code.as_str()), (429, "too_many_files_waiting"), "{}", answer.text());
        assert!(words.contains("at most 30"), "{words}");
    }
    assert!(taken.len() <= WAITING && !taken.is_empty(), "{} are taken at once", taken.len());
    assert!(world.data("uploads").len() <= WAITING);
    // Others are not disturbed, and those that were taken come to their end.
    world.lives().await;
    let mut files = Vec::new();
    for at in taken {
        let done = customer.tus.append(at, 10_000, &[b'y'; 10_000]).await.unwrap();
        assert_eq!(done.status, 200, "{}", done.text());
        files.push(Attached::read(&done.json()).unwrap());
    }
    for (no, few) in files.chunks(10).enumerate() {
        customer.socket.tell_with(no as u64 + 1, &format!("batch {no}"), few).await.unwrap();
    }
    // What was sent makes room.
    customer.tus.send("one-more.txt", b"words").await.unwrap();
    world.lives().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_and_harms_nothing() {
    let mut world = World::with("full", |setup| Setup { largest_file_kb: Some(12_000), ..setup }).await;
    let mut customer = world.customer("ann").await;
    let bytes = random(20_000_000);
    let full = |answer: &Answer| {
        let (status, code, words) = why(answer);
        assert_eq!((status, code.as_str()), (507, "no_room"), "{}", answer.text());
        assert!(words.contains("no room"), "{words}");
    };
    let kept = customer.tus.send("kept.txt", &bytes[..500_000]).await.unwrap();
    let at = customer.begin("big.txt", bytes.len()).await;
    full(&customer.tus.append(&at, 0, &bytes).await.unwrap());
    let there =
        files::offset(&Tus::new(world.site.address, &customer.token).progress(&at).await.unwrap()).unwrap();
    assert!(there <= 12_000 * 1024, "{there}");
    full(&Tus::new(world.site.address, &customer.token).append(&at, there, &bytes[there..]).await.unwrap());
    full(&Published::new(world.site.address, &customer.token).small("big.txt", &bytes).await.unwrap());
    // Small ones are taken all the same, and what was there is.
    customer.tus = Tus::new(world.site.address, &customer.token);
    let small = customer.tus.send("small.txt", b"words").await.unwrap();
    customer.socket.tell_with(1, "both", &[kept, small]).await.unwrap();
    customer.line("You said: both").await;
    world.lives().await;

    // There is room again: the upload goes on where it stands.
    world.server.terminate(SOON).await.unwrap();
    world.server.set_largest_file_kb(None);
    world.server.spawn().unwrap();
    world.server.ready().await.unwrap();
    let mut tus = Tus::new(world.site.address, &customer.token);
    let there = files::offset(&tus.progress(&at).await.unwrap()).unwrap();
    let done = tus.append(&at, there, &bytes[there..]).await.unwrap();
    let file = Attached::read(&done.json()).unwrap();
    let mut socket = world.site.open(&customer.token, true, Arc::new(|_| {})).await.unwrap();
    socket.tell_with(2, "the big one", std::slice::from_ref(&file)).await.unwrap();
    let got = world.download(&file.url).await;
    assert_eq!(Facts::of("big.txt", &got.body), Facts::of("big.txt", &bytes));
    world.lives().await;
}

/// What an agent's system offers and cannot keep is refused to it, in words; the customer sees nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_files_that_cannot_be_taken_are_refused_to_the_agent() {
    let world = World::new("agents-files").await;
    let (customer, mut voice) = world.with_agent("ann").await;
    let away = |url: String| Shelved { name: "a.txt".into(), url };
    let port = world.botkit.url.rsplit(':').next().unwrap().to_owned();
    let large = random(MOST + 1);
    let cases = [
        (world.botkit.shelve("large.txt", large.clone(), Lies::Whole), 413, "25 MB"),
        (world.botkit.shelve("large.txt", large, Lies::Unmeasured), 413, "25 MB"),
        (world.botkit.shelve("empty.txt", "", Lies::Whole), 400, "empty"),
        (world.botkit.shelve("broken.txt", random(500_000), Lies::Broken), 400, "half-way"),
        (away(format!("{}/files/999", world.botkit.url)), 400, "404"),
        // Nobody named these: not the machine itself, and not the network behind it.
        (
            away(format!("http://127.0.0.1:{}/healthz", world.site.address.port())),
            400,
            "could not be fetched",
        ),
        (away(format!("http://localhost:{port}/files/0")), 400, "could not be fetched"),
        (away("http://169.254.169.254/latest/meta-data/a.txt".into()), 400, "could not be fetched"),
        (away("http://[::1]/a.txt".into()), 400, "could not be fetched"),
        (away("file:///etc/passwd".into()), 400, "http"),
    ];
    for (no, (file, status, words)) in cases.into_iter().enumerate() {
        let answer = voice.send_with(&format!("case {no}"), &[file]).await.unwrap();
        assert_eq!(answer.status, status, "case {no}: {}", answer.text());
        let (_, _, said) = why(&answer);
        assert!(said.contains(words), "case {no}: {said}");
    }
    // All or nothing.
    let mixed = [
        world.botkit.shelve("good.txt", "words", Lies::Whole),
        world.botkit.shelve("empty.txt", "", Lies::Whole),
    ];
    assert_eq!(voice.send_with("mixed", &mixed).await.unwrap().status, 400);
    let many = vec![mixed[0].clone(); 11];
    assert_eq!(voice.send_with("eleven", &many).await.unwrap().status, 400);
    assert!(voice.send_with("the end", &mixed[..1]).await.unwrap().ok());
    customer.line("the end").await;
    let lines: Vec<String> = customer.lines.lock().unwrap().iter().map(|(text, _)| text.clone()).collect();
    assert!(
        !lines.iter().any(|text| ["case", "mixed", "eleven"].iter().any(|it| text.starts_with(it))),
        "{lines:?}"
    );
    assert_eq!(world.data("uploads"), Vec::<PathBuf>::new());
    world.lives().await;
}
