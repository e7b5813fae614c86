//! A chat as the agents see it.

use serde::Serialize;

/// One hand-over as the agents see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chat {
    /// The vendor's id of it.
    pub id: String,
    /// The customer, as the vendor knows them.
    pub visitor: String,
    /// What the agent page shows as the customer's name.
    pub title: String,
    /// Where it stands.
    pub state: ChatState,
    /// When it began, milliseconds since 1970.
    pub since_ms: i64,
    /// Who took it.
    pub agent: Option<String>,
    /// What came with the hand-over, in order: language, queue, custom data.
    pub context: Vec<(String, String)>,
    /// The link to what was said before, if one came.
    pub transcript: Option<String>,
    /// The customer is typing.
    pub typing: bool,
    /// What was said, oldest first.
    #[serde(skip)]
    pub lines: Vec<Line>,
}

/// Where a chat stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatState {
    /// Nobody took it yet.
    Waiting,
    /// An agent talks.
    Talking,
    /// Over.
    Over,
}

/// One line of a chat.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The vendor's id of it, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Who says it.
    pub by: By,
    /// The words.
    pub text: String,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// Said before the agent came.
    pub before: bool,
    /// An agent's line that the other side did not take, and why.
    pub failed: Option<String>,
    /// An agent's line is with the customer.
    pub delivered: bool,
    /// An agent's line was read by the customer.
    pub read: bool,
    /// The files that came with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ShownFile>,
}

/// Who says a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The customer.
    Customer,
    /// The bot, before the agent came.
    Bot,
    /// The agent.
    Agent,
    /// The stand-in itself.
    System,
}

/// A file, as the agent sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownFile {
    /// What it is called.
    pub name: String,
    /// Where a person finds it.
    pub url: String,
    /// How large it is said to be, or is.
    pub bytes: Option<u64>,
    /// The hash of what came, once all of it did.
    pub sha256: Option<String>,
    /// Why it did not come.
    pub failed: Option<String>,
}

impl Chat {
    /// A chat that waits for an agent.
    pub fn waiting(id: impl Into<String>, title: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            visitor: id.clone(),
            id,
            title: title.into(),
            state: ChatState::Waiting,
            since_ms: 0,
            agent: None,
            context: Vec::new(),
            transcript: None,
            typing: false,
            lines: Vec::new(),
        }
    }

    /// A value of the context.
    pub fn told(&self, name: &str) -> Option<&str> {
        self.context.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The words that the customer said since the hand-over, oldest first.
    pub fn customer_words(&self) -> Vec<&str> {
        let said = self.lines.iter().filter(|line| line.by == By::Customer && !line.before);
        said.map(|line| line.text.as_str()).collect()
    }
}

impl Line {
    /// A line of words.
    pub fn new(by: By, text: impl Into<String>) -> Self {
        Self {
            id: None,
            by,
            text: text.into(),
            at_ms: 0,
            before: false,
            failed: None,
            delivered: false,
            read: false,
            files: Vec::new(),
        }
    }

    /// With the vendor's id.
    pub fn with_id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// What a list of chats shows of it.
    pub(super) fn in_short(&self) -> String {
        if self.text.is_empty() {
            let names: Vec<&str> = self.files.iter().map(|file| file.name.as_str()).collect();
            names.join(", ")
        } else {
            self.text.clone()
        }
    }
}

impl ShownFile {
    /// One that is somewhere.
    pub fn at(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self { name: name.into(), url: url.into(), bytes: None, sha256: None, failed: None }
    }

    /// What came of it when it was fetched: size and hash. As many bytes must have come as were announced.
    pub(super) fn settle(&mut self, fetched: &Result<(u64, String), String>) -> Result<String, String> {
        let settled = fetched.clone().and_then(|(bytes, sha256)| match self.bytes {
            Some(announced) if announced != bytes => {
                Err(format!("{bytes} bytes came, {announced} were announced"))
            }
            Some(_) | None => Ok((bytes, sha256)),
        });
        match &settled {
            Ok((bytes, sha256)) => (self.bytes, self.sha256) = (Some(*bytes), Some(sha256.clone())),
            Err(why) => self.failed = Some(why.clone()),
        }
        settled.map(|(_, sha256)| sha256)
    }
}
