//! Access tokens: fetched once for all who need one, fetched anew before they expire or when one is refused.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::failure::Failure;

/// A token is fetched anew so long before it expires.
const EARLY: Duration = Duration::from_secs(60);

/// A token as its issuer gave it.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The token.
    pub token: SecretString,
    /// How long it is good from now on.
    pub lasts: Duration,
}

/// The token of one integration.
#[derive(Default)]
pub struct Tokens(Mutex<Option<(SecretString, Instant)>>);

impl Tokens {
    /// The token; `fetch` is asked where there is none that lasts. However many ask at once, one fetches.
    ///
    /// # Errors
    /// What `fetch` says.
    pub async fn get(
        &self,
        fetch: impl Future<Output = Result<Issued, Failure>>,
    ) -> Result<SecretString, Failure> {
        let mut known = self.0.lock().await;
        if let Some((token, until)) = known.as_ref()
            && *until > Instant::now()
        {
            return Ok(token.clone());
        }
        let Issued { token, lasts } = fetch.await?;
        // A short-lived one is used for half of its life at least.
        let lasts = lasts.saturating_sub(EARLY).max(lasts / 2);
        *known = Some((token.clone(), Instant::now() + lasts));
        Ok(token)
    }

    /// The token that is there, if it lasts; for what cannot wait for another.
    pub fn known(&self) -> Option<SecretString> {
        let known = self.0.try_lock().ok()?;
        known.as_ref().filter(|(_, until)| *until > Instant::now()).map(|(token, _)| token.clone())
    }

    /// This one was refused: the next who asks fetches another, unless somebody did already.
    pub async fn refused(&self, token: &SecretString) {
        let mut known = self.0.lock().await;
        if known.as_ref().is_some_and(|(known, _)| known.expose_secret() == token.expose_secret()) {
            *known = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_fetches_for_all_and_again_when_it_is_time() {
        let tokens = Tokens::default();
        let fetched = AtomicU32::new(0);
        let fetch = || async {
            let no = fetched.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(Issued { token: format!("t{no}").into(), lasts: Duration::from_secs(600) })
        };
        let (one, two) = tokio::join!(tokens.get(fetch()), tokens.get(fetch()));
        let (one, two) = (one.expect("a token"), two.expect("a token"));
        assert_eq!((one.expose_secret(), two.expose_secret()), ("t0", "t0"));
        assert_eq!(tokens.known().map(|token| token.expose_secret().to_owned()).as_deref(), Some("t0"));
        tokens.refused(&one).await;
        assert!(tokens.known().is_none());
        let three = tokens.get(fetch()).await.expect("a token");
        assert_eq!(three.expose_secret(), "t1");
        // The first was refused again, late: the new one stays.
        tokens.refused(&one).await;
        assert_eq!(tokens.get(fetch()).await.expect("a token").expose_secret(), "t1");
        tokio::time::advance(Duration::from_secs(541)).await;
        assert_eq!(tokens.get(fetch()).await.expect("a token").expose_secret(), "t2");
    }
}
