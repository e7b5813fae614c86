//! The description itself: checked in and not stale, and complete.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::schema::DESCRIPTION;

#[test]
fn the_description_in_the_docs_is_not_stale() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api/openapi.json");
    let now = format!("{:#}\n", DESCRIPTION.document);
    if std::env::var_os("INTERLINE_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, now).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let written: Value = serde_json::from_str(&written).unwrap_or_default();
    assert!(
        written == DESCRIPTION.document,
        "docs/api/openapi.json is stale: run this test with INTERLINE_BLESS=1"
    );
}

#[test]
fn every_operation_is_described_in_full() {
    let tags: BTreeSet<&str> = DESCRIPTION.document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().filter(|_| tag["description"].is_string()).unwrap())
        .collect();
    let (mut ids, mut used) = (BTreeSet::new(), BTreeSet::new());
    assert!(DESCRIPTION.document["openapi"].as_str().unwrap().starts_with("3.1."));
    for operation in DESCRIPTION.operations() {
        let id = &operation.id;
        assert!(ids.insert(id.clone()), "{id} stands there twice");
        let tag = operation.what["tags"][0].as_str().unwrap().to_owned();
        assert!(tags.contains(tag.as_str()), "{id}: nobody says what `{tag}` is");
        used.insert(tag);
        assert!(operation.what["summary"].as_str().is_some_and(|text| text.len() > 5), "{id} has no summary");
        assert!(["read", "operate", "admin"].contains(&operation.role.as_str()), "{id}: {}", operation.role);
        let responses = operation.what["responses"].as_object().unwrap();
        for status in ["401", "429", "500", "503"] {
            assert!(responses.contains_key(status), "{id} does not tell of {status}");
        }
        assert_eq!(responses.contains_key("403"), operation.role != "read" || id == "get_document", "{id}");
        assert!(responses.keys().any(|status| status.starts_with('2')), "{id} cannot go well");
        for parameter in operation.what["parameters"].as_array().into_iter().flatten() {
            let parameter = DESCRIPTION.resolve(parameter);
            assert!(parameter["description"].is_string(), "{id}: {parameter}");
        }
    }
    assert_eq!(used.len(), tags.len(), "a tag without operations");
}

#[test]
fn every_schema_says_what_it_and_its_properties_are() {
    let schemas = DESCRIPTION.document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        assert!(schema["description"].is_string(), "{name}");
        for (property, inner) in schema["properties"].as_object().into_iter().flatten() {
            let told = [inner, &inner["oneOf"][0]]
                .iter()
                .any(|told| told["description"].is_string() || told.get("$ref").is_some());
            assert!(told, "{name}.{property}: {inner}");
        }
    }
}
