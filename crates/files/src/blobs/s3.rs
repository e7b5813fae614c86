//! Stored files in a bucket of an S3-compatible store.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use interline_connector::FileStream;
use interline_connector::files::Interrupted;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{ObjectStoreExt as _, WriteMultipart};
use tokio::io::AsyncReadExt as _;

use super::BlobError;

/// A part of a large file; stores take no smaller ones.
const PART: usize = 5 * 1024 * 1024;
/// So many parts are under way at a time.
const PARTS: usize = 2;

/// Which bucket, and how to get in. `Debug` shows no secret.
#[derive(Clone)]
pub struct S3Settings {
    /// Its name.
    pub bucket: String,
    /// Its region.
    pub region: Option<String>,
    /// Where it is, if not at the vendor's own address.
    pub endpoint: Option<String>,
    /// Who we are; none: what the environment or the machine says.
    pub access_key: Option<String>,
    /// The secret that goes with it.
    pub secret_key: Option<String>,
    /// What stands before every key.
    pub prefix: Option<String>,
    /// Whether a plain connection will do.
    pub allow_http: bool,
}

impl std::fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Settings")
            .field("bucket", &self.bucket)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// A bucket.
#[derive(Clone)]
pub struct S3 {
    store: Arc<AmazonS3>,
    prefix: String,
}

impl S3 {
    pub(super) fn new(settings: S3Settings) -> Result<Self, String> {
        let S3Settings { bucket, region, endpoint, access_key, secret_key, prefix, allow_http } = settings;
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_allow_http(allow_http);
        if let Some(region) = region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        if let (Some(id), Some(secret)) = (access_key, secret_key) {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret);
        }
        let store = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { store: Arc::new(store), prefix: prefix.unwrap_or_default() })
    }

    fn key(&self, key: &str) -> Key {
        Key::from(format!("{}/{key}", self.prefix))
    }

    pub(super) async fn put(&self, key: &str, from: &Path) -> Result<(), BlobError> {
        let mut file = tokio::fs::File::open(from).await?;
        let size = usize::try_from(file.metadata().await?.len()).unwrap_or(usize::MAX);
        let key = self.key(key);
        if size <= PART {
            let mut bytes = Vec::with_capacity(size);
            file.read_to_end(&mut bytes).await?;
            self.store.put(&key, bytes.into()).await.map_err(of_store)?;
            return Ok(());
        }
        let upload = self.store.put_multipart(&key).await.map_err(of_store)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        let copied = copy(&mut file, &mut upload).await;
        match copied {
            Ok(()) => upload.finish().await.map(drop).map_err(of_store),
            Err(error) => {
                let _ = upload.abort().await;
                Err(error)
            }
        }
    }

    pub(super) async fn open(&self, key: &str) -> Result<Option<(u64, FileStream)>, BlobError> {
        match self.store.get(&self.key(key)).await {
            Ok(found) => {
                let size = found.meta.size;
                let bytes = found.into_stream().map_err(|error| Interrupted(error.to_string()));
                Ok(Some((size, Box::pin(bytes))))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(of_store(error)),
        }
    }

    pub(super) async fn copy_to(&self, key: &str, to: &Path) -> Result<bool, BlobError> {
        use tokio::io::AsyncWriteExt as _;
        let Some((_, mut bytes)) = self.open(key).await? else { return Ok(false) };
        let mut file = tokio::fs::File::create(to).await?;
        while let Some(piece) = bytes.next().await {
            let piece: Bytes = piece.map_err(|broken| BlobError::Unavailable(broken.to_string()))?;
            file.write_all(&piece).await?;
        }
        file.flush().await?;
        Ok(true)
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), BlobError> {
        match self.store.delete(&self.key(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(of_store(error)),
        }
    }
}

async fn copy(file: &mut tokio::fs::File, upload: &mut WriteMultipart) -> Result<(), BlobError> {
    let mut block = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut block).await?;
        let Some(bytes) = block.get(..read).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        upload.wait_for_capacity(PARTS).await.map_err(of_store)?;
        upload.write(bytes);
    }
}

fn of_store(error: object_store::Error) -> BlobError {
    BlobError::Unavailable(error.to_string())
}
