//! Every frame of the connector and of the stand-in against the vendor's definitions.

use std::sync::Arc;

use interline_connector::Aside;
use interline_connector::files::Source;
use interline_connector::simulator::{Act, Acts, Fault};
use interline_core::transfer::Outcome;
use serde_json::{Value, json};

use super::guest_relay::{Bytes, talking, usual};
use super::spec::{Schemas, folder, read};
use super::support::*;
use crate::genesys::simulator::guest::Side;

/// What differs, and why.
fn allowed() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        // The vendor's own client says so with an upload; the sheet, 8.2.
        ("GenerateUploadUrlRequest", "errorsAsJson", json!({ "type": "boolean" })),
    ]
}

fn request_schema(action: &str) -> &'static str {
    match action {
        "configureSession" => "ConfigureSessionRequest",
        "onMessage" => "SendMessageRequest",
        "onAttachment" => "GenerateUploadUrlRequest",
        "getJwt" => "GetJwtRequest",
        "echo" => "SendEchoRequest",
        "closeSession" => "CloseSessionRequest",
        other => panic!("the connector sends {other}"),
    }
}

fn body_schema(class: &str, body: &Value) -> Option<&'static str> {
    Some(match class {
        "string" => return None,
        "StructuredMessage" if body["direction"] == "Outbound" => "CleanMessage",
        "StructuredMessage" => "StructuredMessage",
        "SessionResponse" => "SessionResponse",
        "PresignedUrlResponse" => "PresignedUrlResponse",
        "UploadSuccessEvent" => "UploadSuccessEvent",
        "UploadFailureEvent" => "UploadFailureEvent",
        "GenerateUrlError" => "GenerateUrlError",
        "ConnectionClosedEvent" => "ConnectionClosedEvent",
        "SessionClearedEvent" => "SessionClearedEvent",
        "JwtResponse" => "JwtResponse",
        "TooManyRequestsErrorMessage" => "TooManyRequestsErrorMessage",
        other => panic!("the stand-in sends {other}"),
    })
}

#[tokio::test]
async fn every_frame_is_what_the_vendor_describes() {
    let Some(folder) = folder("every_frame_is_what_the_vendor_describes") else { return };
    let mut document = read(&folder, "genesys-webmessaging-guest-definitions.json");
    // The vendor's own client leaves it out; the sheet, 8.2.
    let required = &mut document["definitions"]["GenerateUploadUrlRequest"]["required"];
    required.as_array_mut().expect("a list").retain(|field| field != "fileMd5");
    let schemas = Schemas::new(&document, "definitions", &allowed());
    let (world, sim) = usual().await;
    let (chat, id) = talking(&world, &sim).await;
    let source = Source(Arc::new(Bytes(b"the content")));
    chat.tell(file_item(2, "my bill", "bill.pdf", "https://chat.example.com/f/v/x", true, source));
    chat.aside(Aside::Typing(true));
    world.desk.faults().add("onMessage line", 1, Fault::ErrorBefore { status: 429, retry_after: None });
    chat.tell(line_item(3, "hello"));
    chat.notes.settled(3).await.expect("delivered");
    let file = world.desk.on_shelf(&world.desk.shelve("a.png", "x".into()).expect("room")).expect("there");
    sim.act(&id, Act::Say { text: "look".into(), files: vec![file] }).await.expect("said");
    sim.act(&id, Act::Type { on: true }).await.expect("told");
    // The history too.
    world.desk.faults().add("socket", 1, Fault::Kill);
    sim.act(&id, Act::say("missed")).await.expect("said");
    chat.notes.said("missed").await;
    chat.tell(close_item(4, Outcome::CustomerEnded));
    chat.notes.settled(4).await.expect("closed");
    let frames = sim.frames();
    let mut seen = std::collections::BTreeSet::new();
    for (side, frame) in &frames {
        let (schema, value) = match side {
            Side::Theirs => (request_schema(frame["action"].as_str().unwrap_or_default()), frame),
            Side::Ours => {
                assert_eq!(schemas.errors("BaseMessageType", &frame["type"]), Vec::<String>::new());
                assert_eq!(
                    schemas.errors("MessageDataType", &frame["class"]),
                    Vec::<String>::new(),
                    "{frame}"
                );
                match body_schema(frame["class"].as_str().unwrap_or_default(), &frame["body"]) {
                    Some(schema) => (schema, &frame["body"]),
                    None => continue,
                }
            }
        };
        assert_eq!(schemas.errors(schema, value), Vec::<String>::new(), "{schema}: {value}");
        if *side == Side::Theirs && schema == "SendMessageRequest" && frame["message"]["channel"].is_object()
        {
            // Its schema is an open object; what we put in is described.
            let wrong = schemas.errors("BaseMessagingChannel", &frame["message"]["channel"]);
            assert_eq!(wrong, Vec::<String>::new(), "{frame}");
        }
        seen.insert(schema);
    }
    for wanted in [
        "ConfigureSessionRequest",
        "GenerateUploadUrlRequest",
        "GetJwtRequest",
        "SessionResponse",
        "CleanMessage",
        "TooManyRequestsErrorMessage",
    ] {
        assert!(seen.contains(wanted), "{wanted} never went over the wire");
    }
}
