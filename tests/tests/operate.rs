//! What an operator sees: settings, the data directory, the schema, starting and stopping.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: a wrong assumption ends it; figures are its output"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use interline_tests::botkit::{Answers, BotKit, Manners};
use interline_tests::http::Http;
use interline_tests::scratch::Scratch;
use interline_tests::server::{self, Profile, Setup};
use interline_tests::web::{Site, keep};
use interline_tests::{App, postgres};
use sqlx::{AssertSqlSafe, Connection};

const NOBODY: &str = "http://127.0.0.1:9";
const SOON: Duration = Duration::from_secs(15);

fn setup(scratch: &Scratch) -> Setup {
    Setup::new(&scratch.path().join("data"), &App::fresh(), NOBODY)
}

/// Runs a `serve` that must refuse to start; what it said.
async fn refused(setup: &Setup) -> String {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server::free_port().unwrap()));
    let (status, said) = server::run(setup.command(address).unwrap()).await.unwrap();
    assert!(!status.success(), "it started: {said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(!said.contains(&setup.app.secret), "a secret is told: {said}");
    said
}

#[tokio::test]
async fn an_unknown_setting_is_refused_by_name() {
    let scratch = Scratch::new("settings").unwrap();
    let file = scratch.path().join("interline.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:0\"\nlisten_adress = \"127.0.0.1:1\"\n").unwrap();
    let by_file = Setup { flags: vec!["--config".into(), file.display().to_string()], ..setup(&scratch) };
    let said = refused(&by_file).await;
    assert!(said.contains("listen_adress") && said.contains("interline.toml"), "{said}");

    let by_variable = Setup { variables: vec![("INTERLINE_DATABSE".into(), "x".into())], ..setup(&scratch) };
    let said = refused(&by_variable).await;
    assert!(said.to_lowercase().contains("databse"), "{said}");

    let by_flag = Setup { flags: vec!["--databse".into(), "x".into()], ..setup(&scratch) };
    let said = refused(&by_flag).await;
    assert!(said.contains("--databse"), "{said}");
}

#[tokio::test]
async fn a_wrong_value_is_refused_by_name() {
    let scratch = Scratch::new("values").unwrap();
    for (name, value) in
        [("INTERLINE_PUBLIC_URL", "https://example.com/path"), ("INTERLINE_PUBLIC_URL", "nonsense")]
    {
        let wrong = Setup { variables: vec![(name.into(), value.into())], ..setup(&scratch) };
        let said = refused(&wrong).await;
        assert!(said.to_lowercase().contains("public_url"), "{said}");
    }
    let nothing = Setup { flags: vec!["--app".into(), "/nowhere/app.yaml".into()], ..setup(&scratch) };
    assert!(refused(&nothing).await.contains("/nowhere/app.yaml"));
    let wrong = Setup { database: Some("mysql://127.0.0.1/x".into()), ..setup(&scratch) };
    let said = refused(&wrong).await;
    assert!(said.contains("mysql"), "{said}");
    let away =
        Setup { database: Some("postgres://user:word-of-mouth@127.0.0.1:9/x".into()), ..setup(&scratch) };
    let said = refused(&away).await;
    assert!(!said.contains("word-of-mouth"), "the password is told: {said}");
}

#[tokio::test]
async fn a_missing_variable_is_an_error_with_its_line() {
    let scratch = Scratch::new("variables").unwrap();
    let text = std::fs::read_to_string(server::example()).unwrap();
    let (file, address) =
        (server::example().display().to_string(), SocketAddr::from((Ipv4Addr::LOCALHOST, 9)));
    for name in ["BOT_ID", "CLIENT_ID", "CLIENT_SECRET", "BOTKIT_URL"] {
        let used = format!("${{{name}}}");
        let line = text.lines().position(|line| !line.trim_start().starts_with('#') && line.contains(&used));
        let line = line.unwrap() + 1;
        let mut command = setup(&scratch).command(address).unwrap();
        command.env_remove(name);
        let (status, said) = server::run(command).await.unwrap();
        assert!(!status.success(), "{said}");
        for wanted in [&file, name, &format!("line {line}")] {
            assert!(said.contains(wanted), "`{wanted}` is missing: {said}");
        }
    }
}

#[tokio::test]
async fn a_wrong_app_file_is_an_error_with_its_place() {
    let scratch = Scratch::new("app-file").unwrap();
    for (from, to, wanted) in [
        ("default_agent: desk", "default_agnt: desk", "default_agnt"),
        ("default_agent: desk", "default_agent: dsk", "dsk"),
        ("go_to: handover", "go_to: hndover", "hndover"),
        ("type: botkit", "type: bootkit", "bootkit"),
        ("type: web", "type: wb", "wb"),
        ("id: ${BOT_ID}", "id: st-1", "st-1"),
        ("subscribe: [messages, transfers]", "subscribe: [messages]", "transfers"),
    ] {
        let app_file = server::example_with(scratch.path(), &[(from, to)]).unwrap();
        let said = refused(&Setup { app_file, ..setup(&scratch) }).await;
        assert!(said.contains(wanted) && said.contains("app.yaml"), "`{wanted}` is missing: {said}");
    }
}

#[tokio::test]
async fn a_second_process_on_the_same_data_directory_is_refused() {
    let scratch = Scratch::new("lock").unwrap();
    let mut first = setup(&scratch).start().await.unwrap();
    let said = refused(&setup(&scratch)).await;
    assert!(said.contains("in use"), "{said}");
    assert!(said.contains(&first.setup().data.display().to_string()), "{said}");
    assert_eq!(Http::new(first.address()).get("/healthz", &[]).await.unwrap().status, 200);
    // The lock goes with the process, however it ends.
    first.kill().await.unwrap();
    first.spawn().unwrap();
    first.ready().await.unwrap();
    assert!(first.terminate(SOON).await.unwrap().success());
}

#[tokio::test]
async fn too_few_open_files_are_refused_at_the_start() {
    let scratch = Scratch::new("files-limit").unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server::free_port().unwrap()));
    let started = setup(&scratch).command(address).unwrap();
    let mut limited = tokio::process::Command::new("sh");
    limited.arg("-c").arg("ulimit -n 1000; exec \"$0\" \"$@\"").arg(started.as_std().get_program());
    limited.args(started.as_std().get_args()).kill_on_drop(true);
    for (name, value) in started.as_std().get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let (status, said) = server::run(limited).await.unwrap();
    assert!(!status.success() && said.contains("1000 files open") && said.contains("LimitNOFILE"), "{said}");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let scratch = Scratch::new("port").unwrap();
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let (status, said) = server::run(setup(&scratch).command(address).unwrap()).await.unwrap();
    assert!(!status.success() && said.contains(&address.to_string()), "{said}");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone_on_sqlite() {
    let scratch = Scratch::new("schema").unwrap();
    let mut old = setup(&scratch).start().await.unwrap();
    old.terminate(SOON).await.unwrap();
    let file = format!("sqlite://{}", setup(&scratch).data.join("interline.db").display());
    newer_schema_is_refused::<sqlx::SqliteConnection>(&file, setup(&scratch)).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone_on_postgresql() {
    let Some(database) = postgres::database("schema").await.unwrap() else { return };
    let scratch = Scratch::new("schema").unwrap();
    let there = Setup { database: Some(database.url.clone()), ..setup(&scratch) };
    let mut old = there.clone().start().await.unwrap();
    old.terminate(SOON).await.unwrap();
    newer_schema_is_refused::<sqlx::PgConnection>(&database.url, there).await;
    database.remove().await.unwrap();
}

async fn newer_schema_is_refused<C>(url: &str, setup: Setup)
where
    C: Connection,
    for<'c> &'c mut C: sqlx::Executor<'c, Database = C::Database>,
{
    let mut database = C::connect(url).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 SELECT 900001, 'from the future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    let written = sqlx::raw_sql(newer).execute(&mut database).await;
    assert!(written.is_ok(), "{:?}", written.err());
    let said = refused(&setup).await;
    assert!(said.contains("900001") && said.contains("newer"), "{said}");
    let undone = "DELETE FROM _sqlx_migrations WHERE version = 900001";
    sqlx::raw_sql(AssertSqlSafe(undone.to_owned())).execute(&mut database).await.map(drop).unwrap();
    let _ = database.close().await;
    // Nothing was changed: the same program runs on it again.
    let mut again = setup.start().await.unwrap();
    again.terminate(SOON).await.unwrap();
}

#[tokio::test]
async fn migrate_says_the_version() {
    let scratch = Scratch::new("migrate").unwrap();
    let mut command = server::command(Profile::Debug);
    command.arg("migrate").arg("--data").arg(scratch.path());
    let (status, said) = server::run(command).await.unwrap();
    assert!(status.success() && said.contains("version"), "{said}");
    assert!(private(&scratch.path().join("interline.db")), "others may read the database");
}

/// Only its owner may read it.
fn private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o077 == 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_finishes_what_is_in_hand_and_says_good_bye() {
    let scratch = Scratch::new("sigterm").unwrap();
    let app = App::fresh();
    let (botkit, seen) = BotKit::keeping(&app).await.unwrap();
    let data = scratch.path().join("data");
    let mut server = Setup::new(&data, &app, &botkit.url).start().await.unwrap();
    assert!(private(&data.join("interline.db")) && private(&data.join("keys")), "others may read the data");
    let site = Site { address: server.address(), app };
    let token = site.log_in("ann").await.unwrap();
    let (hook, mut frames) = keep();
    let mut socket = site.open(&token, false, hook).await.unwrap();
    frames.line(SOON, "Hello").await.unwrap();
    socket.tell(1, "an agent, please").await.unwrap();
    botkit.wait_for_sessions(1, SOON).await.unwrap();
    frames.line(SOON, "Connecting").await.unwrap();
    // Its answer is slower than the stop: it counts as delivered, and must not come again after the restart.
    botkit.behave(Manners { messages: Answers::Never, ..Manners::default() });
    socket.tell(2, "the last word").await.unwrap();
    let begin = Instant::now();
    while !seen.lock().unwrap().iter().any(|seen| seen.text == "the last word") {
        assert!(begin.elapsed() < SOON, "it does not come to BotKit");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begin = Instant::now();
    server.ask_to_stop().await.unwrap();
    let closed = tokio::time::timeout(SOON, socket.closed()).await.expect("the socket is not closed");
    println!("the socket was closed after {:.1?} with {closed:?}", begin.elapsed());
    assert_eq!(closed.code, Some(1012), "the socket was not told that the server restarts");
    let status = server.ended(SOON).await;
    println!("it stopped after {:.1?}", begin.elapsed());
    assert!(status.unwrap().success(), "{}", server.log_end());
    assert_eq!(server.logged("panicked"), 0, "{}", server.log_end());

    botkit.behave(Manners::default());
    server.spawn().unwrap();
    server.ready().await.unwrap();
    let (hook, mut frames) = keep();
    let mut socket = site.open(&token, true, hook).await.unwrap();
    socket.tell(3, "back again").await.unwrap();
    let mut voice = botkit.voice(&botkit.sessions()[0]).unwrap();
    assert!(voice.say("welcome back").await.is_good());
    frames.line(SOON, "welcome back").await.unwrap();
    let begin = Instant::now();
    while !seen.lock().unwrap().iter().any(|seen| seen.text == "back again") {
        assert!(begin.elapsed() < SOON, "it does not come to BotKit");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let times = seen.lock().unwrap().iter().filter(|seen| seen.text == "the last word").count();
    assert_eq!(times, 1, "a delivery that had time to end came twice");
    assert_eq!(botkit.faults(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconnect_brings_what_was_missed() {
    let scratch = Scratch::new("missed").unwrap();
    let app = App::fresh();
    let (botkit, _) = BotKit::keeping(&app).await.unwrap();
    let mut server = Setup::new(&scratch.path().join("data"), &app, &botkit.url).start().await.unwrap();
    let site = Site { address: server.address(), app };
    let token = site.log_in("ann").await.unwrap();
    let (hook, mut frames) = keep();
    let mut socket = site.open(&token, false, hook).await.unwrap();
    socket.tell(1, "an agent, please").await.unwrap();
    botkit.wait_for_sessions(1, SOON).await.unwrap();
    let mut voice = botkit.voice(&botkit.sessions()[0]).unwrap();
    assert!(voice.say("seen").await.is_good());
    frames.line(SOON, "seen").await.unwrap();
    drop(socket);
    for round in ["away", "killed"] {
        assert!(voice.say(&format!("missed while {round}, 1")).await.is_good());
        assert!(voice.say(&format!("missed while {round}, 2")).await.is_good());
        if round == "killed" {
            server.kill().await.unwrap();
            server.spawn().unwrap();
            server.ready().await.unwrap();
        }
        let (hook, mut frames) = keep();
        let socket = site.open(&token, true, hook).await.unwrap();
        frames.line(SOON, &format!("missed while {round}, 1")).await.unwrap();
        frames.line(SOON, &format!("missed while {round}, 2")).await.unwrap();
        // Long enough for the mark to be written.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        drop(socket);
    }
    assert_eq!(botkit.faults(), Vec::<String>::new());
}
