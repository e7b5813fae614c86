//! For channels that answer requests: one request, one turn of the conversation.
//!
//! ```text
//!   request ─► hear ─► … the flow speaks, asks others, speaks … ─► TurnDone ─► answer
//! ```
//!
//! The answer holds what the customer was not told yet, up to the end of the turn. A repeated request finds its effect
//! in the log and gets the last turn again.

use std::time::Duration;

use interline_connector::channel::{HeardAs, Host, Line, Mark, Place, Said, Unavailable, What};
use interline_core::conversation::state::Customer;
use interline_core::flow::Expects;
use interline_core::{AppId, Body, Seq, Speaker};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

/// Lines read at once.
const PAGE: usize = 100;
/// So many entries back the last turn is looked for.
const BACK: u64 = 200;

/// What came of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Turn {
    /// What the customer is told, in order.
    pub lines: Vec<Line>,
    /// What is expected now. None: it is not over, and more may come.
    pub expects: Option<Expects>,
    /// Up to here; none: there was nothing.
    pub end: Option<Place>,
}

/// Whose turn it is.
pub(crate) struct Taker<'a> {
    pub host: &'a dyn Host,
    pub app: &'a AppId,
    pub customer: &'a Customer,
    /// So long a request waits for its turn to be over.
    pub wait: Duration,
    /// An agent was asked for: also wait for what the agent's side does.
    pub waits_for_agents: bool,
}

impl Taker<'_> {
    /// Hears what the customer did, and waits for what comes of it.
    ///
    /// # Errors
    /// The store is out of reach; nothing was heard.
    pub async fn take(&self, said: Said) -> Result<Turn, Unavailable> {
        let place = self.host.place(self.app, self.customer, true).await?;
        self.go_on(Some(said), place).await
    }

    /// Waits for what comes by itself after `place`; none: after what the customer was told.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn wait(&self, place: Option<Place>) -> Result<Turn, Unavailable> {
        let place = match place {
            Some(place) => place,
            None => self.host.place(self.app, self.customer, true).await?,
        };
        self.go_on(None, place).await
    }

    async fn go_on(&self, said: Option<Said>, mut place: Place) -> Result<Turn, Unavailable> {
        let mut hints = self.host.watch(self.app, self.customer);
        let mut after = place.clone();
        if let Some(said) = said {
            after = self.host.place(self.app, self.customer, false).await?;
            let asks_where_we_are = matches!(said.what, What::Connected);
            match self.host.hear(self.app, self.customer, said).await? {
                HeardAs::New => {}
                HeardAs::Nothing if !asks_where_we_are => return Ok(Turn::default()),
                HeardAs::Again | HeardAs::Nothing => {
                    let last = self.last().await?;
                    // A first request that is repeated while its turn still goes on waits for it like the first.
                    if last.expects.is_some() {
                        return Ok(self.told(last));
                    }
                    after = Place::default();
                }
            }
        }
        let until = Instant::now() + self.wait;
        let mut turn = Turn::default();
        loop {
            self.read(&mut place, &mut turn.lines).await?;
            turn.expects = self.over(&turn.lines, &after);
            if turn.expects.is_some() {
                break;
            }
            let hint = tokio::select! {
                hint = timeout_at(until, hints.recv()) => hint,
                () = self.host.stopping() => break,
            };
            // A hint that was missed is worth a look as well.
            if !matches!(hint, Ok(Ok(_) | Err(RecvError::Lagged(_)))) {
                turn.expects = ends(&turn.lines, &after).cloned();
                break;
            }
        }
        Ok(self.told(turn))
    }

    /// Whether there is something to tell after a place.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn has_more(&self, mut place: Place) -> Result<bool, Unavailable> {
        let mut lines = Vec::new();
        self.read(&mut place, &mut lines).await?;
        Ok(lines.iter().any(|line| {
            line.entry.by != Speaker::Customer && matches!(line.entry.body, Body::Text(_) | Body::TurnDone(_))
        }))
    }

    async fn read(&self, place: &mut Place, lines: &mut Vec<Line>) -> Result<(), Unavailable> {
        loop {
            let page = self.host.read(self.app, self.customer, place, PAGE).await?;
            let whole = page.len() < PAGE;
            lines.extend(page);
            if whole {
                return Ok(());
            }
        }
    }

    /// What is expected, once the turn is over.
    fn over(&self, lines: &[Line], after: &Place) -> Option<Expects> {
        let expects = ends(lines, after)?;
        let waits = self.waits_for_agents && *expects == Expects::Nothing;
        (!waits).then(|| expects.clone())
    }

    /// The last turn that was over.
    async fn last(&self) -> Result<Turn, Unavailable> {
        let head = self.host.place(self.app, self.customer, false).await?;
        let mut place = Place { seq: Seq(head.seq.0.saturating_sub(BACK)), ..head };
        let mut lines = Vec::new();
        self.read(&mut place, &mut lines).await?;
        let is_end = |line: &Line| match &line.entry.body {
            Body::TurnDone(expects) => !(self.waits_for_agents && *expects == Expects::Nothing),
            _ => false,
        };
        let Some(end) = lines.iter().rposition(is_end) else { return Ok(Turn::default()) };
        let begin = lines[..end].iter().rposition(is_end).map_or(0, |at| at + 1);
        let lines = lines.drain(begin..=end).collect::<Vec<_>>();
        let expects = ends(&lines, &Place::default()).cloned();
        Ok(Turn { lines, expects, end: None })
    }

    /// What is answered counts as delivered, and is told without the customer's own words.
    fn told(&self, mut turn: Turn) -> Turn {
        if let Some(last) = turn.lines.last() {
            let (conversation, seq) = (last.conversation.clone(), last.entry.seq);
            turn.end = Some(Place { conversation: Some(conversation.clone()), seq });
            self.host.mark(self.app, self.customer, &conversation, seq, Mark::Delivered);
        }
        turn.lines.retain(|line| line.entry.by != Speaker::Customer);
        turn
    }
}

/// What the last end of a turn behind a place expects.
fn ends<'l>(lines: &'l [Line], after: &Place) -> Option<&'l Expects> {
    let is_behind =
        |line: &&Line| Some(&line.conversation) != after.conversation.as_ref() || line.entry.seq > after.seq;
    lines.iter().rev().filter(is_behind).find_map(|line| match &line.entry.body {
        Body::TurnDone(expects) => Some(expects),
        _ => None,
    })
}
