//! The entries that a hand-over is made of.

use std::collections::BTreeMap;

use interline_connector::agent::Brief;
use interline_connector::files::{Carried, Source};
use interline_connector::{Context, Item};
use interline_core::conversation::entry::Text;
use interline_core::conversation::state::Customer;
use interline_core::transfer::Outcome;
use interline_core::{
    Body, Entry, Epoch, File, FileId, Owner, Participant, ParticipantNo, Profile, Role, Seq, Speaker, Time,
    TransferNo,
};

pub const CONVERSATION: &str = "cnv_0192af00c0ffee";

fn item(seq: u64, by: Speaker, body: Body) -> Item {
    let profile = Profile {
        name: Some("Ann Müller".into()),
        first_name: Some("Ann".into()),
        email: Some("ann@example.com".into()),
        language: Some("de".into()),
        ..Profile::default()
    };
    let entry = Entry {
        seq: Seq(seq),
        at: Time(1_795_329_324_502),
        by,
        to: Role::Agent,
        epoch: Epoch(2),
        transfer: Some(TransferNo(1)),
        release_of: None,
        body,
    };
    let participant = Participant {
        no: ParticipantNo(2),
        integration: "desk".into(),
        role: Role::Agent,
        transfer: Some(TransferNo(1)),
        queue: Some("Billing".into()),
        from: Seq(1),
        to: None,
        took_over: false,
        only_close: false,
        gone: false,
    };
    let customer = Customer {
        id: "cus_1".into(),
        channel: "web".into(),
        address: "ann@web".into(),
        profile,
        connection: Default::default(),
    };
    Item {
        entry,
        participant,
        conversation: Brief { app: "st-1".into(), id: CONVERSATION.into(), customer, owner: Owner::Agent },
        before: Vec::new(),
        files: Vec::new(),
        transcript: None,
        context: Context::default(),
    }
}

/// An Open with all that may travel along.
pub(in crate::genesys) fn open_item(seq: u64) -> Item {
    let mut item = item(seq, Speaker::System, Body::Open);
    item.transcript = Some("https://chat.example.com/t/secret".parse().expect("a URL"));
    item.context = Context {
        skills: vec!["refunds".into(), "german".into()],
        data: BTreeMap::from([("order".to_owned(), "A-17 „ß“".to_owned())]),
        summary: "- I want my money back".into(),
        ..Context::default()
    };
    item
}

pub fn line_item(seq: u64, text: &str) -> Item {
    item(seq, Speaker::Customer, Body::Text(Text::plain(text)))
}

pub fn close_item(seq: u64, outcome: Outcome) -> Item {
    item(seq, Speaker::System, Body::Close { participant: ParticipantNo(2), outcome })
}

/// A line of one file, which lies at `fetch`.
pub fn file_item(seq: u64, text: &str, name: &str, fetch: &str, fits: bool, source: Source) -> Item {
    let file = File {
        id: FileId::from("fil_1"),
        name: name.into(),
        mime: "application/pdf".into(),
        size: 11,
        sha256: "ab".repeat(32),
        warning: None,
    };
    let mut item =
        item(seq, Speaker::Customer, Body::Text(Text { files: vec![file.clone()], ..Text::plain(text) }));
    let page = "https://chat.example.com/f/secret".parse().expect("a URL");
    item.files = vec![Carried { file, page, fetch: fetch.parse().expect("a URL"), fits, source }];
    item
}
