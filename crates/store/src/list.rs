//! Lists: what an operator looks through, page by page.
//!
//! A page goes on behind the last row of the page before (a keyset), never at an offset: every page costs the same, and
//! what is added meanwhile shifts nothing. Each list is read in the order of an index, and each filter that may pick few
//! rows out of many has an index of its own.
//!
//! | list | order | index |
//! |---|---|---|
//! | conversations | newest first | `conversation_by_opened` |
//! | … of a channel | | `conversation_by_channel` |
//! | … of a customer | | `conversation_by_customer` |
//! | … of an address | | the same for each of its customers (one a channel); sorted |
//! | … that are open or with the bot | | `conversation_unclosed` |
//! | … with an agent (`live`) | | `conversation_live` |
//! | `engaged` | by conversation | `participant_engaged` |
//! | `failing` | longest first | `participant_failing` |
//! | customers | newest first | `customer`'s key, `customer_by_channel`, `customer_by_bare_address` |

use crate::Store;
use crate::error::Error;
use crate::read::participant;
use crate::rows::Values;
use crate::sql::{self, Query, Row, Value};
use crate::unit::ParticipantRow;

/// Which conversations: all conditions hold. The empty filter takes all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// `bot`, `agent` or `closed`.
    pub owner: Option<&'a str>,
    /// Whether it is open.
    pub open: Option<bool>,
    /// The customer's id.
    pub customer: Option<&'a str>,
    /// The channel integration's name.
    pub channel: Option<&'a str>,
    /// The customer's address, exactly.
    pub address: Option<&'a str>,
    /// Opened at this time or later, milliseconds.
    pub opened_from: Option<i64>,
    /// Opened before this time, milliseconds.
    pub opened_before: Option<i64>,
}

/// A conversation in a list.
#[derive(Clone, PartialEq, Eq)]
pub struct Summary {
    /// The conversation's id.
    pub id: String,
    /// The customer's id.
    pub customer: String,
    /// The customer's address.
    pub address: String,
    /// The channel integration's name.
    pub channel: String,
    /// `bot`, `agent` or `closed`.
    pub owner: String,
    /// The last entry's seq.
    pub head: i64,
    /// When it opened, milliseconds.
    pub opened_at: i64,
    /// When it closed, milliseconds.
    pub closed_at: Option<i64>,
    /// The earliest deadline, milliseconds.
    pub wake_at: Option<i64>,
    /// The state document.
    pub doc: String,
}

impl std::fmt::Debug for Summary {
    /// Without what the customer said, and their address.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Summary")
            .field("id", &self.id)
            .field("customer", &self.customer)
            .field("channel", &self.channel)
            .field("owner", &self.owner)
            .field("head", &self.head)
            .field("opened_at", &self.opened_at)
            .field("closed_at", &self.closed_at)
            .finish_non_exhaustive()
    }
}

/// A participant whose last try failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// The conversation's id.
    pub conversation: String,
    /// The participant, without its session: it is not opened for a list.
    pub row: ParticipantRow,
}

/// A customer in a list.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerFound {
    /// The customer's id.
    pub id: String,
    /// The channel integration's name.
    pub channel: String,
    /// The address there.
    pub address: String,
    /// When they first wrote, milliseconds.
    pub created_at: i64,
}

impl std::fmt::Debug for CustomerFound {
    /// Without the address.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CustomerFound")
            .field("id", &self.id)
            .field("channel", &self.channel)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// The app's conversations, newest first. `after`: (opened at, id) of the last row of the page before.
    pub async fn conversations(
        &self,
        app: &str,
        filter: &Filter<'_>,
        after: Option<(i64, &str)>,
        limit: i64,
    ) -> Result<Vec<Summary>, Error> {
        let (sql, values) = conversations(app, filter, after, limit).finish();
        let rows = Query::with(sql, values).fetch_all(self.readers()).await?;
        rows.iter().map(summary).collect()
    }

    /// The app's conversations that are with an agent, newest first; `after` as for
    /// [`conversations`](Self::conversations).
    pub async fn live(
        &self,
        app: &str,
        after: Option<(i64, &str)>,
        limit: i64,
    ) -> Result<Vec<Summary>, Error> {
        self.conversations(app, &Filter { owner: Some("agent"), ..Filter::default() }, after, limit).await
    }

    /// Where the integration has an agent engaged (conversation, participant's number), by conversation.
    pub async fn engaged(
        &self,
        app: &str,
        integration: &str,
        limit: i64,
    ) -> Result<Vec<(String, i64)>, Error> {
        let rows =
            sql::query(ENGAGED).bind(app).bind(integration).bind(limit).fetch_all(self.readers()).await?;
        rows.iter().map(|row| Ok((row.try_get("conversation")?, row.try_get("no")?))).collect()
    }

    /// In how many places the integration has an agent engaged.
    pub async fn engaged_count(&self, app: &str, integration: &str) -> Result<i64, Error> {
        let row = sql::query(ENGAGED_COUNT).bind(app).bind(integration).fetch_one(self.readers()).await?;
        Ok(row.try_get("n")?)
    }

    /// The app's participants whose last try failed, the longest failing first. `after`: (failing since, conversation,
    /// number) of the last row of the page before.
    pub async fn failing(
        &self,
        app: &str,
        after: Option<(i64, &str, i64)>,
        limit: i64,
    ) -> Result<Vec<Failing>, Error> {
        // No id is empty, so everything is behind this.
        let (since, conversation, no) = after.unwrap_or((i64::MIN, "", 0));
        let rows = sql::query(FAILING)
            .bind(app)
            .bind(since)
            .bind(conversation)
            .bind(no)
            .bind(limit)
            .fetch_all(self.readers())
            .await?;
        rows.iter()
            .map(|row| {
                let row_of = participant(row, row.try_get("no")?, None)?;
                Ok(Failing { conversation: row.try_get("conversation")?, row: row_of })
            })
            .collect()
    }

    /// The app's customers, newest first (ids are UUIDv7), of a channel or with exactly this address. `after`: the last
    /// id of the page before.
    pub async fn customers(
        &self,
        app: &str,
        channel: Option<&str>,
        address: Option<&str>,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<CustomerFound>, Error> {
        let (sql, values) = customers(app, channel, address, after, limit).finish();
        let rows = Query::with(sql, values).fetch_all(self.readers()).await?;
        rows.iter()
            .map(|row| {
                Ok(CustomerFound {
                    id: row.try_get("id")?,
                    channel: row.try_get("channel")?,
                    address: row.try_get("address")?,
                    created_at: row.try_get("created_at")?,
                })
            })
            .collect()
    }
}

const ENGAGED: &str = "SELECT conversation, no FROM participant \
    WHERE app = $1 AND integration = $2 AND role = 'agent' AND done = 0 ORDER BY conversation, no LIMIT $3";

const ENGAGED_COUNT: &str = "SELECT count(*) AS n FROM participant \
    WHERE app = $1 AND integration = $2 AND role = 'agent' AND done = 0";

const FAILING: &str = "SELECT conversation, no, integration, role, cursor, head, due_at, attempts, failing_since, \
    attempt_key, last_error, delivered, read, done, doc FROM participant \
    WHERE app = $1 AND done = 0 AND failing_since IS NOT NULL AND (failing_since, conversation, no) > ($2, $3, $4) \
    ORDER BY failing_since, conversation, no LIMIT $5";

/// A statement that is put together from constant pieces. In a piece `?` is the value that comes with it.
struct Select {
    text: String,
    values: Values,
    bound: usize,
}

impl Select {
    /// `text` may name the app as `$1`.
    fn of(text: &'static str, app: &str) -> Self {
        let mut values = Values::default();
        values.text(app);
        Self { text: text.to_owned(), values, bound: 1 }
    }

    fn bare(&mut self, piece: &'static str) {
        self.text.push_str(piece);
    }

    fn text(&mut self, piece: &'static str, value: &str) {
        self.values.text(value);
        self.numbered(piece);
    }

    fn number(&mut self, piece: &'static str, value: i64) {
        self.values.number(value);
        self.numbered(piece);
    }

    fn numbered(&mut self, piece: &'static str) {
        self.bound += 1;
        self.text.push_str(&piece.replace('?', &format!("${}", self.bound)));
    }

    fn finish(self) -> (String, Vec<Value>) {
        (self.text, self.values.0)
    }
}

fn conversations(app: &str, filter: &Filter<'_>, after: Option<(i64, &str)>, limit: i64) -> Select {
    let mut select = Select::of(
        "SELECT c.id, c.customer, c.channel, c.owner, c.head, c.opened_at, c.closed_at, c.wake_at, c.doc, \
         (SELECT k.address FROM customer k WHERE k.app = c.app AND k.id = c.customer) AS address \
         FROM conversation c WHERE c.app = $1",
        app,
    );
    select.bare(index(filter));
    match filter.owner {
        // In words: a partial index serves only a condition that is known when the statement is prepared.
        Some("agent") => select.bare(" AND c.owner = 'agent'"),
        // Whoever has an owner is open.
        Some("bot") => select.bare(" AND c.owner = 'bot' AND c.closed_at IS NULL"),
        Some(owner) => select.text(" AND c.owner = ?", owner),
        None => {}
    }
    match filter.open {
        Some(true) => select.bare(" AND c.closed_at IS NULL"),
        Some(false) => select.bare(" AND c.closed_at IS NOT NULL"),
        None => {}
    }
    if let Some(customer) = filter.customer {
        select.text(" AND c.customer = ?", customer);
    }
    if let Some(address) = filter.address {
        select.text(
            " AND c.customer IN (SELECT k.id FROM customer k \
             WHERE k.app = $1 AND length(k.address) > 0 AND k.address = ?)",
            address,
        );
    }
    if let Some(channel) = filter.channel {
        select.text(" AND c.channel = ?", channel);
    }
    if let Some(from) = filter.opened_from {
        select.number(" AND c.opened_at >= ?", from);
    }
    // One upper bound: with two of them SQLite thinks that the range is empty and any index will do.
    match (after, filter.opened_before) {
        (Some((opened_at, id)), before) if before.is_none_or(|before| opened_at < before) => {
            select.number(" AND (c.opened_at, c.id) < (?", opened_at);
            select.text(", ?)", id);
        }
        (_, Some(before)) => select.number(" AND c.opened_at < ?", before),
        (_, None) => {}
    }
    select.number(" ORDER BY c.opened_at DESC, c.id DESC LIMIT ?", limit);
    select
}

/// Names the index that a list is read from, by a condition that holds for every row (`migrations/0002_operators.sql`).
/// The one that leaves the fewest rows: a customer has few conversations, and few are open.
fn index(filter: &Filter<'_>) -> &'static str {
    if filter.customer.is_some() || filter.address.is_some() {
        return "";
    }
    match (filter.owner, filter.open, filter.channel) {
        // The owner is enough for `conversation_live`, the customer for `conversation_by_customer`.
        (Some("agent"), _, _) => "",
        (Some("bot"), _, _) | (_, Some(true), _) => " AND length(c.app) > 0",
        (_, _, Some(_)) => " AND length(c.channel) > 0",
        (_, _, None) => " AND length(c.id) > 0",
    }
}

fn customers(
    app: &str,
    channel: Option<&str>,
    address: Option<&str>,
    after: Option<&str>,
    limit: i64,
) -> Select {
    let mut select = Select::of("SELECT id, channel, address, created_at FROM customer WHERE app = $1", app);
    if let Some(channel) = channel {
        select.text(" AND length(channel) > 0 AND channel = ?", channel);
    }
    if let Some(address) = address {
        select.text(" AND length(address) > 0 AND address = ?", address);
    }
    if let Some(after) = after {
        select.text(" AND id < ?", after);
    }
    select.number(" ORDER BY id DESC LIMIT ?", limit);
    select
}

fn summary(row: &Row) -> Result<Summary, Error> {
    Ok(Summary {
        id: row.try_get("id")?,
        customer: row.try_get("customer")?,
        address: row.try_get("address")?,
        channel: row.try_get("channel")?,
        owner: row.try_get("owner")?,
        head: row.try_get("head")?,
        opened_at: row.try_get("opened_at")?,
        closed_at: row.try_get("closed_at")?,
        wake_at: row.try_get("wake_at")?,
        doc: row.try_get("doc")?,
    })
}

#[cfg(test)]
mod tests;
