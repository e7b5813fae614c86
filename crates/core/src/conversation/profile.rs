//! What is known of a person, as far as it travels along to whoever takes over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Names, addresses and single values, in bytes.
const LONGEST: usize = 512;
/// Custom data: so many values, and so many bytes of them in all.
const MOST_DATA: usize = 50;
const MOST_DATA_BYTES: usize = 2_048;

/// What is known of a person. The channel tells it; all of it may be missing. Kept with the conversation that it was
/// told for, so that it is erased with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// The name as a whole, where the parts are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// The family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// An e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// A telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// A BCP 47 language tag: `de`, `en-US`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Custom data, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
}

impl Profile {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The name as a whole.
    pub fn full_name(&self) -> Option<String> {
        let parts: Vec<&str> =
            [&self.first_name, &self.last_name].into_iter().flatten().map(String::as_str).collect();
        self.name.clone().or_else(|| (!parts.is_empty()).then(|| parts.join(" ")))
    }

    /// The same, as large as a state document may hold: long texts are cut, custom data beyond 50 values or 2 kB is left
    /// out, the last by name first. Vendors take no more either.
    pub fn bounded(mut self) -> Self {
        let known = [
            &mut self.name,
            &mut self.first_name,
            &mut self.last_name,
            &mut self.email,
            &mut self.phone,
            &mut self.language,
        ];
        for text in known.into_iter().flatten() {
            cut(text);
        }
        let mut bytes = 0;
        let mut data = BTreeMap::new();
        for (mut name, mut value) in self.data {
            cut(&mut name);
            cut(&mut value);
            bytes += name.len() + value.len();
            if data.len() == MOST_DATA || bytes > MOST_DATA_BYTES {
                break;
            }
            data.insert(name, value);
        }
        Self { data, ..self }
    }
}

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(LONGEST));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_put_together_from_its_parts() {
        let named = |name: Option<&str>, first: Option<&str>, last: Option<&str>| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let profile = Profile {
                name: text(name),
                first_name: text(first),
                last_name: text(last),
                ..Profile::default()
            };
            profile.full_name()
        };
        assert_eq!(named(None, Some("Ada"), Some("Lovelace")).as_deref(), Some("Ada Lovelace"));
        assert_eq!(named(None, None, Some("Lovelace")).as_deref(), Some("Lovelace"));
        assert_eq!(named(Some("A. L."), Some("Ada"), None).as_deref(), Some("A. L."));
        assert_eq!(named(None, None, None), None);
    }

    #[test]
    fn what_is_too_much_is_left_out() {
        let data = (0..1_000).map(|n| (format!("k{n:04}"), "ä".repeat(1_000))).collect();
        let bounded = Profile { email: Some("ü".repeat(1_000)), data, ..Profile::default() }.bounded();
        assert_eq!(bounded.email.map(|email| email.len()), Some(512));
        assert!(
            bounded.data.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
                <= MOST_DATA_BYTES
        );
        assert!(bounded.data.contains_key("k0000") && !bounded.data.contains_key("k0999"));
        let small = (0..1_000).map(|n| (n.to_string(), String::new())).collect();
        assert_eq!(Profile { data: small, ..Profile::default() }.bounded().data.len(), MOST_DATA);
    }
}
