//! `multipart/form-data` as the published client writes it by hand: a boundary that is never quoted, a stray `;` behind
//! field names, files as base64 text, no line end behind the last boundary. A strict reader chokes on each of these.
//!
//! Read piece by piece: fields are small and collected; the bytes of a file are handed on as they come.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

/// The headers of a part, and the words of a field, are at most so long.
const MOST_HEAD: usize = 8 * 1024;
const MOST_FIELD: usize = 16 * 1024;

/// Reads a body.
pub(super) struct Multipart<S> {
    body: S,
    buffer: Vec<u8>,
    ended: bool,
    /// `\r\n--boundary`.
    boundary: Vec<u8>,
    /// Behind a boundary: a part may begin.
    at_part: bool,
}

/// The body is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A part's headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Head {
    pub name: String,
    pub filename: Option<String>,
    pub is_base64: bool,
}

/// The boundary in a content type.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = rest.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    let boundary = boundary.trim().trim_matches('"');
    (!boundary.is_empty() && boundary.len() <= 200).then(|| boundary.to_owned())
}

impl<S, E> Multipart<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    pub fn new(body: S, boundary: &str) -> Self {
        // The first boundary has no line end before it: one is put there.
        let boundary = format!("\r\n--{boundary}").into_bytes();
        Self { body, buffer: b"\r\n".to_vec(), ended: false, boundary, at_part: false }
    }

    /// The next part. None: that was the last.
    pub async fn next(&mut self) -> Result<Option<Head>, Malformed> {
        if !self.at_part {
            while self.data().await?.is_some() {}
        }
        self.at_part = false;
        while self.buffer.len() < 2 {
            self.more().await?;
        }
        if self.buffer.starts_with(b"--") {
            return Ok(None);
        }
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return Ok(Some(read_head(&head)));
            }
            if self.buffer.len() > MOST_HEAD {
                return Err(Malformed);
            }
            self.more().await?;
        }
    }

    /// The next bytes of the part. None: it is over.
    pub async fn data(&mut self) -> Result<Option<Vec<u8>>, Malformed> {
        if self.at_part {
            return Ok(None);
        }
        loop {
            if let Some(end) = find(&self.buffer, &self.boundary) {
                if end > 0 {
                    return Ok(Some(self.buffer.drain(..end).collect()));
                }
                self.buffer.drain(..self.boundary.len());
                self.at_part = true;
                return Ok(None);
            }
            // The boundary may have begun.
            let safe = self.buffer.len().saturating_sub(self.boundary.len());
            if safe > 0 {
                return Ok(Some(self.buffer.drain(..safe).collect()));
            }
            self.more().await?;
        }
    }

    /// All of a field's words.
    pub async fn text(&mut self) -> Result<String, Malformed> {
        let mut text = Vec::new();
        while let Some(bytes) = self.data().await? {
            text.extend_from_slice(&bytes);
            if text.len() > MOST_FIELD {
                return Err(Malformed);
            }
        }
        String::from_utf8(text).map_err(|_| Malformed)
    }

    async fn more(&mut self) -> Result<(), Malformed> {
        if self.ended {
            return Err(Malformed);
        }
        match self.body.next().await {
            Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
            Some(Err(_)) => return Err(Malformed),
            None => self.ended = true,
        }
        Ok(())
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

fn read_head(head: &[u8]) -> Head {
    let mut read = Head::default();
    for line in String::from_utf8_lossy(head).lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.trim().to_ascii_lowercase().as_str() {
            "content-disposition" => {
                read.name = parameter(value, "name").unwrap_or_default();
                read.filename = parameter(value, "filename");
            }
            "content-transfer-encoding" => read.is_base64 = value.trim().eq_ignore_ascii_case("base64"),
            _ => {}
        }
    }
    read
}

/// A file's name may hold a `;`, so quotes are looked for, not separators.
fn parameter(value: &str, name: &str) -> Option<String> {
    let wanted = format!("{name}=\"");
    let at = value.match_indices(&wanted).map(|(at, _)| at).find(|at| {
        let before = value.get(..*at).unwrap_or_default().trim_end();
        before.ends_with(';')
    })?;
    let rest = value.get(at + wanted.len()..)?;
    // The client escapes nothing: the last quote ends it.
    let end = if name == "filename" { rest.rfind('"')? } else { rest.find('"')? };
    rest.get(..end).map(str::to_owned)
}

/// Base64 that comes in pieces of any size.
#[derive(Default)]
pub(super) struct Base64 {
    rest: Vec<u8>,
}

impl Base64 {
    pub fn decode(&mut self, piece: &[u8]) -> Result<Vec<u8>, Malformed> {
        if piece.iter().any(u8::is_ascii_whitespace) {
            self.rest.extend(piece.iter().filter(|byte| !byte.is_ascii_whitespace()));
        } else {
            self.rest.extend_from_slice(piece);
        }
        let whole = self.rest.len() / 4 * 4;
        let later = self.rest.split_off(whole);
        let ready = std::mem::replace(&mut self.rest, later);
        STANDARD.decode(ready).map_err(|_| Malformed)
    }

    /// Nothing may be left over.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    type Pieces = Vec<Result<Bytes, ()>>;

    /// As the published client writes it.
    const BODY: &str = "----------MultipartData0.1\r\nContent-Disposition: form-data; name=\"filename\";\r\n\r\na;b.txt\r\n\
        ----------MultipartData0.1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a;\"b.txt\"\r\n\
        Content-Type: UTF-8; charset=ISO-8859-1\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n\
        ----------MultipartData0.1\r\nContent-Disposition: form-data; name=\"none\";\r\n\r\n\r\n\
        ----------MultipartData0.1--";

    async fn read(pieces: Pieces) -> Result<Vec<(Head, Vec<u8>)>, Malformed> {
        let boundary = boundary("multipart/form-data; boundary=--------MultipartData0.1").ok_or(Malformed)?;
        let mut body = Multipart::new(stream::iter(pieces), &boundary);
        let mut parts = Vec::new();
        while let Some(head) = body.next().await? {
            let mut all = Vec::new();
            while let Some(bytes) = body.data().await? {
                all.extend(bytes);
            }
            parts.push((head, all));
        }
        Ok(parts)
    }

    #[tokio::test]
    async fn the_clients_body_is_read_however_it_is_cut() {
        let whole = read(vec![Ok(Bytes::from(BODY))]).await.expect("parts");
        assert_eq!(whole.len(), 3);
        assert_eq!((whole[0].0.name.as_str(), whole[0].1.as_slice()), ("filename", b"a;b.txt".as_slice()));
        assert_eq!(whole[1].0.filename.as_deref(), Some("a;\"b.txt"));
        assert!(whole[1].0.is_base64 && whole[1].1 == b"aGVsbG8=" && whole[2].1.is_empty());
        for cut in 1..BODY.len() {
            let pieces = vec![Ok(Bytes::from(&BODY[..cut])), Ok(Bytes::from(&BODY[cut..]))];
            assert_eq!(read(pieces).await.as_ref(), Ok(&whole), "cut at {cut}");
        }
        let bytes = BODY.bytes().map(|byte| Ok(Bytes::from(vec![byte]))).collect();
        assert_eq!(read(bytes).await, Ok(whole));
    }

    #[tokio::test]
    async fn a_body_that_stops_is_no_body() {
        for cut in 0..BODY.len() - 2 {
            assert_eq!(read(vec![Ok(Bytes::from(&BODY[..cut]))]).await, Err(Malformed), "cut at {cut}");
        }
        assert_eq!(read(vec![Ok(Bytes::from(&BODY[..90])), Err(())]).await, Err(Malformed));
    }

    #[test]
    fn base64_comes_in_any_pieces() {
        for size in 1..9 {
            let mut decoder = Base64::default();
            let mut all = Vec::new();
            for piece in b"aGVs\r\nbG8gd29ybGQ=".chunks(size) {
                all.extend(decoder.decode(piece).expect("base64"));
            }
            assert_eq!((decoder.finish(), all.as_slice()), (Ok(()), b"hello world".as_slice()));
        }
        assert!(Base64::default().decode(b"a$==").is_err());
    }
}
