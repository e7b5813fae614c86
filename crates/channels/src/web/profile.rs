//! What a login tells of the person. What the JWT says is signed by the app's owner and counts; custom data beside it comes
//! from the page, hence from whoever opened it.

use interline_core::Profile;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Claims of the person, as OpenID Connect and the vendor's SDK name them. What is not a text is left out.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Person {
    name: Option<Value>,
    given_name: Option<Value>,
    family_name: Option<Value>,
    #[serde(rename = "fName")]
    first: Option<Value>,
    #[serde(rename = "lName")]
    last: Option<Value>,
    email: Option<Value>,
    phone_number: Option<Value>,
    locale: Option<Value>,
    #[serde(rename = "secureCustomData")]
    secure: Option<Value>,
    #[serde(rename = "privateClaims")]
    private: Option<Value>,
}

impl Person {
    /// The profile, with custom data of the page.
    pub fn profile(self, page: Option<&Value>) -> Profile {
        let data = [page, self.private.as_ref(), self.secure.as_ref()];
        let data = data.into_iter().flatten().filter_map(Value::as_object).flat_map(values).collect();
        let text = |value: Option<Value>| value.as_ref().and_then(word);
        Profile {
            name: text(self.name),
            first_name: text(self.given_name).or_else(|| text(self.first)),
            last_name: text(self.family_name).or_else(|| text(self.last)),
            email: text(self.email),
            phone: text(self.phone_number),
            language: text(self.locale),
            data,
        }
        .bounded()
    }
}

/// Each value as a text; what has parts as JSON.
fn values(data: &Map<String, Value>) -> impl Iterator<Item = (String, String)> {
    let told = |value: &Value| match value {
        Value::Null => None,
        Value::Array(_) | Value::Object(_) => Some(value.to_string()),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => word(value),
    };
    data.iter().filter_map(move |(name, value)| Some((name.clone(), told(value)?)))
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_signed_counts_more_than_what_the_page_says() {
        let person: Person = serde_json::from_value(json!({
            "fName": "Ada", "lName": "L.", "family_name": " Lovelace ", "email": "ada@example.com", "locale": "en-GB", "name": "",
            "phone_number": 4420, "secureCustomData": { "tier": "gold", "vip": true, "cart": { "n": 2 } },
        }))
        .expect("claims");
        let page = json!({ "tier": "platinum", "page": "/checkout", "nothing": null });
        let profile = person.profile(Some(&page));
        assert_eq!(profile.full_name().as_deref(), Some("Ada Lovelace"));
        assert_eq!(profile.phone.as_deref(), Some("4420"));
        let data: Vec<(&str, &str)> = profile.data.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(data, [("cart", "{\"n\":2}"), ("page", "/checkout"), ("tier", "gold"), ("vip", "true")]);
    }

    #[test]
    fn nothing_told_is_nothing_known() {
        let person: Person = serde_json::from_value(json!({ "sub": "ann", "email": ["x"] })).expect("claims");
        assert!(person.profile(Some(&json!("text"))).is_empty());
    }
}
