//! Customers: a person at one address of one channel.

use std::sync::Arc;

use crate::Store;
use crate::error::Error;
use crate::group::Failure;
use crate::sql::{self, Connection, Row};
use crate::task;

/// A customer.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerRow {
    /// `cus_` and a UUIDv7.
    pub id: String,
    /// The engine's description.
    pub doc: String,
    /// It was made just now: nothing else is known of it anywhere.
    pub new: bool,
}

impl std::fmt::Debug for CustomerRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CustomerRow").field("id", &self.id).finish_non_exhaustive()
    }
}

struct New {
    id: String,
    app: String,
    channel: String,
    address: String,
    now: i64,
    doc: String,
}

impl Store {
    /// The customer at this address, made with `doc_if_new` if there is none. Two calls at once give the same one.
    pub async fn customer(
        &self,
        app: &str,
        channel: &str,
        address: &str,
        now: i64,
        doc_if_new: &str,
    ) -> Result<CustomerRow, Error> {
        let found =
            sql::query("SELECT id, doc FROM customer WHERE app = $1 AND channel = $2 AND address = $3")
                .bind(app)
                .bind(channel)
                .bind(address)
                .fetch_optional(self.readers())
                .await?;
        if let Some(row) = found {
            return customer(&row);
        }
        let fresh = format!("cus_{}", uuid::Uuid::now_v7().simple());
        let new = Arc::new(New {
            id: fresh.clone(),
            app: app.to_owned(),
            channel: channel.to_owned(),
            address: address.to_owned(),
            now,
            doc: doc_if_new.to_owned(),
        });
        let call = task::call(move |connection| {
            let new = new.clone();
            Box::pin(async move {
                // The update changes nothing: it makes the statement return the row also when another node was faster.
                let row = sql::query(
                    "INSERT INTO customer (app, id, channel, address, created_at, doc) \
                     VALUES ($1, $2, $3, $4, $5, $6) \
                     ON CONFLICT (app, channel, address) DO UPDATE SET channel = excluded.channel \
                     RETURNING id, doc",
                )
                .bind(new.app.clone())
                .bind(new.id.clone())
                .bind(new.channel.clone())
                .bind(new.address.clone())
                .bind(new.now)
                .bind(new.doc.clone())
                .fetch_one(connection)
                .await?;
                Ok((row.try_get::<String>("id")?, row.try_get::<String>("doc")?))
            })
        });
        let (id, doc) = self.lanes().task(app, address, call).await?;
        Ok(CustomerRow { new: id == fresh, id, doc })
    }

    /// The customer with this id, if this app has it.
    pub async fn customer_by_id(&self, app: &str, id: &str) -> Result<Option<CustomerRow>, Error> {
        sql::query("SELECT id, doc FROM customer WHERE app = $1 AND id = $2")
            .bind(app)
            .bind(id)
            .fetch_optional(self.readers())
            .await?
            .map(|row| customer(&row))
            .transpose()
    }
}

/// Holds the customer's row until the end of the transaction, so that files are stored before an erasure or not at all.
/// False: there is none.
pub(crate) async fn hold(connection: &mut Connection, app: &str, id: &str) -> Result<bool, Failure> {
    let held = sql::query("UPDATE customer SET created_at = created_at WHERE app = $1 AND id = $2")
        .bind(app)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(held.rows_affected() == 1)
}

fn customer(row: &Row) -> Result<CustomerRow, Error> {
    Ok(CustomerRow { id: row.try_get("id")?, doc: row.try_get("doc")?, new: false })
}
