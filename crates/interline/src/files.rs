//! Where the bytes of files are, by the settings.

use anyhow::{Context, Result, anyhow};
use interline_connector::Http;
use interline_engine::files::Storage;
use interline_files::blobs::{Blobs, S3Settings};
use interline_files::parts::Parts;
use interline_files::scan::Scanner;
use secrecy::ExposeSecret as _;

use crate::settings::Settings;

/// Opens them.
///
/// # Errors
/// A directory cannot be made, or a setting is wrong.
pub fn open(settings: &Settings, http: Http) -> Result<Storage> {
    let parts = settings.data.join("uploads");
    let parts = Parts::open(&parts).with_context(|| format!("uploads go to {}", parts.display()))?;
    let blobs = match &settings.s3_bucket {
        Some(bucket) => {
            let secret = |secret: &Option<secrecy::SecretString>| {
                secret.as_ref().map(|secret| secret.expose_secret().to_owned())
            };
            Blobs::s3(S3Settings {
                bucket: bucket.clone(),
                region: settings.s3_region.clone(),
                endpoint: settings.s3_endpoint.as_ref().map(ToString::to_string),
                access_key: secret(&settings.s3_access_key),
                secret_key: secret(&settings.s3_secret_key),
                prefix: settings.s3_prefix.clone(),
                // Whoever writes http means it.
                allow_http: settings.s3_endpoint.as_ref().is_some_and(|url| url.scheme() == "http"),
            })
            .map_err(|error| anyhow!("s3: {error}"))?
        }
        None => {
            let directory = settings.files_dir.clone().unwrap_or_else(|| settings.data.join("files"));
            Blobs::directory(&directory).with_context(|| format!("files go to {}", directory.display()))?
        }
    };
    let scanner = settings.clamd.as_deref().map(Scanner::new).transpose();
    let scanner = scanner.map_err(|error| anyhow!("clamd: {error}"))?;
    Ok(Storage { parts, blobs, scanner, http })
}
