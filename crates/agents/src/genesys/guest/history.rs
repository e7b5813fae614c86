//! What was said while nobody listened, and which of our messages arrived.

use std::time::Duration;

use interline_connector::http::Request;
use interline_connector::{Cause, Failure};
use interline_core::transfer::Reason;
use secrecy::SecretString;
use serde_json::Value;

use super::Integration;
use super::line::{Line, Trouble};
use super::wire::{self, Page};
use crate::genesys::region::Host;

/// Pages of so many messages, and so many pages: a socket is not away for longer.
const SIZE: u32 = 100;
const PAGES: u32 = 5;

impl Integration {
    /// The messages of both sides, oldest first.
    ///
    /// # Errors
    /// They cannot be had now.
    pub(super) async fn history(&self, line: &mut Line) -> Result<Vec<Value>, Trouble> {
        let answer = line.ask(&wire::Request::GetJwt, |frame| frame.class == "JwtResponse").await?;
        let jwt = SecretString::from(answer.body["jwt"].as_str().unwrap_or_default().to_owned());
        let (mut all, mut no) = (Vec::new(), 1);
        loop {
            let path = format!("api/v2/webmessaging/messages?pageNumber={no}&pageSize={SIZE}");
            let url = self.hosts.at(Host::Api, &path).map_err(Trouble::Failed)?;
            let request =
                Request::get(url).headers(self.origin()?).bearer(&jwt).deadline(Duration::from_secs(15));
            let page: Page =
                match self.http.send(request).await.and_then(interline_connector::http::Reply::json) {
                    Ok(page) => page,
                    Err(failure) => return Err(Trouble::Lost(failure.cause().code.clone())),
                };
            let empty = page.entities.is_empty();
            all.extend(page.entities);
            if empty || no >= page.page_count || no >= PAGES {
                break;
            }
            no += 1;
        }
        // Told newest first.
        all.reverse();
        Ok(all)
    }
}

/// A file could not be put where it should.
pub(super) fn not_put(code: String) -> Failure {
    Failure::Refused(Cause::new(Reason::VendorError, code))
}
