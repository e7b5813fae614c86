//! Access tokens, and what the deployment says of itself with them.

use ::http::{HeaderMap, StatusCode, header};
use axum::Json;
use axum::extract::State;
use interline_connector::simulator::Desk;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::org::{Conversation, too_many};
use super::refused::{Refused, bad, unknown};
use super::{Settings, Simulator};

const KEY: &[u8] = b"the org's own key, which nobody outside knows";

/// What a token says.
#[derive(Serialize, Deserialize)]
pub(super) struct Claims {
    pub sub: String,
    /// A continuation token is another client of the same subject.
    client: String,
    /// In seconds since 1970.
    pub exp: i64,
}

impl Claims {
    pub fn expired(&self, desk: &Desk) -> bool {
        self.exp * 1000 <= desk.clock().now_ms()
    }

    fn sign(&self) -> String {
        jsonwebtoken::encode(&Header::default(), self, &EncodingKey::from_secret(KEY)).unwrap_or_default()
    }
}

pub(super) async fn unauthenticated(
    State(sim): State<Simulator>,
    Json(asked): Json<Value>,
) -> Result<Json<Value>, Refused> {
    let settings = sim.settings();
    let short = |id: &str| id.chars().take(15).collect::<String>();
    let text = |name: &str| asked[name].as_str().unwrap_or_default();
    if short(text("orgId")) != short(&settings.organization) {
        return Err(Refused(StatusCode::UNAUTHORIZED, "unknown organization"));
    }
    if text("esDeveloperName") != settings.developer_name {
        return Err(unknown("no such embedded service deployment"));
    }
    if text("capabilitiesVersion") != "1" || !matches!(text("platform"), "Web" | "Mobile") {
        return Err(bad("capabilitiesVersion and platform are required"));
    }
    let now = sim.desk().clock().now_ms();
    let mut inner = sim.org.inner();
    if too_many(&mut inner.tokens, now, settings.tokens_per_minute, 60_000) {
        return Err(Refused(StatusCode::TOO_MANY_REQUESTS, "too many access tokens"));
    }
    let subject = inner.subject();
    let exp = now / 1000 + settings.token_seconds;
    let claims = Claims { sub: subject.clone(), client: Uuid::new_v4().to_string(), exp };
    Ok(Json(json!({
        "accessToken": claims.sign(), "lastEventId": "0",
        "context": {
            "deviceId": Uuid::new_v4().to_string(),
            "endUser": { "appType": "iamessage", "role": "EndUser", "subject": subject, "displayName": "Guest" },
            "configuration": { "timestamp": now, "embeddedServiceConfig": deployment(settings) },
        },
    })))
}

fn deployment(settings: &Settings) -> Value {
    let field = |(order, field): (usize, &super::Field)| {
        json!({ "name": field.name, "order": order, "type": "Text", "required": field.required,
            "maxLength": field.longest, "isHidden": !field.required, "choiceListId": null })
    };
    let fields: Vec<Value> = settings.fields.iter().enumerate().map(field).collect();
    json!({
        "name": settings.developer_name, "deploymentType": "Api",
        "embeddedServiceMessagingChannel": {
            "channelAddressIdentifier": "11111111-2222-4333-8444-555555555555", "authMode": settings.auth_mode,
        },
        "forms": [{ "formType": "PreChat", "displayContext": "Conversation", "formFields": fields }],
        "attachments": { "endUserToAgent": settings.files, "maxFileSize": 5 },
        "choiceListConfig": { "choiceList": [] }, "transcript": { "allowTranscriptDownload": true },
    })
}

/// This org's customers are not verified.
pub(super) async fn authenticated() -> Refused {
    Refused(StatusCode::FORBIDDEN, "user verification is not set up for this deployment")
}

/// The same subject, another client, the same end.
pub(super) async fn continuation(
    State(sim): State<Simulator>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    let known = sim.claims(&headers)?;
    let claims = Claims { client: Uuid::new_v4().to_string(), ..known };
    Ok(Json(json!({ "accessToken": claims.sign(), "lastEventId": "0" })))
}

impl Simulator {
    /// What the token of a request says.
    pub(super) fn claims(&self, headers: &HeaderMap) -> Result<Claims, Refused> {
        let no = || Refused(StatusCode::UNAUTHORIZED, "Jwt is missing or not valid");
        let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(no)?;
        // The clock that counts is the stand-in's.
        let rules = Validation { validate_exp: false, ..Validation::default() };
        let read = jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(KEY), &rules);
        let claims = read.map_err(|_| no())?.claims;
        if claims.expired(self.desk()) {
            return Err(Refused(StatusCode::UNAUTHORIZED, "Jwt is expired"));
        }
        Ok(claims)
    }

    /// Lets nobody but its own subject near a conversation.
    pub(super) fn with<T>(
        &self,
        headers: &HeaderMap,
        id: &str,
        work: impl FnOnce(&mut Conversation) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let subject = self.claims(headers)?.sub;
        work(self.org.inner().own(id, &subject)?)
    }
}
