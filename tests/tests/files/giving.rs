//! Downloads, and what an erasure leaves.

use std::path::PathBuf;

use interline_tests::files::{self, Facts};
use interline_tests::http::Http;
use interline_tests::operator::Operator;
use interline_tests::shelf::Lies;

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_downloads_are_five_also_across_a_kill() {
    let mut world = World::new("downloads").await;
    let (mut customer, _voice) = world.with_agent("ann").await;
    let file = customer.tus.send("a.txt", b"five times").await.unwrap();
    assert_eq!(world.download(&file.url).await.status, 404, "nobody shared it yet");
    customer.socket.tell_with(2, "take it", std::slice::from_ref(&file)).await.unwrap();
    let page = world.event("take it").await[0].file_url.clone();
    for _ in 0..2 {
        assert_eq!(world.download(&page).await.body, b"five times");
    }
    world.server.kill().await.unwrap();
    world.server.spawn().unwrap();
    world.server.ready().await.unwrap();
    for _ in 0..2 {
        assert_eq!(world.download(&page).await.body, b"five times");
    }
    let (one, two) = tokio::join!(world.download(&page), world.download(&page));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410], "two at the fifth");
    let sixth = Http::new(world.site.address);
    let asked = [("accept", "text/html")];
    let sixth = { sixth }.get(&format!("{}/download", files::path_of(&page)), &asked).await.unwrap();
    assert_eq!(sixth.status, 410);
    assert!(
        sixth.text().contains("used up") && sixth.text().contains("Ask in the conversation"),
        "{}",
        sixth.text()
    );
    assert_eq!(world.get(files::path_of(&page)).await.status, 410, "the page says so, too");
    // The customer's own link and the machine's are others.
    assert_eq!(world.download(&file.url).await.body, b"five times");
    let came = world.event("take it").await;
    assert_eq!(world.fetched(&came[0]).await, Facts::of("a.txt", b"five times"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_customers_bytes_are_gone_from_the_disk() {
    let world = World::new("erased").await;
    let (mut customer, mut voice) = world.with_agent("ann").await;
    let other = world.customer("bert").await.tus.send("other.txt", b"stays").await.unwrap();
    let file = customer.tus.send("mine.txt", b"tangerine").await.unwrap();
    customer.tus.send("unsent.txt", b"tangerine").await.unwrap();
    customer.socket.tell_with(2, "take it", std::slice::from_ref(&file)).await.unwrap();
    let shelved = world.botkit.shelve("theirs.txt", "tangerine", Lies::Whole);
    assert!(voice.say_with("and this", &[shelved]).await.is_good());
    let got = customer.line("and this").await;
    let machine = world.event("take it").await[0].download_url.clone();
    let under_way = customer.begin("under-way.txt", 18).await;
    assert_eq!(customer.tus.append(&under_way, 0, b"tangerine").await.unwrap().status, 204);
    assert_eq!(world.data("files").len(), 4);

    let mut operator = Operator::new(&world.server).await.unwrap();
    let whose = |all: Vec<serde_json::Value>| {
        let mine = all.iter().find(|one| one["address"].as_str().is_some_and(|it| it.contains("ann")));
        mine.unwrap_or_else(|| panic!("{all:?}"))["id"].as_str().unwrap().to_owned()
    };
    let id = whose(operator.list("/customers").await.unwrap());
    let erased = operator.call("DELETE", &format!("/customers/{id}")).await.unwrap();
    assert_eq!((erased.status, &erased.json()["files"]), (200, &3.into()), "{}", erased.text());
    let left = world.data("files");
    assert!(left.len() == 1 && left[0].ends_with(&other.id), "{left:?}");
    for link in [&file.url, &got[0].url] {
        assert_eq!(world.get(files::path_of(link)).await.status, 404);
    }
    assert_eq!(world.get(files::path_of(&machine)).await.status, 404);
    // What was under way cannot become a file of theirs any more.
    let late = customer.tus.append(&under_way, 9, b"tangerine").await.unwrap();
    assert!((400..500).contains(&late.status), "{} {}", late.status, late.text());
    let holds =
        |path: &PathBuf| std::fs::read(path).is_ok_and(|all| all.windows(9).any(|part| part == b"tangerine"));
    let found: Vec<PathBuf> =
        ["files", "uploads"].iter().flat_map(|place| world.data(place)).filter(holds).collect();
    assert_eq!(found, Vec::<PathBuf>::new(), "bytes of an erased customer are on disk");
    world.lives().await;
}
