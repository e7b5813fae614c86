//! What the settings, the flow and scripts say, as a plan for one transfer. A script's word comes before the node's, and the
//! node's before the settings'.

use std::time::Duration;

use interline_connector::Item;
use interline_core::transfer::ask;
use interline_core::transfer::{Failure as Typed, Reason};
use interline_media::Prompt;

use super::Integration;
use crate::sip::text::Fields;
use crate::transfer::{Method, Permits, Plan, Whisper};
use crate::trunk::Patience;

impl Integration {
    /// The plan for what is asked.
    ///
    /// # Errors
    /// It cannot be done.
    pub(super) fn plan(&self, item: &Item) -> Result<Plan, Typed> {
        let (settings, asked) = (&self.settings, &item.context.ask.call);
        let own = match (&settings.phone_number, &settings.sip_transfer) {
            (Some(_), _) => Method::Invite,
            (None, Some(sip)) => sip.method,
            (None, None) => Method::Bye,
        };
        let method = match asked.method {
            Some(ask::Method::Invite) => Method::Invite,
            Some(ask::Method::Refer) => Method::Refer,
            Some(ask::Method::Bye) => Method::Bye,
            None => own,
        };
        // A rung of a flow's ladder may name whom to call as its queue.
        let other = asked.destination.clone().or_else(|| item.participant.queue.clone());
        let targets = match (method, other) {
            (Method::Bye, _) => Vec::new(),
            (Method::Invite | Method::Refer, Some(other)) => vec![other],
            (Method::Invite | Method::Refer, None) => {
                settings.targets().into_iter().map(str::to_owned).collect()
            }
        };
        if targets.is_empty() && method != Method::Bye {
            let code = "nobody says whom to call".to_owned();
            return Err(Typed { reason: Reason::Unconfigured, code: Some(code) });
        }
        let sip = settings.sip_transfer.as_ref();
        let seems = settings.phone_number.as_ref().and_then(|phone| phone.caller_id.clone());
        Ok(Plan {
            method,
            targets,
            caller_id: seems.or_else(|| sip.and_then(|sip| sip.caller_id.clone())),
            referred_by: asked.referred_by.clone().or_else(|| sip.and_then(|sip| sip.referred_by.clone())),
            fields: self.fields(item),
            uui: settings.user_to_user.as_ref().map(|text| filled(text, item)),
            patience: Patience {
                ring: seconds(settings.ring_timeout_s),
                first_news: seconds(settings.refer_notify_timeout_s),
                last_news: seconds(settings.refer_final_timeout_s),
            },
            no_news: settings.refer_no_notify,
            follows: settings.follow_redirects,
            music: settings.music.then_some(Prompt::Music),
            whisper: settings.warm.as_ref().map(|warm| Whisper {
                prompts: vec![Prompt::Text { text: filled(&warm.say, item), voice: None }],
                accept: warm.accept,
                patience: seconds(warm.timeout_s),
            }),
            onward: settings.onward,
            replaces: None,
            allowed: Permits {
                patterns: settings.allow.clone(),
                named: settings.targets().into_iter().map(str::to_owned).collect(),
            },
            guard: self.env.http.guard().clone(),
        })
    }

    fn fields(&self, item: &Item) -> Fields {
        let asked = &item.context.ask.call;
        let mut fields: Vec<(String, String)> = Vec::new();
        fields.extend(asked.headers.clone());
        let tags = self.settings.ivr.iter().flat_map(|ivr| &ivr.tags);
        for (tag, value) in asked.transfer_tags.iter().chain(tags) {
            let name: String =
                tag.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).collect();
            fields.push((format!("X-Transfer-{name}"), filled(value, item)));
        }
        for (name, value) in &self.settings.headers {
            fields.push((name.clone(), filled(value, item)));
        }
        fields.push(("X-Conversation-Id".into(), item.conversation.id.as_str().to_owned()));
        if let Some(url) = &item.transcript {
            fields.push(("X-Transcript-Url".into(), url.to_string()));
        }
        // The first of each name counts.
        let mut once: Vec<(&str, &str)> = Vec::new();
        for (name, value) in &fields {
            if !once.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                once.push((name, value));
            }
        }
        Fields::of(once)
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// A text with what stands in braces.
fn filled(text: &str, item: &Item) -> String {
    let customer = &item.conversation.customer;
    let called = customer.connection.called.as_deref().unwrap_or_default();
    let caller = customer.connection.caller.as_deref().unwrap_or(&customer.address);
    let name = customer.profile.full_name().unwrap_or_default();
    let transcript = item.transcript.as_ref().map(ToString::to_string).unwrap_or_default();
    [
        ("{conversation}", item.conversation.id.as_str()),
        ("{caller}", caller),
        ("{called}", called),
        ("{name}", &name),
        ("{transcript}", &transcript),
        ("{summary}", &item.context.summary),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (hole, value)| text.replace(hole, value))
}
