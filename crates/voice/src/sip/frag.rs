//! What a NOTIFY tells about a transfer by REFER (RFC 3515 §2.4).

use rsipstack::sip::{Header, Request};

/// The news of a NOTIFY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// The code of the response that the one who was referred got. None: the body said none.
    pub code: Option<u16>,
    /// Nothing more will come.
    pub over: bool,
}

impl News {
    /// Reads a NOTIFY. None: it is not about a REFER.
    pub fn of(request: &Request) -> Option<Self> {
        let value = |name: &str| {
            request.headers.iter().find(|known| known.name().eq_ignore_ascii_case(name)).map(Header::value)
        };
        let event = value("Event")?;
        if !event.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("refer") {
            return None;
        }
        let state = value("Subscription-State").unwrap_or_default();
        let over = state.trim_start().to_ascii_lowercase().starts_with("terminated");
        Some(Self { code: status(request.body()), over })
    }

    /// Whether it tells how it went.
    pub fn is_final(self) -> bool {
        self.over || self.code.is_some_and(|code| code >= 200)
    }
}

/// The code of `SIP/2.0 200 OK`, with whatever line ends and further lines.
fn status(body: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(body);
    let rest = text.trim_start().strip_prefix("SIP/2.0")?;
    let code: u16 = rest.split_whitespace().next()?.parse().ok()?;
    (100..700).contains(&code).then_some(code)
}

/// The body of a NOTIFY of ours.
pub fn body(code: u16, phrase: &str) -> Vec<u8> {
    format!("SIP/2.0 {code} {phrase}\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notify(headers: &str, body: &str) -> Request {
        let text = format!(
            "NOTIFY sip:g@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:g@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 2 NOTIFY\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Request::try_from(text.as_bytes()).expect("a request")
    }

    #[test]
    fn the_status_line_is_read_however_it_ends() {
        let headers = "Event: refer;id=2\r\nSubscription-State: active;expires=60\r\n";
        for (body, code) in [
            ("SIP/2.0 100 Trying\r\n", Some(100)),
            ("SIP/2.0 486 Busy Here\n", Some(486)),
            ("SIP/2.0 200", Some(200)),
            ("SIP/2.0 603 Decline\r\nReason: Q.850;cause=21\r\n", Some(603)),
            ("", None),
            ("hello", None),
            ("SIP/2.0 9999 X", None),
        ] {
            let news = News::of(&notify(headers, body)).expect("about a REFER");
            assert_eq!((news.code, news.over), (code, false), "{body:?}");
        }
    }

    #[test]
    fn a_subscription_that_ended_is_the_end() {
        let news = News::of(&notify(
            "Event: refer\r\nSubscription-State: terminated;reason=timeout\r\n",
            "SIP/2.0 100 Trying\r\n",
        ));
        assert_eq!(news, Some(News { code: Some(100), over: true }));
        assert_eq!(News::of(&notify("Event: presence\r\n", "")), None);
    }
}
