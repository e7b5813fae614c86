//! What one commit holds: the rows of a change.

use interline_core::conversation::facts::Tag;
use interline_core::flow::script::Answer;
use interline_core::{Entry, Input, IntegrationName, ParticipantNo, Role, Speaker, Time};
use interline_store::{
    EntryRow, FactsRow, Inbox, Opening, ParticipantRow, RemoteId, StateWrite, TagRow, TaskRow, Unit,
};
use serde::Serialize;

use crate::apps::Runtime;
use crate::ingress::{Change, InboxKey, News, Trouble, json, to_i64};
use crate::live::{Live, Slot};

/// What the inbox keeps of an input: enough to step it again.
#[derive(Debug, Serialize)]
struct Recorded<'a> {
    app_version: i64,
    now: Time,
    seed: u64,
    inputs: &'a [Input],
    /// What scripts answered, in the order in which the steps needed them.
    #[serde(skip_serializing_if = "<[Answer]>::is_empty")]
    answers: &'a [Answer],
}

impl News {
    /// The agent's line, by its name outside.
    fn said_as(&self, change: &Change<'_>) -> Option<RemoteId> {
        let (participant, remote_id) = change.says_as.clone()?;
        let line = self.entries.iter().find(|entry| matches!(entry.by, Speaker::Agent { .. }))?;
        Some(RemoteId { participant: i64::from(participant.0), remote_id, seq: to_i64(line.seq.0), part: 0 })
    }

    /// The files that the new entries name, each once.
    fn files(&self) -> Vec<String> {
        let named = self.entries.iter().filter_map(Entry::text).flat_map(|text| &text.files);
        let mut ids: Vec<String> = named.map(|file| file.id.as_str().to_owned()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    pub fn unit(
        &self,
        runtime: &Runtime,
        slot: &Slot,
        live: &Live,
        change: &Change<'_>,
        key: &InboxKey,
        (now, seed): (Time, u64),
    ) -> Result<Unit, Trouble> {
        let mut participants = Vec::with_capacity(self.written.len() + 1);
        for row in self.written.iter().filter_map(|no| live.rows.get(no)) {
            let mut written = row.row.clone();
            written.doc = json(&row.about)?;
            participants.push(written);
        }
        if live.version == 0 {
            participants.push(customer_row(&live.state.customer.channel));
        }
        let entries = self.entries.iter().map(|entry| {
            Ok::<_, Trouble>(EntryRow { seq: to_i64(entry.seq.0), at: entry.at.0, doc: json(entry)? })
        });
        let recorded = Recorded {
            app_version: runtime.version,
            now,
            seed,
            inputs: &change.inputs,
            answers: &self.answers,
        };
        let inbox = || {
            Ok::<_, Trouble>(Inbox {
                integration: key.integration.clone(),
                scope: key.scope.clone(),
                external_id: key.external_id.clone(),
                at: now.0,
                doc: json(&recorded)?,
            })
        };
        Ok(Unit {
            app: slot.key.app.shared(),
            conversation: slot.key.conversation.shared(),
            inbox: self.stepped.then(inbox).transpose()?,
            state: self.stepped.then(|| state_write(runtime, live)).transpose()?,
            entries: entries.collect::<Result<_, _>>()?,
            participants,
            files: self.files(),
            facts: self.facts_row(live)?,
            tasks: self
                .tasks
                .iter()
                .map(|run| TaskRow { task: run.task.clone(), done: run.done, at: now.0 })
                .collect(),
            tags: self.tag_rows(now)?,
            remote_ids: change.remote_ids.iter().cloned().chain(self.said_as(change)).collect(),
        })
    }
}

impl News {
    /// What is counted of the conversation, if it changed.
    fn facts_row(&self, live: &Live) -> Result<Option<FactsRow>, Trouble> {
        let Some(facts) = &self.facts else { return Ok(None) };
        Ok(Some(FactsRow {
            customer: live.state.customer.id.as_str().to_owned(),
            channel: live.state.customer.channel.as_str().to_owned(),
            opened_at: live.opened_at,
            closed_at: live.closed_at,
            label: facts.label(live.closed_at.is_some()).as_str(),
            interactive: facts.interactive,
            reached: i64::from(facts.reached),
            after_tasks: facts.reached > 0 && facts.tasks_before > 0,
            accepted: i64::from(facts.accepted),
            joined: i64::from(facts.joined),
            handed_off: i64::from(facts.handed_off),
            failed: i64::from(facts.failed),
            failed_why: facts.failed_why.as_ref().map(word).transpose()?,
            took_over: i64::from(facts.took_over),
            closed_by: facts.closed_by.as_ref().map(word).transpose()?,
            doc: json(facts)?,
        }))
    }

    fn tag_rows(&self, now: Time) -> Result<Vec<TagRow>, Trouble> {
        let row = |tag: &Tag| {
            let (name, value) = (tag.name.clone(), tag.value.clone());
            Ok(TagRow { level: word(&tag.level)?, name, value, at: now.0 })
        };
        self.tags.iter().map(row).collect()
    }
}

fn state_write(runtime: &Runtime, live: &Live) -> Result<StateWrite, Trouble> {
    let state = &live.state;
    Ok(StateWrite {
        expected_version: live.version,
        doc: json(state)?,
        owner: state.owner.as_str(),
        epoch: to_i64(state.epoch.0),
        head: to_i64(state.head.0),
        wake_at: state.wake_at().map(|at| at.0),
        closed_at: live.closed_at,
        retain_until: live.closed_at.and_then(|at| Some(at + runtime.retention_ms?)),
        opening: (live.version == 0).then(|| Opening {
            customer: state.customer.id.as_str().to_owned(),
            channel: state.customer.channel.as_str().to_owned(),
            opened_at: live.opened_at,
        }),
    })
}

/// The customer's own row: number 0. It holds the marks; the channel reads the log by itself.
fn customer_row(channel: &IntegrationName) -> ParticipantRow {
    let row = new_row(ParticipantNo(0), channel, Role::Customer, 0);
    ParticipantRow { doc: "{}".to_owned(), done: true, ..row }
}

/// A participant that has heard everything up to `cursor`, and nothing is waiting for it. Its document is written with
/// the unit.
pub(crate) fn new_row(
    no: ParticipantNo,
    integration: &IntegrationName,
    plays: Role,
    cursor: i64,
) -> ParticipantRow {
    ParticipantRow {
        no: i64::from(no.0),
        integration: integration.as_str().to_owned(),
        role: role(plays).to_owned(),
        doc: String::new(),
        cursor,
        head: cursor,
        due_at: None,
        attempts: 0,
        failing_since: None,
        attempt_key: None,
        last_error: None,
        delivered: 0,
        read: 0,
        session: None,
        done: false,
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Customer => "customer",
        Role::Bot => "bot",
        Role::Agent => "agent",
        Role::Interceptor => "interceptor",
        Role::Nobody => "nobody",
    }
}

/// A word of an enum, as it stands in JSON.
fn word(value: &impl Serialize) -> Result<String, Trouble> {
    Ok(json(value)?.trim_matches('"').to_owned())
}
