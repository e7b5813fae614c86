//! The API's description, as a judge of answers and a source of requests.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};

/// One operation of the description.
#[derive(Debug, Clone)]
pub struct Operation {
    pub id: String,
    pub method: String,
    pub path: String,
    pub role: String,
    pub what: Value,
}

pub struct Description {
    pub document: Value,
    /// The same, but no property may be told that is not described.
    strict: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

pub static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| {
    let document = interline_api::openapi();
    let strict = strict(document.clone());
    Description { document, strict, validators: Mutex::default() }
});

/// Closes every object but those that are open on purpose.
fn strict(mut document: Value) -> Value {
    let open = ["Document", "DocumentIntegration"];
    let mut parts = BTreeSet::new();
    parts_of(&document["components"]["schemas"], false, &mut parts);
    let schemas = document["components"]["schemas"].as_object_mut().unwrap();
    for (name, schema) in schemas {
        if open.contains(&name.as_str()) || parts.contains(name) {
            continue;
        }
        if schema.get("allOf").is_some() || schema.get("properties").is_some() {
            schema["unevaluatedProperties"] = json!(false);
        }
    }
    document
}

/// The schemas that others are put together from.
fn parts_of(schema: &Value, inside: bool, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(name) = map.get("$ref").and_then(Value::as_str).filter(|_| inside) {
                found.insert(name.rsplit('/').next().unwrap().to_owned());
            }
            for (key, value) in map {
                let inside = match key.as_str() {
                    "allOf" => true,
                    "properties" | "items" => false,
                    _ => inside,
                };
                parts_of(value, inside, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| parts_of(value, inside, found)),
        _ => {}
    }
}

impl Description {
    pub fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        for (path, item) in self.document["paths"].as_object().unwrap() {
            for (method, what) in item.as_object().unwrap() {
                operations.push(Operation {
                    id: what["operationId"].as_str().unwrap().to_owned(),
                    method: method.to_uppercase(),
                    path: path.clone(),
                    role: what["security"][0]["key"][0].as_str().unwrap().to_owned(),
                    what: what.clone(),
                });
            }
        }
        operations
    }

    /// The operation that a request is for.
    pub fn find(&self, method: &str, path: &str) -> Option<Operation> {
        let path: Vec<&str> = path.split('?').next().unwrap().split('/').collect();
        let fits = |template: &str| {
            let template: Vec<&str> = template.split('/').collect();
            template.len() == path.len()
                && template.iter().zip(&path).all(|(part, is)| part.starts_with('{') || part == is)
        };
        self.operations().into_iter().find(|operation| operation.method == method && fits(&operation.path))
    }

    /// What `$ref` leads to, or the value itself.
    pub fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
            None => value,
        }
    }

    /// Whether `instance` is what the schema at `pointer` says.
    pub fn judge(&self, pointer: &str, instance: &Value) -> Result<(), String> {
        let mut validators = self.validators.lock().unwrap();
        let validator = validators.entry(pointer.to_owned()).or_insert_with(|| {
            let mut schema = self.strict.clone();
            schema["$ref"] = json!(format!("#{pointer}"));
            Arc::new(jsonschema::draft202012::new(&schema).unwrap())
        });
        let faults: Vec<String> = match validator.validate(instance) {
            Ok(()) => Vec::new(),
            Err(faults) => faults.map(|fault| format!("{}: {fault}", fault.instance_path)).collect(),
        };
        if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
    }

    /// Checks an answer against what its operation says about this status.
    pub fn check(&self, asked: &str, status: u16, kind: Option<&str>, body: &Value) {
        let kind = kind.map(|kind| kind.split(';').next().unwrap().to_owned());
        let (method, path) = asked.split_once(" ").unwrap();
        let Some(operation) = self.find(method, path) else {
            assert_eq!(kind.as_deref(), Some("application/problem+json"), "{asked}: {status} {body}");
            self.judge("/components/schemas/Problem", body).unwrap();
            return;
        };
        let told = operation.what["responses"].get(status.to_string());
        let told =
            told.unwrap_or_else(|| panic!("{}: status {status} is not described: {body}", operation.id));
        let response = self.resolve(told);
        let Some(content) = response.get("content") else {
            assert_eq!(*body, Value::Null, "{}: {status} has no body", operation.id);
            return;
        };
        let kind = kind.unwrap_or_else(|| panic!("{}: {status} has no content type", operation.id));
        assert!(content.get(&kind).is_some(), "{}: {status} is {kind}", operation.id);
        let at = match told["$ref"].as_str() {
            Some(reference) => reference.trim_start_matches('#').to_owned(),
            None => format!(
                "/paths/{}/{}/responses/{status}",
                operation.path.replace('/', "~1"),
                operation.method.to_lowercase()
            ),
        };
        let pointer = format!("{at}/content/{}/schema", kind.replace('/', "~1"));
        // In a URI fragment braces are escaped.
        let pointer = pointer.replace('{', "%7B").replace('}', "%7D");
        if let Err(faults) = self.judge(&pointer, body) {
            panic!("{} answered {status} with what it does not describe:\n{faults}\n{body:#}", operation.id);
        }
        if status >= 400 {
            assert_eq!(body["status"], status, "{body}");
        }
    }

    /// The least that a schema takes.
    pub fn least(&self, schema: &Value) -> Value {
        let schema = self.resolve(schema);
        if let Some(first) = schema["enum"].get(0) {
            return first.clone();
        }
        let kind = schema["type"].as_array().map_or(&schema["type"], |kinds| &kinds[0]);
        match kind.as_str() {
            Some("object") => {
                let required = schema["required"].as_array().cloned().unwrap_or_default();
                let mut object = serde_json::Map::new();
                for name in required.iter().filter_map(Value::as_str) {
                    object.insert(name.to_owned(), self.least(&schema["properties"][name]));
                }
                Value::Object(object)
            }
            Some("array") => json!([]),
            Some("string") => json!("x"),
            Some("boolean") => json!(true),
            Some("integer" | "number") => json!(1),
            other => panic!("no example of {other:?}: {schema}"),
        }
    }
}
