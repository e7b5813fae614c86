//! Tokens of links: they name what they open and carry proof that we made them, so nothing has to be stored.
//!
//! ```text
//!   token = base64url(names ‖ first 16 bytes of their MAC for one purpose)
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use interline_store::Sealer;

const MAC_BYTES: usize = 16;

/// The token that stands for `names`. None: there is no key.
pub(crate) fn sign(sealer: &Sealer, purpose: &str, mut names: Vec<u8>) -> Option<String> {
    let mac = sealer.mac(purpose, &names).ok()?;
    names.extend_from_slice(mac.get(..MAC_BYTES)?);
    Some(URL_SAFE_NO_PAD.encode(names))
}

/// What a token stands for. None: not ours, changed, or for another purpose.
pub(crate) fn read(sealer: &Sealer, purpose: &str, token: &str) -> Option<Vec<u8>> {
    let mut bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let mac = bytes.split_off(bytes.len().checked_sub(MAC_BYTES)?);
    sealer.verify_mac(purpose, &bytes, &mac).then_some(bytes)
}
