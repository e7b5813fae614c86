//! What goes over the wire against the vendor's own descriptions, where they are at hand. They say neither what is required
//! nor that nothing else may come, so here anything they do not name is an error, but for what is listed with its reason.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// The folder of the descriptions. None: it is not here, and that is printed.
pub(super) fn folder(test: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    let found = workspace.parent()?.join("shared/specs/genesys");
    if found.is_dir() {
        return Some(found);
    }
    let note = format!("skipped: {test}: {} is not here\n", found.display());
    let _ = std::io::Write::write_all(&mut std::io::stderr(), note.as_bytes());
    None
}

pub(super) fn read(folder: &Path, name: &str) -> Value {
    let text = std::fs::read_to_string(folder.join(name)).expect("the description can be read");
    serde_json::from_str(&text).expect("the description is JSON")
}

/// A description's schemas, closed: an object has no other fields than those named.
pub(super) struct Schemas {
    key: &'static str,
    all: Value,
}

impl Schemas {
    /// `key`: where the schemas stand and what references begin with, `components/schemas` or `definitions`.
    pub fn new(document: &Value, key: &'static str, allow: &[(&str, &str, Value)]) -> Self {
        let mut all = document.pointer(&format!("/{key}")).expect("schemas").clone();
        for (schema, field, kind) in allow {
            all[*schema]["properties"][*field] = kind.clone();
        }
        close(&mut all);
        Self { key, all }
    }

    /// What is wrong with a value. Only the schemas that are reached are compiled.
    pub fn errors(&self, schema: &str, value: &Value) -> Vec<String> {
        self.errors_of(&json!({ "$ref": format!("#/{}/{schema}", self.key) }), value)
    }

    pub fn errors_of(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut reached = Map::new();
        self.reach(schema, &mut reached);
        let mut whole = schema.clone();
        let mut at = &mut whole;
        for part in self.key.split('/') {
            at = &mut at[part];
        }
        *at = Value::Object(reached);
        let whole = json!({ "allOf": [schema], self.key.split('/').next().unwrap_or_default():
            whole[self.key.split('/').next().unwrap_or_default()] });
        let validator = jsonschema::validator_for(&whole).expect("a schema");
        match validator.validate(value) {
            Ok(()) => Vec::new(),
            Err(errors) => errors.map(|error| format!("{}: {error}", error.instance_path)).collect(),
        }
    }

    fn reach(&self, schema: &Value, reached: &mut Map<String, Value>) {
        match schema {
            Value::Object(fields) => {
                if let Some(name) =
                    fields.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next())
                    && !reached.contains_key(name)
                {
                    let found = self.all[name].clone();
                    reached.insert(name.to_owned(), found.clone());
                    self.reach(&found, reached);
                }
                fields.values().for_each(|value| self.reach(value, reached));
            }
            Value::Array(values) => values.iter().for_each(|value| self.reach(value, reached)),
            _ => {}
        }
    }
}

fn close(schemas: &mut Value) {
    for (_, schema) in schemas.as_object_mut().into_iter().flatten() {
        let named = schema
            .get("properties")
            .is_some_and(|fields| fields.as_object().is_some_and(|it| !it.is_empty()));
        if named && schema["type"] == "object" {
            schema["additionalProperties"] = false.into();
        }
    }
}
