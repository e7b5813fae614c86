//! Traces to an OpenTelemetry collector: OTLP over HTTP, in batches, beside the work. A collector that is slow or away
//! costs spans, never a line.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use interline_engine::observe::traces_sent;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use secrecy::ExposeSecret as _;
use tokio::runtime::Handle;
use url::Url;

use crate::settings::Settings;

/// One batch may take so long.
const DEADLINE: Duration = Duration::from_secs(10);
/// What is left at the end may take so long.
const FLUSH: Duration = Duration::from_secs(3);

/// The way to the collector. Dropped, it sends what is left, for at most 3 seconds.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// None: no collector is set.
    ///
    /// # Errors
    /// When TLS cannot be set up or the headers are none.
    pub fn of(settings: &Settings) -> Result<Option<Self>> {
        let Some(base) = &settings.otlp else { return Ok(None) };
        let headers = settings.otlp_headers.as_ref().map(|text| headers(text.expose_secret())).transpose()?;
        let http = reqwest::Client::builder()
            .timeout(DEADLINE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("interline/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot set up TLS")?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector { http, runtime: Handle::current(), away: AtomicBool::new(false) })
            .with_endpoint(endpoint(base))
            .with_timeout(DEADLINE)
            .with_headers(headers.unwrap_or_default())
            .build()
            .context("otlp")?;
        let resource = Resource::builder()
            .with_service_name("interline")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", settings.node.clone()))
            .build();
        // A caller with a key has decided for its trace; what begins here is sampled by its id.
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.trace_ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(resource)
            .build();
        Ok(Some(Self(provider)))
    }

    /// What makes the spans.
    pub fn tracer(&self) -> SdkTracer {
        self.0.tracer("interline")
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if self.0.shutdown_with_timeout(FLUSH).is_err() {
            tracing::warn!("the last spans did not reach the collector");
        }
    }
}

/// Source: OTLP/HTTP, "OTLP/HTTP Request": the base URL and the signal's path.
fn endpoint(base: &Url) -> String {
    format!("{}/v1/traces", base.as_str().trim_end_matches('/'))
}

/// `name=value,…`, as in `OTEL_EXPORTER_OTLP_HEADERS`. An error does not repeat what it found.
fn headers(text: &str) -> Result<HashMap<String, String>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or_default();
            let (name, value) = (name.trim(), value.trim());
            let good = name.parse::<HeaderName>().is_ok() && value.parse::<HeaderValue>().is_ok();
            anyhow::ensure!(good, "otlp_headers must be name=value,name=value");
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// The workspace's HTTP client, for an exporter that runs on a thread of its own.
#[derive(Debug)]
struct Collector {
    http: reqwest::Client,
    runtime: Handle,
    /// The last batch did not arrive: that was logged.
    away: AtomicBool,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let result = self.send(request).await;
        let arrived = result.as_ref().is_ok_and(|answer| answer.status().is_success());
        traces_sent(arrived);
        match (&result, self.away.swap(!arrived, Ordering::Relaxed)) {
            (Ok(answer), false) if !arrived => {
                tracing::warn!(status = answer.status().as_u16(), "the collector refuses spans");
            }
            (Err(error), false) => tracing::warn!(%error, "spans do not reach the collector"),
            (Ok(_), true) if arrived => tracing::info!("spans reach the collector again"),
            (Ok(_) | Err(_), _) => {}
        }
        result
    }
}

impl Collector {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        let http = self.http.clone();
        // What it says beside the status is not read: it may be long, and nothing is done about it.
        let sent =
            self.runtime.spawn(async move { http.execute(request).await.map(|answer| answer.status()) });
        // Without the URL: it may hold a secret.
        let status = sent.await?.map_err(reqwest::Error::without_url)?;
        Ok(http::Response::builder().status(status).body(Bytes::new())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signals_path_is_added_once() {
        for (base, wanted) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("https://otel.example.com/otlp", "https://otel.example.com/otlp/v1/traces"),
        ] {
            assert_eq!(endpoint(&base.parse().expect("a URL")), wanted);
        }
    }

    #[test]
    fn headers_are_read_and_never_repeated() {
        let read = headers("authorization=Basic dXNlcjpwYXNz==, x-scope-orgid=7").expect("headers");
        assert_eq!(read["authorization"], "Basic dXNlcjpwYXNz==");
        assert_eq!(read["x-scope-orgid"], "7");
        assert!(headers("").expect("none").is_empty());
        for wrong in ["hunter2", "=hunter2", "na me=hunter2", "name=hunter2\u{7}"] {
            let error = headers(wrong).expect_err(wrong).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
