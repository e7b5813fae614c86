//! Answers that do not end: server-sent events (the HTML standard, "Server-sent events").

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use sse_stream::{Sse, SseStream};
use tokio::time::Instant;

use crate::files::{FileStream, Interrupted};

/// An event may take so many bytes. One that does not end in time is not an event.
const LONGEST: usize = 1024 * 1024;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// What to name in `Last-Event-ID` after a reconnect.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its data.
    pub data: String,
}

/// A stream of events.
pub struct Events {
    events: std::pin::Pin<Box<dyn Stream<Item = Result<Sse, sse_stream::Error>> + Send>>,
    /// When the newest line ended.
    heard: Arc<Mutex<Instant>>,
    idle: Duration,
}

impl Events {
    /// Reads events. A stream that says nothing for `idle`, not even a comment, is dead, however often it is asked meanwhile.
    /// A line that does not end says nothing.
    pub fn new(bytes: FileStream, idle: Duration) -> Self {
        let heard = Arc::new(Mutex::new(Instant::now()));
        let bytes = bounded(bytes, heard.clone());
        Self { events: Box::pin(SseStream::from_bytes_stream(bytes)), heard, idle }
    }

    /// The next event. None: the other side ended the stream. Safe to drop and call again.
    ///
    /// # Errors
    /// It broke, it is dead, or what came is not a stream of events.
    pub async fn next(&mut self) -> Result<Option<Event>, Interrupted> {
        loop {
            let dead_at = self.dead_at();
            match tokio::time::timeout_at(dead_at, self.events.next()).await {
                Err(_) if self.dead_at() > dead_at => {}
                Err(_) => return Err(Interrupted("nothing was heard for too long".into())),
                Ok(None) => return Ok(None),
                Ok(Some(Ok(Sse { id, event, data, .. }))) => {
                    return Ok(Some(Event { id, name: event, data: data.unwrap_or_default() }));
                }
                Ok(Some(Err(error))) => return Err(Interrupted(error.to_string())),
            }
        }
    }

    fn dead_at(&self) -> Instant {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) + self.idle
    }
}

/// Breaks where an event grows too long: an empty line ends one. Notes when a line ended.
fn bounded(bytes: FileStream, heard: Arc<Mutex<Instant>>) -> FileStream {
    let (mut since, mut last) = (0_usize, 0_u8);
    let bounded = bytes.map(move |chunk| {
        let chunk: Bytes = chunk?;
        if chunk.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            *heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        for byte in chunk.iter().filter(|byte| **byte != b'\r') {
            since = if *byte == b'\n' && last == b'\n' { 0 } else { since + 1 };
            last = *byte;
        }
        if since > LONGEST { Err(Interrupted("an event is too long".into())) } else { Ok(chunk) }
    });
    Box::pin(bounded)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn events(chunks: Vec<&'static [u8]>) -> Events {
        let chunks = chunks.into_iter().map(|chunk| Ok(Bytes::from_static(chunk)));
        Events::new(Box::pin(stream::iter(chunks)), Duration::from_secs(5))
    }

    #[tokio::test]
    async fn events_come_in_any_pieces() {
        let mut events = events(vec![
            b"id: 1\nevent: A\nda",
            b"ta: x\r\n\r\n",
            b": hello\n\ndata: y\ndata: z\n\n",
            b"data: half",
        ]);
        let first = Event { id: Some("1".into()), name: Some("A".into()), data: "x".into() };
        assert_eq!(events.next().await, Ok(Some(first)));
        let mut second = events.next().await.expect("an event").expect("an event");
        if second == Event::default() {
            // A comment may show as an event of nothing.
            second = events.next().await.expect("an event").expect("an event");
        }
        assert_eq!(second.data, "y\nz");
        // What the end cut off was not an event.
        assert_eq!(events.next().await, Ok(None));
    }

    #[tokio::test]
    async fn an_event_that_does_not_end_is_cut() {
        let line: FileStream = Box::pin(stream::repeat_with(|| Ok(Bytes::from_static(&[b'x'; 65_536]))));
        let mut events = Events::new(line, Duration::from_secs(5));
        assert!(events.next().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_the_end() {
        let mut events = Events::new(Box::pin(stream::pending()), Duration::from_secs(90));
        assert!(events.next().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_drips_and_does_not_end_is_silence() {
        let drip = stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok(Bytes::from_static(b"x")), ()))
        });
        let begin = Instant::now();
        let mut events = Events::new(Box::pin(drip), Duration::from_secs(90));
        assert!(events.next().await.is_err());
        assert_eq!(begin.elapsed().as_secs(), 90);
    }

    /// Whoever waits for other things too asks again and again.
    #[tokio::test(start_paused = true)]
    async fn asking_again_is_no_sign_of_life_and_a_comment_is() {
        let minute = Duration::from_secs(60);
        let comment = async move {
            tokio::time::sleep(minute).await;
            Ok(Bytes::from_static(b": still here\n"))
        };
        let bytes = stream::once(comment).chain(stream::pending());
        let begin = Instant::now();
        let mut events = Events::new(Box::pin(bytes), Duration::from_secs(90));
        while tokio::time::timeout(Duration::from_secs(7), events.next()).await.is_err() {}
        assert_eq!(begin.elapsed().as_secs(), 150);
    }
}
