//! What an operator fills in, and what can be wrong with it.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::refusals::Refusals;

/// The settings of a Salesforce integration. The first three stand in Salesforce's Setup, Embedded Service Deployments, your
/// deployment of type Custom Client, panel **Code Snippet**. None of them is a secret.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `OrganizationId` of the Code Snippet: begins with `00D`, 15 or 18 characters.
    pub organization_id: String,
    /// `Url` of the Code Snippet: `https://<mydomain>.my.salesforce-scrt.com`. The My Domain address
    /// (`…my.salesforce.com`) is taken too, and rewritten.
    #[schemars(with = "String", extend("format" = "uri"))]
    pub url: Url,
    /// `DeveloperName` of the Code Snippet: the API name of the deployment, not of the messaging channel.
    pub developer_name: String,
    /// The API name of a hidden pre-chat field for what was said before, in short. Without one, the agent gets it as the
    /// customer's first message.
    #[serde(default)]
    pub summary_field: Option<String>,
    /// The API name of a hidden pre-chat field for the link to all that was said before. Without one, or where the link is
    /// longer than the field, the agent gets it as the customer's first message.
    #[serde(default)]
    pub transcript_field: Option<String>,
    /// What a bot of your org says is shown to the customer, too.
    #[serde(default = "yes")]
    pub show_org_bot: bool,
    /// Words by which your flow says that it is outside working hours, in a message of its bot before an agent joined, or as
    /// the reason of a failed routing. Salesforce itself does not tell.
    #[serde(default)]
    pub outside_hours_words: Vec<String>,
    /// The same for "nobody is there".
    #[serde(default)]
    pub no_agents_words: Vec<String>,
    /// What the customer is told five minutes before Salesforce's access for this chat runs out, which nobody can renew.
    /// Empty: nothing.
    #[serde(default = "expiry_notice")]
    pub expiry_notice: String,
    /// How long Salesforce may take to route a conversation, in milliseconds. Starts that wait for their turn take part of it.
    #[serde(default = "two_minutes")]
    #[schemars(range(min = 1000, max = 600_000))]
    pub opening_ms: u64,
    /// So many conversations are started within 30 seconds. Salesforce's own limit is 3 "per page".
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub starts_per_30_s: usize,
    /// So many messages of one customer are sent within a minute. Salesforce's own limit is 22; one is left for the
    /// difference between clocks.
    #[serde(default = "twenty_one")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub messages_per_minute: usize,
}

fn yes() -> bool {
    true
}

fn expiry_notice() -> String {
    "For technical reasons this chat can only go on for a few more minutes.".into()
}

fn two_minutes() -> u64 {
    120_000
}

fn three() -> usize {
    3
}

fn twenty_one() -> usize {
    21
}

/// Where the values stand.
const SNIPPET: &str =
    "it stands in Setup, Embedded Service Deployments, your Custom Client deployment, Code Snippet";

impl Settings {
    /// Reads and checks them.
    ///
    /// # Errors
    /// What is wrong, naming the field and the remedy.
    pub(super) fn read(value: Value) -> Result<Self, String> {
        let mut settings: Self =
            serde_path_to_error::deserialize(value).map_err(|error| match error.path().iter().next() {
                Some(_) => format!("{}: {}", error.path(), error.inner()),
                None => error.inner().to_string(),
            })?;
        settings.url = scrt(&settings.url)?;
        settings.check().map(|()| settings)
    }

    fn check(&self) -> Result<(), String> {
        let org = &self.organization_id;
        let known = org.starts_with("00D") && matches!(org.len(), 15 | 18);
        if !known || !org.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(format!(
                "organization_id: begins with 00D and has 15 or 18 letters and digits; {SNIPPET}, OrganizationId"
            ));
        }
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        };
        if !is_name(&self.developer_name) {
            return Err(format!(
                "developer_name: give the API name of the deployment, not its label; {SNIPPET}, DeveloperName"
            ));
        }
        for (field, name) in
            [("summary_field", &self.summary_field), ("transcript_field", &self.transcript_field)]
        {
            if name.as_ref().is_some_and(|name| !is_name(name)) {
                return Err(format!(
                    "{field}: give the API name of a hidden pre-chat field, or leave it out"
                ));
            }
        }
        self.refusals().check()?;
        if !(1000..=600_000).contains(&self.opening_ms) {
            return Err("opening_ms: give milliseconds between 1000 and 600000".into());
        }
        for (field, number) in
            [("starts_per_30_s", self.starts_per_30_s), ("messages_per_minute", self.messages_per_minute)]
        {
            if !(1..=1_000_000).contains(&number) {
                return Err(format!("{field}: give a number between 1 and 1000000"));
            }
        }
        Ok(())
    }

    /// Words of the org by which nobody takes it.
    pub(super) fn refusals(&self) -> Refusals<'_> {
        Refusals { outside_hours: &self.outside_hours_words, no_agents: &self.no_agents_words }
    }
}

/// The host that serves this API. Administrators often copy the address of their org instead.
fn scrt(url: &Url) -> Result<Url, String> {
    let host = url.host_str().unwrap_or_default();
    if !matches!(url.scheme(), "http" | "https") || host.is_empty() {
        return Err("url: give an https URL, for instance https://example.my.salesforce-scrt.com".into());
    }
    let extra = url.query().is_some() || url.fragment().is_some() || url.password().is_some();
    if extra || !url.username().is_empty() {
        return Err("url: leave out user name, password, and what follows `?` or `#`".into());
    }
    if host.ends_with(".salesforce-srct.com") {
        let said =
            "url: the host must end in salesforce-scrt.com; `srct` is a misspelling that is going around";
        return Err(said.into());
    }
    if host.ends_with(".lightning.force.com") || host.ends_with(".my.site.com") {
        return Err(format!("url: this is the address of pages, not of the API; {SNIPPET}, Url"));
    }
    let mut scrt = url.clone();
    scrt.set_path("/");
    if let Some(domain) = host.strip_suffix(".my.salesforce.com") {
        let host = format!("{domain}.my.salesforce-scrt.com");
        scrt.set_host(Some(&host)).map_err(|_| "url: its host is no host name".to_owned())?;
    }
    Ok(scrt)
}
