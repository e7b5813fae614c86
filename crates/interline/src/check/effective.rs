//! The settings in force, as TOML, each with where it comes from. Secrets are masked.

use anyhow::Result;
use figment::{Figment, Source};
use interline_store::KeyRing;
use url::Url;

use crate::settings::Settings;
use crate::yaml::{Ordered, quoted};

/// Parts of names whose values are not shown, whatever they are.
const SECRET: &[&str] = &["secret", "token", "password", "header", "auth"];

/// The settings as a file of them would say it.
///
/// # Errors
/// When they cannot be written.
pub fn shown(settings: &Settings, layers: &Figment) -> Result<String> {
    let Ordered::Map(entries) = serde_json::from_str(&serde_json::to_string(settings)?)? else {
        return Ok(String::new());
    };
    let lines: Vec<(String, String)> = entries
        .iter()
        .map(|(key, value)| {
            let origin = origin(key, layers);
            match value {
                Ordered::Null => (format!("# {key} is not set"), String::new()),
                value => (format!("{key} = {}", toml(&masked(key, value))), origin),
            }
        })
        .collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).filter(|width| *width <= 60).max();
    let mut text = String::new();
    for (line, origin) in lines {
        let blanks = width.unwrap_or_default().saturating_sub(line.chars().count());
        let origin = if origin.is_empty() { origin } else { format!("{}  # {origin}", " ".repeat(blanks)) };
        text.push_str(&line);
        text.push_str(&origin);
        text.push('\n');
    }
    Ok(text)
}

/// Which layer a value comes from.
fn origin(key: &str, layers: &Figment) -> String {
    let Some(from) = layers.find_metadata(key) else { return "default".to_owned() };
    match &from.source {
        Some(Source::File(path)) => path.display().to_string(),
        _ if from.name.contains("environment") => format!("INTERLINE_{}", key.to_uppercase()),
        _ => format!("--{}", key.replace('_', "-")),
    }
}

fn masked(key: &str, value: &Ordered) -> Ordered {
    let mask = |text: &str| -> Ordered {
        if key == "keys" {
            return Ordered::Text(key_ids(text));
        }
        if SECRET.iter().any(|part| key.contains(part)) {
            return Ordered::Text("(secret)".to_owned());
        }
        if !text.contains("://") {
            return Ordered::Text(text.to_owned());
        }
        Ordered::Text(without_password(text))
    };
    match value {
        Ordered::Text(text) => mask(text),
        Ordered::List(items) => Ordered::List(items.iter().map(|item| masked(key, item)).collect()),
        other => other.clone(),
    }
}

fn key_ids(text: &str) -> String {
    match KeyRing::parse(text) {
        Ok(ring) => ring.ids().map(|id| format!("{id}:(secret)")).collect::<Vec<_>>().join(","),
        Err(_) => "(secret)".to_owned(),
    }
}

/// A URL with `(secret)` for its password, wherever it stands.
fn without_password(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return "(secret)".to_owned() };
    let masked = |name: &str| name.to_ascii_lowercase().contains("password");
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if pairs.iter().any(|(name, _)| masked(name)) {
        url.query_pairs_mut().clear().extend_pairs(
            pairs.iter().map(|(name, value)| (name, if masked(name) { "secret" } else { value.as_str() })),
        );
    }
    let had_one = url.password().is_some();
    if had_one && url.set_password(Some("secret")).is_err() {
        return "(secret)".to_owned();
    }
    if had_one { url.as_str().replacen(":secret@", ":(secret)@", 1) } else { url.as_str().to_owned() }
}

fn toml(value: &Ordered) -> String {
    match value {
        Ordered::Null => "\"\"".to_owned(),
        Ordered::Bool(switch) => switch.to_string(),
        Ordered::Number(number) => number.to_string(),
        Ordered::Text(text) => quoted(text),
        Ordered::List(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Ordered::Map(entries) => {
            let inner: Vec<String> =
                entries.iter().map(|(name, value)| format!("{} = {}", quoted(name), toml(value))).collect();
            format!("{{ {} }}", inner.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use figment::providers::Serialized;

    use super::*;

    #[test]
    fn each_value_says_where_it_comes_from_and_secrets_are_masked() {
        let key = "k7:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let settings = Settings {
            database: Some("postgres://me:s3cr3t@db/interline?sslmode=require".into()),
            keys: Some(key.into()),
            ..Settings::default()
        };
        let layers = Figment::new()
            .merge(Serialized::default("database", settings.database.clone()))
            .merge(Serialized::default("keys", settings.keys.clone()));
        let text = shown(&settings, &layers).expect("text");
        assert!(text.contains("listen = \"127.0.0.1:8080\""), "{text}");
        assert!(text.contains("# default") && text.contains("# --database"), "{text}");
        assert!(text.contains("\"postgres://me:(secret)@db/interline?sslmode=require\""), "{text}");
        assert!(text.contains("keys = \"k7:(secret)\""), "{text}");
        assert!(text.contains("# public_url is not set\n"), "{text}");
        assert!(!text.contains("s3cr3t") && !text.contains("AAAA"), "{text}");
    }

    #[test]
    fn a_password_is_masked_wherever_it_stands() {
        for url in [
            "postgres://me:pa55@h/d",
            "postgres://h/d?user=me&password=pa55",
            "postgres://me:p%20a55@h:5432/d?sslpassword=pa55",
            "postgres://me:pa55@/no host: pa55",
        ] {
            let shown = without_password(url);
            assert!(!shown.contains("a55") && shown.contains("secret"), "{shown}");
        }
        assert_eq!(without_password("postgres://me@h/d"), "postgres://me@h/d");
        assert_eq!(key_ids("no keys at all"), "(secret)");
    }
}
