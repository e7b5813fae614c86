//! The agent transfers the call onwards: it asks us by REFER to call somebody else for the caller (RFC 3515, RFC 7647).

use rsipstack::sip::{Header, Method, StatusCode};

use super::dial::dial;
use super::{Plan, Way};
use crate::sip::frag;
use crate::sip::leg::{Leg, Referred, Replaces};
use crate::sip::text::{clean, reason, unescaped};

/// Calls whom the agent names, within what the plan allows, and tells the agent how it went. The new agent, if there is one:
/// then the old one is hung up on.
pub(super) async fn run(way: &Way<'_>, agent: &Leg, referred: Referred) -> Option<Leg> {
    let to = referred.request.headers.iter().find_map(|header| match header {
        Header::ReferTo(to) => Some(to.value().to_owned()),
        _ => None,
    });
    let Some((to, replaces)) = to.and_then(|to| target(&to)) else {
        let _ = referred.answer.reply(StatusCode::BadRequest).await;
        return None;
    };
    if way.plan.target(way.call, &to).is_err() {
        let _ = referred.answer.reply(StatusCode::Forbidden).await;
        return None;
    }
    // RFC 7647: new code says 200.
    agent.answer(referred, StatusCode::OK).await;
    tell(agent, 100, "active;expires=60").await;
    let plan = Plan { targets: vec![to], replaces, music: None, whisper: None, ..way.plan.clone() };
    // An agent who hangs up at once still wants it done.
    let called = tokio::select! {
        called = dial(way.call, &plan, |_| {}) => called,
        _ = way.call.leg.gone() => return None,
        () = way.stop.cancelled() => return None,
    };
    match called {
        Ok(next) => {
            tell(agent, 200, "terminated;reason=noresource").await;
            agent.bye(vec![reason("Q.850", 16, "transferred")]).await;
            Some(next)
        }
        Err(failed) => {
            tell(agent, failed.code, "terminated;reason=noresource").await;
            None
        }
    }
}

/// The address in `Refer-To`, and the dialog there that our call is to replace: the agent has talked to whom it names.
fn target(value: &str) -> Option<(String, Option<Replaces>)> {
    let uri = value.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(value, |(uri, _)| uri);
    let (uri, fields) = uri.trim().split_once('?').unwrap_or((uri.trim(), ""));
    let named = fields.split('&').filter_map(|field| field.split_once('='));
    let mut replaces = named.filter(|(name, _)| name.eq_ignore_ascii_case("Replaces"));
    let Some((_, value)) = replaces.next() else { return Some((uri.to_owned(), None)) };
    Some((uri.to_owned(), Some(Replaces::read(&clean(&unescaped(value)?))?)))
}

async fn tell(agent: &Leg, code: u16, state: &str) {
    let headers = vec![
        Header::Event("refer".into()),
        Header::SubscriptionState(state.into()),
        Header::ContentType("message/sipfrag;version=2.0".into()),
    ];
    agent.request(Method::Notify, headers, Some(frag::body(code, StatusCode::from(code).text()))).await;
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn whom_the_agent_names() {
        assert_eq!(target("<sip:b@c;x=y?User-to-User=1>"), Some(("sip:b@c;x=y".into(), None)));
        assert_eq!(target("sip:b@c"), Some(("sip:b@c".into(), None)));
        let found = target("<sip:b@c?Replaces=a%40h%3Bto-tag%3D1%3Bfrom-tag%3D2&Require=replaces>");
        let (uri, replaces) = found.expect("readable");
        assert_eq!(
            (uri.as_str(), replaces.map(|it| it.value()).as_deref()),
            ("sip:b@c", Some("a@h;to-tag=1;from-tag=2"))
        );
        for bad in ["<sip:b@c?Replaces=a%3Bto-tag%3D1>", "<sip:b@c?Replaces=%zz>", "<sip:b@c?Replaces=%ff>"] {
            assert_eq!(target(bad), None, "{bad}");
        }
    }
}
