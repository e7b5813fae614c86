//! The place where a server would run: data directory, keys, database, port, public URL.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use interline_connector::guard::is_public;
use interline_store::{KeyRing, Store, known_version};
use tokio::net::TcpListener;
use url::{Host, Url};

use super::Report;
use crate::data;
use crate::remote::is_loopback;
use crate::settings::Settings;

/// A server on this machine answers within this time.
const ANSWER: Duration = Duration::from_secs(3);

/// Checks the place.
pub async fn check(settings: &Settings, report: &mut Report) {
    // The lock, if nobody has it, is held until the database was looked at.
    let usage = data::look(&settings.data);
    if let Err(error) = &usage {
        report.failed(format!("{error:#}: let this user read and write {}", settings.data.display()));
    }
    let taken = usage.as_ref().is_ok_and(|usage| usage.taken);
    data_directory(&settings.data, taken, report);
    let version = database(settings, taken, report).await;
    keys(settings, taken, version, report);
    drop(usage);
    port(settings.listen, taken, report).await;
    public_url(settings, report);
}

fn data_directory(data: &Path, taken: bool, report: &mut Report) {
    let shown = data.display();
    if taken {
        report.ok(format!("data directory {shown}: a running server uses it"));
        return;
    }
    let there = data.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
    let probe = there.join(format!(".interline-check-{}", std::process::id()));
    let written = std::fs::write(&probe, b"");
    let _ = std::fs::remove_file(&probe);
    match written {
        Ok(()) if there == data => report.ok(format!("data directory {shown}: can be written")),
        Ok(()) => report.ok(format!("data directory {shown}: will be made at the first start")),
        Err(error) => {
            report.failed(format!(
                "data directory {shown}: {} cannot be written ({error}): let this user write there, or name another with --data",
                there.display()
            ));
        }
    }
}

/// The schema version; none: not looked.
async fn database(settings: &Settings, taken: bool, report: &mut Report) -> Option<u64> {
    let embedded = settings.database.as_deref().is_none_or(|url| url.starts_with("sqlite:"));
    let what = if embedded { "database (embedded)" } else { "database" };
    if embedded && taken {
        report.ok(format!("{what}: a running server uses it; it was not opened"));
        return None;
    }
    let found = match settings.database_url() {
        Ok(url) => Store::stored_version(&url).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let known = known_version();
    match found {
        Err(error) => {
            let remedy = if embedded {
                "is the file a database of Interline, and may this user read it?"
            } else {
                "does the server run, and are host, name, user and password right?"
            };
            report.failed(format!("{what}: {error}: {remedy}"));
            return None;
        }
        Ok(0) => report.ok(format!("{what}: new; the first start makes schema version {known}")),
        Ok(version) if version == known => report.ok(format!("{what}: schema version {version}")),
        Ok(version) if version < known => report.remark(format!(
            "{what}: schema version {version}; the next start brings it to {known}, and this cannot be undone: back it up first"
        )),
        Ok(version) => report.failed(format!(
            "{what}: schema version {version}, and this program knows {known} at most: use a newer `interline`"
        )),
    }
    found.ok()
}

fn keys(settings: &Settings, taken: bool, version: Option<u64>, report: &mut Report) {
    let file = settings.data.join("keys");
    let there = settings.keys.is_some() || file.is_file();
    let shown = if settings.keys.is_some() {
        "keys (from the settings)".to_owned()
    } else {
        format!("keys in {}", file.display())
    };
    if !there {
        match (taken, version) {
            (true, _) => report.remark(
                "keys: there is no key file, so the running server has them from INTERLINE_KEYS or its settings file; \
                 give them here too",
            ),
            (false, None | Some(0)) => report.ok(format!("{shown}: will be made at the first start; back the file up")),
            (false, Some(_)) => report.failed(format!(
                "{shown}: missing, and there is a database: what is sealed in it cannot be read without its keys; bring the \
                 file back from the backup, or start once if nothing was ever served from it"
            )),
        }
        return;
    }
    // It is there, so nothing is made.
    let ring = match &settings.keys {
        Some(keys) => KeyRing::parse(keys),
        None => KeyRing::load_or_create(&file),
    };
    match ring {
        Ok(ring) => {
            let ids: Vec<&str> = ring.ids().collect();
            report.ok(format!("{shown}: {}", ids.join(", ")));
            if ids.len() > 1 {
                report
                    .remark(format!("{shown}: {} keys; `interline rekey` lets the older ones go", ids.len()));
            }
        }
        Err(error) => report.failed(format!("{shown}: {error}")),
    }
}

async fn port(listen: SocketAddr, taken: bool, report: &mut Report) {
    match TcpListener::bind(listen).await {
        Ok(_) if taken => report.remark(format!(
            "port {listen}: free, and yet a server uses the data directory: it listens elsewhere"
        )),
        Ok(_) => report.ok(format!("port {listen}: free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            match (interline_answers(listen).await, taken) {
                (true, true) => report.ok(format!("port {listen}: the running server answers")),
                (true, false) => report.failed(format!(
                    "port {listen}: another interline listens there, on another data directory: stop it, or choose another \
                     port with --listen"
                )),
                (false, _) => report.failed(format!(
                    "port {listen}: another program listens there: stop it, or choose another port with --listen"
                )),
            }
        }
        Err(error) => report.failed(format!(
            "port {listen}: {error}: choose an address of this machine and a port that this user may open, with --listen"
        )),
    }
}

async fn interline_answers(listen: SocketAddr) -> bool {
    let port = listen.port();
    let host = match listen.ip() {
        ip if ip.is_unspecified() && ip.is_ipv6() => "[::1]".to_owned(),
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        ip if ip.is_ipv6() => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let Ok(client) = reqwest::Client::builder().no_proxy().timeout(ANSWER).build() else { return false };
    let Ok(answer) = client.get(format!("http://{host}:{port}/healthz")).send().await else { return false };
    let json: serde_json::Value = answer.json().await.unwrap_or_default();
    json["status"] == "alive"
}

fn public_url(settings: &Settings, report: &mut Report) {
    let Some(url) = &settings.public_url else {
        if settings.listen.ip().is_unspecified() {
            report.failed(format!(
                "public_url: made from {}, which nobody can call: set --public-url to what web clients and BotKits can reach",
                settings.listen
            ));
        }
        return;
    };
    let shown = url.as_str().trim_end_matches('/');
    if url.scheme() == "http" && leads_outside(url) {
        report.remark(format!(
            "public_url {shown}: plain http on a public address, so tokens and what customers say can be read on the way: put a \
             proxy with TLS in front and say https"
        ));
    } else {
        report.ok(format!("public_url {shown}"));
    }
}

/// Whether a URL leads into the internet: a public address, or a name that is not only of this network.
pub fn leads_outside(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => is_public(ip.into()),
        Some(Host::Ipv6(ip)) => is_public(ip.into()),
        Some(Host::Domain(name)) => {
            !is_loopback(url)
                && name.contains('.')
                && ![".local", ".internal", ".lan"].iter().any(|end| name.ends_with(end))
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_outside() {
        for (url, outside) in [
            ("http://127.0.0.1:8080", false),
            ("http://localhost", false),
            ("http://10.0.0.7", false),
            ("http://desk", false),
            ("http://desk.internal", false),
            ("http://93.184.216.34", true),
            ("https://chat.example.com", true),
        ] {
            assert_eq!(leads_outside(&url.parse().expect("url")), outside, "{url}");
        }
    }

    #[test]
    fn public_url_is_remarked() {
        let remarks = |listen: &str, url: Option<&str>| {
            let settings = Settings {
                listen: listen.parse().expect("address"),
                public_url: url.map(|url| url.parse().expect("url")),
                ..Settings::default()
            };
            let mut report = Report::default();
            public_url(&settings, &mut report);
            report.found.into_iter().map(|(verdict, _)| verdict).collect::<Vec<_>>()
        };
        use super::super::Verdict::{Failed, Ok, Remark};
        assert_eq!(remarks("127.0.0.1:8080", None), []);
        assert_eq!(remarks("0.0.0.0:8080", None), [Failed]);
        assert_eq!(remarks("0.0.0.0:8080", Some("https://chat.example.com")), [Ok]);
        assert_eq!(remarks("0.0.0.0:8080", Some("http://chat.example.com")), [Remark]);
        assert_eq!(remarks("0.0.0.0:8080", Some("http://10.0.0.7:8080")), [Ok]);
    }
}
