//! Files travel with the words they came with, whoever holds, releases or repeats those.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use interline_core::conversation::classify::Call;
use interline_core::conversation::entry::{Body, Entry, Role, Text};
use interline_core::conversation::input::AgentEvent;
use interline_core::conversation::request_id::{RequestId, RequestKind};
use interline_core::transfer::Stage;
use interline_core::{File, FileId, Input, ParticipantNo, Seq};
use support::acts::begun;
use support::app::{desk, kit, simple, watching_kit};
use support::world::World;

fn file(name: &str) -> File {
    File {
        id: FileId::new(format!("fil_{name}")),
        name: name.into(),
        mime: "application/pdf".into(),
        size: 3,
        sha256: "00".into(),
        warning: None,
    }
}

fn with(words: &str, names: &[&str]) -> Text {
    Text { files: names.iter().map(|name| file(name)).collect(), ..Text::plain(words) }
}

/// What was said to a role, with the names of the files.
fn heard(world: &World, role: Role) -> Vec<(String, Vec<String>)> {
    let said = |entry: &&Entry| entry.to == role && entry.text().is_some();
    let names = |text: &Text| text.files.iter().map(|file| file.name.clone()).collect();
    let told = |entry: &Entry| entry.text().map(|text| (text.text.clone(), names(text)));
    world.log.iter().filter(said).filter_map(told).collect()
}

fn held(world: &World) -> Seq {
    world.state.held.last().unwrap().seq
}

fn call(world: &mut World, seq: Seq, kind: RequestKind, call: Call) {
    let id = RequestId {
        conversation: world.state.id.clone(),
        participant: ParticipantNo(1),
        epoch: world.state.epoch,
        seq,
        kind,
    };
    world.step(Input::Callback { integration: "kit".into(), id, call });
}

#[test]
fn files_without_words_are_a_line() {
    let mut world = begun(simple(&[("desk", desk())], &["desk"]));
    world.step(Input::CustomerSaid(with("", &["a.pdf"])));
    assert_eq!(heard(&world, Role::Bot), [(String::new(), vec!["a.pdf".to_owned()])]);
}

#[test]
fn an_empty_word_releases_a_line_of_files_and_drops_one_of_words() {
    let mut world = begun(simple(&[("kit", watching_kit())], &["kit"]));
    world.step(Input::CustomerSaid(with("", &["a.pdf"])));
    let seq = held(&world);
    call(&mut world, seq, RequestKind::CustomerLine, Call::SendBotMessage(Text::default()));
    assert_eq!(heard(&world, Role::Bot), [(String::new(), vec!["a.pdf".to_owned()])]);

    world.step(Input::CustomerSaid(with("look", &["b.pdf"])));
    let seq = held(&world);
    call(&mut world, seq, RequestKind::CustomerLine, Call::SendBotMessage(Text::default()));
    assert_eq!(heard(&world, Role::Bot).len(), 1, "dropped");
}

#[test]
fn other_words_of_an_interceptor_keep_the_files() {
    let mut world = begun(simple(&[("kit", watching_kit())], &["kit"]));
    world.step(Input::CustomerSaid(with("my bill", &["a.pdf"])));
    let seq = held(&world);
    call(&mut world, seq, RequestKind::CustomerLine, Call::SendBotMessage(Text::plain("bill")));
    assert_eq!(heard(&world, Role::Bot), [("bill".to_owned(), vec!["a.pdf".to_owned()])]);
}

#[test]
fn an_agents_files_reach_the_customer_also_without_words() {
    let mut world = begun(simple(&[("desk", desk())], &["desk"]));
    world.customer("agent");
    world.deliver_all();
    world.joins();
    world.agent(AgentEvent::Said { text: with("", &["form.pdf"]), name: None });
    let told = heard(&world, Role::Customer);
    assert_eq!(told.last().unwrap(), &(String::new(), vec!["form.pdf".to_owned()]));
}

#[test]
fn files_sent_while_the_agent_leaves_wait_for_the_bot() {
    let mut world = begun(simple(&[("kit", kit())], &["kit"]));
    world.customer("agent");
    world.deliver_all();
    world.agent(AgentEvent::Ended { tag: None });
    assert_eq!(world.stage(), Some(Stage::Closing));
    world.step(Input::CustomerSaid(with("wait", &["a.pdf"])));
    world.silence();
    let told = heard(&world, Role::Bot);
    assert_eq!(told.last().unwrap(), &("wait".to_owned(), vec!["a.pdf".to_owned()]));
}

#[test]
fn old_entries_and_states_without_files_can_be_read() {
    let text: Text = serde_json::from_str(r#"{"text":"hi"}"#).unwrap();
    assert!(text.files.is_empty());
    let body = serde_json::to_string(&Body::Text(Text::plain("hi"))).unwrap();
    assert_eq!(body, r#"{"text":{"text":"hi"}}"#, "nor are they written when there are none");
}
