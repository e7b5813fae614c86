//! Menus and digits, in a chat and on a call.

use serde_json::json;

use super::*;

fn menu(more: Value) -> Value {
    let mut menu = json!({
        "message": "1 for billing, 2 for support",
        "choices": [
            { "key": "1", "words": ["billing", "my bill"], "go_to": "yes" },
            { "key": "2", "label": "Support", "go_to": "no" },
        ],
    });
    menu.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    begins("menu", json!({ "menu": { "ivr_menu": menu } }))
}

const ASKED: &str = "1 for billing, 2 for support";

#[test]
fn a_menu_goes_by_key_by_label_and_by_words() {
    for (said, leads) in [("1", "yes"), (" 2 ", "no"), ("support", "no"), ("It is about my bill.", "yes")] {
        let mut stage = Stage::new(menu(json!({})));
        assert_eq!(stage.starts(), [ASKED]);
        assert_eq!(stage.says(said), [leads, "end"], "{said}");
    }
}

#[test]
fn what_was_chosen_is_remembered() {
    let mut flow = menu(json!({}));
    flow["nodes"]["yes"] = json!({ "message": { "text": "you pressed {{context.steps.menu}}" } });
    let mut stage = Stage::new(flow);
    stage.starts();
    assert_eq!(stage.says("my bill"), ["you pressed 1"]);
}

#[test]
fn a_wrong_input_is_asked_again_and_then_goes_elsewhere() {
    let wrong = json!({ "wrong_input": { "message": "Pardon?", "tries": 3, "go_to": "oops" } });
    let mut stage = Stage::new(menu(wrong));
    stage.starts();
    assert_eq!(stage.says("7"), ["Pardon?"]);
    assert_eq!(stage.says("eight"), ["Pardon?"]);
    assert_eq!(stage.says("9"), ["oops", "end"]);
    let mut stage = Stage::new(menu(json!({})));
    stage.starts();
    assert_eq!(stage.says("7"), [ASKED], "without words of its own the menu is said again");
}

#[test]
fn a_wrong_input_without_an_exit_takes_the_error_exit() {
    let mut stage =
        Stage::new(menu(json!({ "wrong_input": { "tries": 1 }, "on_error": { "go_to": "oops" } })));
    stage.starts();
    assert_eq!(stage.says("7"), ["failed at menu: too many wrong inputs", "oops", "end"]);
}

#[test]
fn on_a_call_the_channel_says_that_nothing_came() {
    let timeout =
        json!({ "timeout": { "seconds": 4, "message": "Are you there?", "tries": 2, "go_to": "oops" } });
    let mut stage = Stage::new(menu(timeout)).call();
    stage.starts();
    let Some(Expects::Input(asks)) = stage.memory.turn.take() else { panic!("an input is expected") };
    assert_eq!((asks.timeout_ms, asks.barge_in), (Some(4_000), false));
    assert!(matches!(&asks.takes, Takes::Menu { choices } if choices.len() == 2));
    assert_eq!(stage.at.as_ref().unwrap().until, None);
    assert_eq!(stage.is_silent(), ["Are you there?"]);
    assert_eq!(stage.is_silent(), ["oops", "end"]);
}

#[test]
fn a_chat_waits_for_ever_unless_it_is_told_otherwise() {
    let mut stage = Stage::new(menu(json!({})));
    stage.starts();
    assert_eq!(stage.at.as_ref().unwrap().until, None);
    let timeout = json!({ "timeout": { "seconds": 5, "tries": 2, "go_to": "oops" } });
    let mut stage = Stage::new(menu(timeout));
    stage.starts();
    assert_eq!(stage.passes(4_999), [""; 0]);
    assert_eq!(stage.passes(1), [ASKED]);
    assert_eq!(stage.passes(5_000), ["oops", "end"]);
}

fn digits(more: Value) -> Value {
    let mut node =
        json!({ "message": "Your number, then #", "min": 3, "max": 6, "end_key": "#", "next": "yes" });
    node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut flow = begins("account", json!({ "account": { "digit_input": node } }));
    flow["nodes"]["yes"] = json!({ "message": { "text": "{{context.steps.account}}" } });
    flow
}

#[test]
fn digits_are_read_as_they_come() {
    for (said, read) in [("1234#", "1234"), ("12 34", "1234"), ("12-34", "1234"), ("123456", "123456")] {
        let mut stage = Stage::new(digits(json!({})));
        assert_eq!(stage.starts(), ["Your number, then #"]);
        assert_eq!(stage.says(said), [read], "{said}");
    }
    for said in ["12", "1234567", "12a4", "", "#"] {
        let mut stage = Stage::new(digits(json!({ "wrong_input": { "message": "Again" } })));
        stage.starts();
        assert_eq!(stage.says(said), ["Again"], "{said}");
    }
}

#[test]
fn digits_have_a_timeout_and_a_wrong_input_exit() {
    let mut stage = Stage::new(digits(json!({ "timeout": { "tries": 1, "go_to": "oops" } }))).call();
    stage.starts();
    assert_eq!(stage.is_silent(), ["oops", "end"]);
    let mut stage = Stage::new(digits(json!({ "wrong_input": { "tries": 1, "go_to": "no" } }))).call();
    stage.starts();
    assert_eq!(stage.says("x"), ["no", "end"]);
    let mut stage = Stage::new(digits(json!({ "wrong_input": { "tries": 1 } }))).call();
    stage.starts();
    let sorry = stage.app.texts.flow_failed.clone();
    assert_eq!(
        stage.says("x"),
        ["failed at account: too many wrong inputs", &sorry, "end"],
        "a call ends politely"
    );
}
