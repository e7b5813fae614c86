//! The own address of an integration, where its vendor calls: `{public_url}/in/{app}/{integration}/{secret part}`. The
//! secret part is a code over the names, so nothing is stored; it stays good while its key is in the ring.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use interline_core::{AppId, IntegrationName};
use interline_store::Sealer;
use url::Url;

const PURPOSE: &str = "interline webhook v1";
const SECRET_BYTES: usize = 24;

/// The address of an integration. None: there is no key to make one with.
pub(crate) fn of(seal: &Sealer, public_url: &Url, app: &AppId, integration: &IntegrationName) -> Option<Url> {
    let mac = seal.mac(PURPOSE, &names(app, integration)).ok()?;
    let secret = URL_SAFE_NO_PAD.encode(mac.get(..SECRET_BYTES)?);
    public_url.join(&format!("/in/{app}/{integration}/{secret}")).ok()
}

/// Whether this is the secret part of that integration's address.
pub(crate) fn is_theirs(seal: &Sealer, app: &AppId, integration: &IntegrationName, secret: &str) -> bool {
    let given = URL_SAFE_NO_PAD.decode(secret).ok().filter(|given| given.len() == SECRET_BYTES);
    given.is_some_and(|given| seal.verify_mac(PURPOSE, &names(app, integration), &given))
}

fn names(app: &AppId, integration: &IntegrationName) -> Vec<u8> {
    // A slash is in neither of them.
    format!("{app}/{integration}").into_bytes()
}
