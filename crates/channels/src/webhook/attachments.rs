//! Files that a program brings along: those that the customer uploaded, by id, and those that lie somewhere else, by
//! address. The latter are fetched and stored before the line that names them is heard: a page may hold another file later.

use interline_connector::Incoming;
use interline_connector::channel::Host;
use interline_core::conversation::state::Customer;
use interline_core::{AppId, File, FileId};
use serde::Deserialize;
use url::Url;

use super::refused::Refused;

/// Far more than anybody may send: how many are too many is the app's word.
const MOST: usize = 200;

/// `{"fileName","fileType","fileId"}` or `{"url"}`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Attachment {
    #[serde(rename = "fileId", default)]
    id: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(rename = "fileName", default)]
    name: Option<String>,
}

/// The files of a line.
#[derive(Debug, Clone, Default)]
pub(super) struct Attachments {
    own: Vec<FileId>,
    elsewhere: Vec<Incoming>,
}

impl Attachments {
    pub fn read(attachments: &[Attachment]) -> Result<Self, Refused> {
        let mut read = Self::default();
        if attachments.len() > MOST {
            return Err(Refused::bad("message.attachments: these are too many"));
        }
        for Attachment { id, url, name } in attachments {
            match (id, url) {
                (Some(id), _) => read.own.push(FileId::from(id.as_str())),
                (None, Some(url)) => {
                    let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
                    let url =
                        url.ok_or_else(|| Refused::bad("message.attachments: url must be a web address"))?;
                    let headers = http::HeaderMap::new();
                    read.elsewhere.push(Incoming { name: name.clone(), url, headers });
                }
                (None, None) => {
                    return Err(Refused::bad("message.attachments: each has a fileId or a url"));
                }
            }
        }
        Ok(read)
    }

    /// The files: those of the customer, then those that were fetched.
    pub async fn of(self, host: &dyn Host, app: &AppId, customer: &Customer) -> Result<Vec<File>, Refused> {
        let mut files = Vec::new();
        if self.own.is_empty() && self.elsewhere.is_empty() {
            return Ok(files);
        }
        if !self.own.is_empty() {
            files = host.files().own(app, customer, &self.own).await?;
        }
        if !self.elsewhere.is_empty() {
            files.extend(host.files().fetch(app, customer, self.elsewhere).await?);
        }
        let most = host.files().rules(app).map_or(0, |rules| rules.per_message);
        if files.len() > most {
            return Err(interline_connector::FileRefused::TooMany { max: most }.into());
        }
        Ok(files)
    }
}
