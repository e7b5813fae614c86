//! A stand-in on a port of its own, for tests.

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

/// A router that is served on a free loopback port until this is dropped.
pub struct Served {
    /// `http://127.0.0.1:port/`.
    pub url: Url,
    _task: AbortOnDropHandle<()>,
}

impl Served {
    /// Serves it.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start(router: Router) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let url = Url::parse(&format!("http://{address}/")).map_err(std::io::Error::other)?;
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, _task: AbortOnDropHandle::new(task) })
    }

    /// An address on it.
    ///
    /// # Panics
    /// If `path` is not a path.
    pub fn at(&self, path: &str) -> Url {
        #[allow(clippy::expect_used, reason = "for tests")]
        self.url.join(path).expect("a path")
    }
}
