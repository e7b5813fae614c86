//! What a node says: a text, a recording, or one of several.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One thing to say, or several of which one is picked by the input's seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Variants {
    // A list first: serde would read one as the fields of a `Media`.
    /// One of these.
    Any(Vec<Spoken>),
    /// Always this.
    One(Spoken),
}

/// One thing to say. `{{…}}` stands for a variable; `{{text}}` for what the customer said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Spoken {
    /// Words. Where they are heard, they are spoken by text to speech.
    Text(String),
    /// Words with a recording, or computed by a script.
    Media(Media),
}

/// Words with a recording, or computed by a script.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Media {
    /// What stands for it where it cannot be heard.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The name of an audio file (mp3, wav) that the voice gateway has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<String>,
    /// The URL of an audio file (mp3, wav).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// JavaScript whose value is what is said; `voiceUtils` is for such scripts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
}

impl Variants {
    /// One of them; none where there is none.
    pub fn pick(&self, seed: u64) -> Option<&Spoken> {
        match self {
            Self::One(spoken) => Some(spoken),
            Self::Any(all) => {
                let count = u64::try_from(all.len()).unwrap_or(u64::MAX).max(1);
                all.get(usize::try_from(seed % count).unwrap_or(0))
            }
        }
    }

    /// All of them.
    pub fn all(&self) -> &[Spoken] {
        match self {
            Self::One(spoken) => std::slice::from_ref(spoken),
            Self::Any(all) => all,
        }
    }
}

impl<T: Into<Spoken>> From<T> for Variants {
    fn from(spoken: T) -> Self {
        Self::One(spoken.into())
    }
}

impl From<&str> for Spoken {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Spoken {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Media> for Spoken {
    fn from(media: Media) -> Self {
        Self::Media(media)
    }
}

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Media(media) => f.write_str(&media.text),
        }
    }
}
