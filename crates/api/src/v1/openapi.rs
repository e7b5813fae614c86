//! The description of the API, OpenAPI 3.1. What a resource says about itself stands with it; what holds for all of them
//! (errors, path parameters, the ETag) is added here, from the same facts that the code goes by.

use serde_json::{Map, Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, OpenApiVersion, ServerBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use super::documented;
use super::events::ConversationChanged;
use super::problem::{Details, Fault};

const ABOUT: &str = "Configure and operate Interline: apps, integrations, live transfers, conversations.\n\n\
    Every call carries a key: `Authorization: Bearer ilk_…`. A key has a role (`read`, `operate`, `admin`) and is for one \
    app, or for the whole server. What a key may not see does not exist for it (404).\n\n\
    Errors are `application/problem+json` (RFC 9457): tell cases apart by `code`. Lists come in pages: send `next` back as \
    `cursor`. Changes of an app take `If-Match` with the ETag of the version that you looked at. Acts on conversations take \
    `Idempotency-Key`. At most 100 requests a second with one key, 200 at once.";

const TAGS: [(&str, &str); 13] = [
    ("apps", "An app is one document: its channels, agent systems, credentials and flow."),
    ("integrations", "Channels and agent systems, one at a time."),
    ("channels", "Which agent system the transfers of a channel go to."),
    ("credentials", "Client ids and secrets of the outside: who may log in, who may call back."),
    ("flows", "What the bot does: drafts, validation, publishing, history."),
    ("containment", "What is counted of conversations."),
    ("keys", "Keys of this API."),
    ("connectors", "Types of integrations, with the settings that each asks for."),
    ("conversations", "Sessions of customers: state, log, acts, transcript links, files."),
    ("transfers", "Live hand-overs."),
    ("participants", "Sessions with agent systems that something is held for."),
    ("customers", "People, and forgetting them."),
    ("events", "What changes, as it changes."),
];

/// What is said before any resource speaks.
pub(super) fn base() -> OpenApi {
    let licence = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("Interline")
        .version("1")
        .description(Some(ABOUT))
        .license(Some(licence))
        .build();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("ilk_<id>_<secret>")
        .description(Some("A key of the API. The role that an operation needs stands with its security."))
        .build();
    let mut schemas = vec![
        (Details::name().into_owned(), Details::schema()),
        (Fault::name().into_owned(), Fault::schema()),
        (ConversationChanged::name().into_owned(), ConversationChanged::schema()),
    ];
    ConversationChanged::schemas(&mut schemas);
    let components = ComponentsBuilder::new()
        .security_scheme("key", SecurityScheme::Http(bearer))
        .schemas_from_iter(schemas)
        .build();
    let tag = |(name, about)| TagBuilder::new().name(name).description(Some(about)).build();
    OpenApiBuilder::new()
        .openapi(OpenApiVersion::Version31)
        .info(info)
        .servers(Some([ServerBuilder::new().url("/").description(Some("This server.")).build()]))
        .tags(Some(TAGS.map(tag)))
        .components(Some(components))
        .build()
}

/// The whole description.
pub(crate) fn describe() -> Value {
    let mut described = serde_json::to_value(documented().into_openapi()).unwrap_or_default();
    described["components"]["responses"] = problems();
    described["components"]["parameters"] = parameters();
    for (name, schema) in described["components"]["schemas"].as_object_mut().into_iter().flatten() {
        // Of a generic type the parts are repeated in each; they have names.
        if let Some(item) = name.strip_prefix("Page_") {
            schema["properties"]["items"]["items"] =
                json!({ "$ref": format!("#/components/schemas/{item}") });
        }
    }
    let Some(paths) = described["paths"].as_object_mut() else { return described };
    for (path, item) in paths {
        for operation in item.as_object_mut().into_iter().flat_map(|item| item.values_mut()) {
            complete(path, operation);
        }
    }
    described
}

/// What every problem is about: its name, status, and when it comes.
const PROBLEMS: [(&str, &str, &str); 11] = [
    ("Invalid", "400", "`invalid`: what was sent has faults; `errors` lists them with their places."),
    ("NoValidKey", "401", "`no_valid_key`: there is no key, or it is unknown, revoked or expired."),
    ("RoleTooWeak", "403", "`role_too_weak`: the key's role is not enough."),
    ("NotFound", "404", "`not_found`: there is no such thing, or the key may not see it."),
    ("Timeout", "408", "`timeout`: it took longer than 30 seconds. A change may still be made."),
    ("VersionConflict", "412", "`version_conflict`: another version is in force; `version` says which."),
    ("TooLarge", "413", "`too_large`: a body has at most 1 MiB."),
    ("NotJson", "415", "`not_json`: the body is not declared as JSON."),
    ("TooManyRequests", "429", "`too_many_requests`: wait for as many seconds as Retry-After says."),
    ("Internal", "500", "`internal`: our fault; the server's log says more."),
    ("StoreUnavailable", "503", "`store_unavailable`: the same again later will do; see Retry-After."),
];

fn problem_content() -> Value {
    json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } })
}

fn problems() -> Value {
    let wait = json!({ "Retry-After": { "description": "Seconds.", "schema": { "type": "integer" } } });
    let responses = PROBLEMS.iter().map(|(name, status, about)| {
        let mut response = json!({ "description": about, "content": problem_content() });
        match *status {
            "429" | "503" => response["headers"] = wait.clone(),
            "401" => {
                let challenge = json!({ "description": "`Bearer`", "schema": { "type": "string" } });
                response["headers"] = json!({ "WWW-Authenticate": challenge });
            }
            _ => {}
        }
        ((*name).to_owned(), response)
    });
    Value::Object(responses.collect())
}

/// What stands in paths.
const SEGMENTS: [(&str, &str, &str); 10] = [
    ("app", "string", "The app's id: `st-` and a UUID."),
    ("name", "string", "The name in the app."),
    ("conversation", "string", "The conversation's id: `cnv_…`."),
    ("flow", "string", "The flow's name."),
    ("version", "integer", "A version of the flow, from 1."),
    ("file", "string", "The file's id: `fil_…`."),
    ("customer", "string", "The customer's id: `cus_…`, or `u-…` as it stands on the field's wires."),
    ("key", "string", "The key's id: its public part."),
    ("transfer", "integer", "The transfer's number in the conversation."),
    ("participant", "integer", "The participant's number in the conversation."),
];

fn parameters() -> Value {
    let parameters = SEGMENTS.iter().map(|(name, kind, about)| {
        let mut schema = json!({ "type": kind });
        if *kind == "integer" {
            schema["minimum"] = json!(0);
        }
        let parameter =
            json!({ "name": name, "in": "path", "required": true, "description": about, "schema": schema });
        ((*name).to_owned(), parameter)
    });
    Value::Object(parameters.collect())
}

/// Adds to an operation what its path, parameters, body and role imply.
fn complete(path: &str, operation: &mut Value) {
    let names = || path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> =
        names().map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })).collect();
    let own = operation["parameters"].as_array().cloned().unwrap_or_default();
    let versioned = own.iter().any(|parameter| parameter["name"] == "If-Match");
    let asks = !own.is_empty();
    let body = operation.get("requestBody").is_some();
    let weak = operation["security"][0]["key"] == json!(["read"]);
    parameters.extend(own);
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if body {
        operation["requestBody"]["required"] = json!(true);
    }
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, response) in responses.iter_mut() {
        if !status.starts_with('2') {
            response["content"] = problem_content();
        } else if versioned {
            let etag = json!({ "description": "The app's version, for `If-Match`.", "schema": { "type": "string" } });
            response["headers"]["ETag"] = etag;
        }
    }
    let implied = |status: &str| match status {
        "400" => asks || body,
        "403" => !weak,
        "404" => names().next().is_some(),
        "412" => versioned,
        "413" | "415" => body,
        _ => true,
    };
    for (name, status, _) in PROBLEMS.iter().filter(|(_, status, _)| implied(status)) {
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        add(responses, status, reference);
    }
}

fn add(responses: &mut Map<String, Value>, status: &str, response: Value) {
    responses.entry(status).or_insert(response);
}
