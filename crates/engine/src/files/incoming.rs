//! Files that lie elsewhere, agents' and those that a customer's program names: fetched from there, judged and stored like
//! any other, before an entry names them. Addresses expire, and what is fetched later may be another file.

use std::time::Duration;

use interline_connector::{FileRefused, Incoming};
use interline_core::File;
use interline_files::parts::AppendError;
use uuid::Uuid;

use super::keep::{Sender, judge_name};
use super::unavailable;
use crate::engine::Inner;

/// All of a file may take so long.
const DEADLINE: Duration = Duration::from_secs(60);

impl Inner {
    /// Fetches and stores files for a customer's conversation, in order. Nothing of it is named yet: what is there when
    /// one fails is swept.
    pub(crate) async fn take_in(
        &self,
        sender: &Sender<'_>,
        files: Vec<Incoming>,
    ) -> Result<Vec<File>, FileRefused> {
        let most = self.apps.get(sender.app).map_or(0, |runtime| runtime.files.per_message);
        if files.len() > most {
            return Err(FileRefused::TooMany { max: most });
        }
        let mut taken = Vec::with_capacity(files.len());
        for file in files {
            taken.push(self.take_in_one(sender, file).await?);
        }
        Ok(taken)
    }

    async fn take_in_one(&self, sender: &Sender<'_>, incoming: Incoming) -> Result<File, FileRefused> {
        let Sender { app, customer, .. } = sender;
        let runtime = self.apps.get(app).filter(|runtime| runtime.files.enabled).ok_or(FileRefused::Off)?;
        let rules = &runtime.files;
        let Incoming { name, url, headers } = incoming;
        let name = name.unwrap_or_else(|| last_segment(&url));
        // What cannot be taken anyway is not fetched.
        let (name, _) = judge_name(rules, &name)?;
        let bytes = self.files.storage.http.fetch(url, headers, DEADLINE).await;
        let bytes = bytes.map_err(FileRefused::Unfetchable)?;
        let id = Uuid::now_v7();
        let parts = self.files.spool(customer);
        let came = parts.append(id, 0, bytes, rules.max_bytes).await.map_err(|error| match error {
            AppendError::TooLarge => FileRefused::TooLarge { max: rules.max_bytes },
            AppendError::Full => FileRefused::Full,
            AppendError::Interrupted { .. } => FileRefused::Unfetchable("it stopped half-way".to_owned()),
            AppendError::Misplaced { .. } | AppendError::Superseded | AppendError::Io(_) => {
                unavailable(error)
            }
        });
        let kept = match came {
            Ok(0) => Err(FileRefused::Empty),
            Ok(_) => self.keep(rules, sender, id, &name, None).await,
            Err(refused) => Err(refused),
        };
        if kept.is_err() {
            parts.remove(id).await;
        }
        kept
    }
}

fn last_segment(url: &url::Url) -> String {
    let segment = url.path_segments().and_then(|mut segments| segments.next_back()).unwrap_or_default();
    let decoded = url::form_urlencoded::parse(format!("n={}", segment.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(_, value)| value.into_owned());
    decoded.unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_come_from_the_address() {
        let name = |url: &str| last_segment(&url::Url::parse(url).unwrap());
        assert_eq!(name("https://files.example.com/a/b%20c+d.pdf?sig=1"), "b c+d.pdf");
        assert_eq!(name("https://files.example.com/"), "");
    }
}
