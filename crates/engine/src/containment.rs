//! Containment: how many conversations the bot was enough for, how many asked for a human, how many were given up; and what
//! lies behind the labels. Everything comes from facts that stood in the commit that made them.

use interline_core::AppId;
use interline_store::{LabelSum, Period, TagSum, TaskSum, WordSum};

use crate::engine::Engine;
use crate::ingress::Trouble;

/// So many tags are told.
const MOST_TAGS: i64 = 1_000;

/// The sums of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// One for each label that there is.
    pub labels: Vec<LabelSum>,
    /// Why failed transfers failed.
    pub failures: Vec<WordSum>,
    /// Who closed conversations.
    pub closed_by: Vec<WordSum>,
}

impl Engine {
    /// The sums of the conversations that opened in a period.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn containment(&self, app: &AppId, period: &Period<'_>) -> Result<Sums, Trouble> {
        let (store, app) = (&self.inner.store, app.as_str());
        Ok(Sums {
            labels: store.label_sums(app, period).await?,
            failures: store.failure_sums(app, period).await?,
            closed_by: store.closed_by_sums(app, period).await?,
        })
    }

    /// Runs of tasks that ended in a period; `daily`: day by day, in UTC.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn task_report(
        &self,
        app: &AppId,
        period: &Period<'_>,
        daily: bool,
    ) -> Result<Vec<TaskSum>, Trouble> {
        Ok(self.inner.store.task_sums(app.as_str(), period, daily).await?)
    }

    /// Tags that flows set in a period, the most frequent first.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn tag_report(&self, app: &AppId, period: &Period<'_>) -> Result<Vec<TagSum>, Trouble> {
        Ok(self.inner.store.tag_sums(app.as_str(), period, MOST_TAGS).await?)
    }
}
