//! A voicemail is noted, named and told, whatever its conversation does meanwhile; and each is told by one who tells no other.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use interline_core::conversation::call::{CallLeg, CallRecord};
use interline_core::conversation::entry::{Body, Note, Role, Text};
use interline_core::conversation::input::Scope;
use interline_core::conversation::voicemail::{EndedBy, Recorded, Voicemail};
use interline_core::flow::Private;
use interline_core::flow::script::Notify;
use interline_core::flow::work::{Outcome, Task};
use interline_core::{File, Input, Owner, Time};
use support::acts::begun;
use support::app::{desk, simple};

fn recorded(file: Option<File>) -> Recorded {
    Recorded {
        voicemail: Voicemail {
            began_at: Time(5),
            took_ms: 2_000,
            ended_by: EndedBy::Silence,
            no_file: file.is_none().then(|| "nothing was said".into()),
            words: file.as_ref().map(|_| "call me".into()),
            no_words: None,
            file,
            meta: serde_json::Map::new(),
        },
        notify: Notify { url: "https://x.test/v".into(), headers: Private::Nothing },
        record: CallRecord {
            leg: CallLeg::Caller,
            method: "VOICEMAIL".into(),
            target: "+1".into(),
            sent: Vec::new(),
            code: None,
            reason: None,
            result: "recorded".into(),
            took_ms: 2_000,
        },
    }
}

fn file() -> File {
    File {
        id: "fil_1".into(),
        name: "voicemail.wav".into(),
        mime: "audio/wav".into(),
        size: 3,
        sha256: "00".into(),
        warning: None,
    }
}

#[test]
fn a_voicemail_is_noted_named_and_told_also_after_the_end() {
    let mut world = begun(simple(&[("desk", desk())], &["desk"]));
    let mut told = Vec::new();
    for ends in [false, true] {
        if ends {
            world.step(Input::CustomerEnds(Scope::Conversation));
        }
        let (owner, before) = (world.state.owner, world.log.len());
        let participants = world.state.participants.clone();
        world.step(Input::Voicemail(Box::new(recorded(Some(file())))));
        assert_eq!((world.state.owner, &world.state.participants), (owner, &participants), "nothing changes");
        let new = &world.log[before..];
        assert!(matches!(&new[0].body, Body::Note(Note::Called(record)) if record.method == "VOICEMAIL"));
        let words = Text { files: vec![file()], ..Text::plain("call me") };
        assert_eq!((new[1].to, &new[1].body), (Role::Nobody, &Body::Text(words)), "it answers nothing");
        assert!(new[1].customer_sees());
        let Body::Work { participant, work } = &new[2].body else { panic!("{:?}", new[2]) };
        assert!(matches!(&work.task, Task::Notice(notice) if notice.notify.url == "https://x.test/v"));
        let hearer = &world.hearers[participant].participant;
        assert_eq!((hearer.from, hearer.to), (new[2].seq, Some(new[2].seq)), "one entry is its part");
        assert!(hearer.hears(&new[2]) && !hearer.hears(&new[1]));
        told.push((*participant, work.no));
    }
    assert_eq!(world.state.owner, Owner::Closed);
    assert!(told[0].0 != told[1].0 && told[0].1 != told[1].1, "{told:?}");
    // What came of it is noted, too.
    let (no, came) = (told[1].1, "HTTP 204".to_owned());
    world.step(Input::Worked { no, outcome: Outcome::Told { came: came.clone() } });
    assert_eq!(world.log.last().unwrap().body, Body::Note(Note::Worked { no, came }));
}

#[test]
fn where_nothing_was_said_there_is_no_line_and_it_is_told() {
    let mut world = begun(simple(&[("desk", desk())], &["desk"]));
    let before = world.log.len();
    world.step(Input::Voicemail(Box::new(recorded(None))));
    let kinds: Vec<bool> = world.log[before..].iter().map(|entry| entry.text().is_some()).collect();
    assert_eq!(kinds, [false, false]);
    // An outcome is no flow's.
    let at = world.state.bot.at.clone();
    let came = "refused: HTTP 404".to_owned();
    world.step(Input::Worked { no: 1, outcome: Outcome::Told { came } });
    assert_eq!(world.state.bot.at, at);
    assert!(matches!(world.log.last().unwrap().body, Body::Note(Note::Worked { .. })));
}
