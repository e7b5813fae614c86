//! Files: made up, hashed, and as a customer sends and fetches them: as our widget does (tus), and as the published client
//! does (its own kind of multipart).

use std::io::Result as IoResult;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::dice::Dice;
use crate::http::{Answer, Http};

/// What an app takes when its file says nothing else.
pub const MOST: usize = 26_214_400;
/// The published client's pieces.
const CHUNK: usize = 1024 * 1024;
const BOUNDARY: &str = "--------MultipartData0.7356412";

/// A file, told by its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Facts {
    /// What it is called.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
}

impl Facts {
    /// Of these bytes.
    pub fn of(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), size: bytes.len() as u64, sha256: sha256(bytes) }
    }
}

/// The hash, lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// So many bytes of plain text that nobody else has.
pub fn text(dice: &mut Dice, size: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(size + 24);
    while text.len() < size {
        text.extend_from_slice(format!("{:x}\n", dice.number()).as_bytes());
    }
    text.truncate(size);
    text
}

/// A file as the web channel tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// `fil_…`.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// `image`, `audio`, `video` or `attachment`.
    pub kind: String,
    /// The page of the customer's link.
    pub url: String,
    /// In bytes.
    pub bytes: u64,
    /// Decided by its content.
    pub mime: String,
}

impl Attached {
    /// One of a list.
    ///
    /// # Errors
    /// Something that a client reads is missing.
    pub fn read(value: &Value) -> Result<Self> {
        let text = |name: &str| {
            let text = value[name].as_str().map(str::to_owned);
            text.with_context(|| format!("an attachment without {name}: {value}"))
        };
        ensure!(value["size"].is_number(), "an attachment without size: {value}");
        Ok(Self {
            id: text("fileId")?,
            name: text("fileName")?,
            kind: text("fileType")?,
            url: text("fileUrl")?,
            bytes: value["bytes"].as_u64().context("an attachment without bytes")?,
            mime: text("mime")?,
        })
    }

    /// A list; none is an empty one.
    ///
    /// # Errors
    /// As [`Attached::read`].
    pub fn all(list: &Value) -> Result<Vec<Self>> {
        list.as_array().into_iter().flatten().map(Self::read).collect()
    }

    /// Those of a frame that came down a socket.
    ///
    /// # Errors
    /// As [`Attached::read`].
    pub fn of_frame(frame: &str) -> Result<Vec<Self>> {
        let frame: Value = serde_json::from_str(frame)?;
        Self::all(if frame["message"].is_object() {
            &frame["message"]["attachments"]
        } else {
            &frame["attachments"]
        })
    }

    /// As a client names it in a message.
    pub fn named(&self) -> Value {
        json!({ "fileId": self.id, "fileName": self.name, "fileType": self.kind })
    }
}

/// The path of a link of ours, wherever it leads.
pub fn path_of(link: &str) -> &str {
    link.find("/f/").and_then(|at| link.get(at..)).unwrap_or(link)
}

/// Downloads by a person's link; the button of its page.
///
/// # Errors
/// No answer.
pub async fn download(from: SocketAddr, page: &str) -> IoResult<Answer> {
    Http::new(from).get(&format!("{}/download", path_of(page)), &[]).await
}

/// An upload as our widget does it.
#[derive(Debug)]
pub struct Tus {
    http: Http,
    bearer: String,
}

impl Tus {
    /// For whom this access token is.
    pub fn new(to: SocketAddr, token: &str) -> Self {
        Self { http: Http::new(to), bearer: format!("bearer {token}") }
    }

    /// One whose bodies go out slowly: see [`Http::paced`].
    pub fn paced(to: SocketAddr, token: &str, piece: usize, rest: Duration) -> Self {
        Self { http: Http::paced(to, piece, rest), ..Self::new(to, token) }
    }

    /// One that waits so long for each answer.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { http: self.http.patient(patience), ..self }
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// No answer.
    pub async fn create(&mut self, name: &str, size: usize) -> IoResult<Answer> {
        let size = size.to_string();
        let name = format!("filename {},filetype dGV4dA==", STANDARD.encode(name));
        self.call("POST", "/api/files", &[("upload-length", &size), ("upload-metadata", &name)], b"").await
    }

    /// How far it got.
    ///
    /// # Errors
    /// No answer.
    pub async fn progress(&mut self, at: &str) -> IoResult<Answer> {
        self.call("HEAD", at, &[], b"").await
    }

    /// More bytes.
    ///
    /// # Errors
    /// No answer.
    pub async fn append(&mut self, at: &str, offset: usize, bytes: &[u8]) -> IoResult<Answer> {
        let offset = offset.to_string();
        let kind = ("content-type", "application/offset+octet-stream");
        self.call("PATCH", at, &[kind, ("upload-offset", &offset)], bytes).await
    }

    /// All of a file with one PATCH.
    ///
    /// # Errors
    /// It is refused, or there is no answer.
    pub async fn send(&mut self, name: &str, bytes: &[u8]) -> Result<Attached> {
        let begun = self.create(name, bytes.len()).await?;
        ensure!(begun.status == 201, "POST files: {} {}", begun.status, begun.text());
        let at = begun.header("location").context("POST files: no Location")?;
        let done = self.append(at, 0, bytes).await?;
        ensure!(done.status == 200, "PATCH: {} {}", done.status, done.text());
        Attached::read(&done.json())
    }

    /// Any call of the protocol.
    ///
    /// # Errors
    /// No answer.
    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> IoResult<Answer> {
        let bearer = self.bearer.clone();
        let mut all = vec![("authorization", bearer.as_str()), ("tus-resumable", "1.0.0")];
        all.extend_from_slice(headers);
        self.http.call(method, path, &all, body).await
    }
}

/// How far an upload got, by an answer to HEAD or PATCH.
pub fn offset(answer: &Answer) -> Option<usize> {
    answer.header("upload-offset")?.parse().ok()
}

/// Uploads as the published client does them (`file-upload.js`): what it writes is not quite multipart.
#[derive(Debug)]
pub struct Published {
    http: Http,
    bearer: String,
}

impl Published {
    /// For whom this access token is.
    pub fn new(to: SocketAddr, token: &str) -> Self {
        Self { http: Http::new(to), bearer: format!("bearer {token}") }
    }

    /// `file/token`.
    ///
    /// # Errors
    /// A refusal, or no answer.
    pub async fn token(&mut self) -> Result<String> {
        let answer = self.post("/api/attachment/file/token", Vec::new()).await?;
        answer.json()["fileToken"].as_str().map(str::to_owned).context("no fileToken")
    }

    /// A file in one body.
    ///
    /// # Errors
    /// No answer.
    pub async fn small(&mut self, name: &str, bytes: &[u8]) -> IoResult<Answer> {
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        let body = form(&[("filename", name), ("fileExtension", extension), ("fileContext", "workflows")]);
        let body = with_file(body, "file", stem, bytes);
        self.post("/api/attachment/file", body).await
    }

    /// One of a file's chunks.
    ///
    /// # Errors
    /// No answer.
    pub async fn chunk(&mut self, tokens: (&str, &str), number: usize, bytes: &[u8]) -> IoResult<Answer> {
        let body = form(&[("chunkNo", &number.to_string()), ("messageToken", tokens.1)]);
        let path = format!("/api/attachment/file/{}/chunk", tokens.0);
        self.post(&path, with_file(body, "chunk", "chunk", bytes)).await
    }

    /// A file in chunks; the answer that ends it.
    ///
    /// # Errors
    /// No answer, or no token.
    pub async fn chunked(&mut self, name: &str, bytes: &[u8]) -> Result<Answer> {
        let (first, second) = (self.token().await?, self.token().await?);
        for (number, piece) in bytes.chunks(CHUNK).enumerate() {
            let answer = self.chunk((&first, &second), number, piece).await?;
            if !answer.ok() {
                return Ok(answer);
            }
        }
        Ok(self.commit((&first, &second), name).await?)
    }

    /// All chunks are there.
    ///
    /// # Errors
    /// No answer.
    pub async fn commit(&mut self, tokens: (&str, &str), name: &str) -> IoResult<Answer> {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let body = form(&[("messageToken", tokens.1), ("filename", name), ("fileExtension", extension)]);
        let path = format!("/api/attachment/file/{}", tokens.0);
        self.call("PUT", &path, ended(body)).await
    }

    async fn post(&mut self, path: &str, body: Vec<u8>) -> IoResult<Answer> {
        self.call("POST", path, if body.is_empty() { body } else { ended(body) }).await
    }

    async fn call(&mut self, method: &str, path: &str, body: Vec<u8>) -> IoResult<Answer> {
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let headers = [("authorization", self.bearer.as_str()), ("content-type", kind.as_str())];
        self.http.call(method, path, &headers, &body).await
    }
}

fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    let part = |(name, value): &(&str, &str)| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\";\r\n\r\n{value}\r\n")
    };
    fields.iter().map(part).collect::<String>().into_bytes()
}

fn with_file(mut body: Vec<u8>, part: &str, name: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{part}\"; filename=\"{name}\"\r\n\
         Content-Type: UTF-8; charset=ISO-8859-1\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    body.extend_from_slice(b"\r\n");
    body
}

fn ended(mut body: Vec<u8>) -> Vec<u8> {
    body.extend_from_slice(format!("--{BOUNDARY}--").as_bytes());
    body
}
