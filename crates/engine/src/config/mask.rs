//! Where the secrets of a document are: known from the types, not from a list. Credentials have one each; those of an
//! integration are what its settings' schema marks `writeOnly`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::document::Document;

/// What stands for a secret that is not shown. Sent back, it means: as it was.
pub const KEPT: &str = "(secret)";

/// The document as JSON, with [`KEPT`] for each secret.
pub fn masked(document: &Document) -> Value {
    let mut value = document.to_json();
    for path in secrets(document) {
        if let Some(secret) = value.pointer_mut(&path) {
            *secret = Value::from(KEPT);
        }
    }
    value
}

/// JSON pointers to the secrets that a document holds.
pub(super) fn secrets(document: &Document) -> Vec<String> {
    let value = document.to_json();
    let mut found: Vec<String> = document
        .credentials
        .keys()
        .map(|name| format!("/credentials/{}/client_secret", escaped(name)))
        .collect();
    found.extend(document.env.keys().map(|name| format!("/env/{}", escaped(name))));
    let kinds = [("channels", &document.channels), ("agents", &document.agents), ("bots", &document.bots)];
    for (group, integrations) in kinds {
        for (name, integration) in integrations {
            let Some(schema) = settings_schema(&integration.kind) else { continue };
            let at = format!("/{group}/{}", escaped(name.as_str()));
            if let Some(settings) = value.pointer(&at) {
                collect(&schema, &schema, settings, &at, &mut found);
            }
        }
    }
    found
}

/// The fields at the top of some settings that are, or hold, secrets.
pub(super) fn secrets_of(schema: Value, settings: &Map<String, Value>) -> BTreeSet<String> {
    let holds = |(name, value): (&String, &Value)| {
        let mut found = Vec::new();
        let alone = Value::Object([(name.clone(), value.clone())].into_iter().collect());
        collect(&schema, &schema, &alone, "", &mut found);
        (!found.is_empty()).then(|| name.clone())
    };
    settings.iter().filter_map(holds).collect()
}

/// The settings schema of a channel or agent system type.
pub(super) fn settings_schema(kind: &str) -> Option<Value> {
    let agent = interline_agents::all().iter().find(|connector| connector.manifest().id == kind);
    agent
        .map(|connector| connector.settings_schema())
        .or_else(|| interline_channels::find(kind).map(|channel| (channel.settings)().to_value()))
        .or_else(|| interline_bots::find(kind).map(|bot| bot.settings_schema()))
}

/// Walks schema and settings side by side.
fn collect(root: &Value, schema: &Value, settings: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        if let Some(target) = name.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) {
            collect(root, target, settings, at, found);
        }
        return;
    }
    if schema["writeOnly"] == Value::Bool(true) {
        found.push(at.to_owned());
        return;
    }
    for variant in ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| schema[*key].as_array()).flatten() {
        collect(root, variant, settings, at, found);
    }
    match settings {
        Value::Object(map) => {
            for (name, value) in map {
                let inner = match schema["properties"].get(name) {
                    Some(known) => known,
                    None => &schema["additionalProperties"],
                };
                collect(root, inner, value, &format!("{at}/{}", escaped(name)), found);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                collect(root, &schema["items"], value, &format!("{at}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// As a part of a JSON pointer (RFC 6901).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use interline_connector::Secret;
    use schemars::JsonSchema;
    use serde_json::json;

    use super::*;

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is used")]
    struct Settings {
        url: String,
        token: Option<Secret>,
        more: Vec<Inner>,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is used")]
    struct Inner {
        key: Secret,
        name: String,
    }

    #[test]
    fn a_secret_is_found_by_its_type_wherever_it_stands() {
        let schema = schemars::schema_for!(Settings).to_value();
        let settings = json!({ "url": "x", "token": "t", "more": [{ "key": "k", "name": "n" }] });
        let mut found = Vec::new();
        collect(&schema, &schema, &settings, "", &mut found);
        found.sort();
        found.dedup();
        assert_eq!(found, ["/more/0/key", "/token"]);
    }
}
