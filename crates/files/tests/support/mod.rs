//! Small files, made here.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use interline_connector::FileStream;
use interline_connector::files::Interrupted;

/// A directory that goes with the test.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("interline-files-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A picture.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    encode(width, height, image::ImageFormat::Png)
}

pub fn encode(width: u32, height: u32, format: image::ImageFormat) -> Vec<u8> {
    let picture = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::DynamicImage::ImageRgb8(picture).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// An archive with empty entries of these names.
pub fn zip(names: &[&str]) -> Vec<u8> {
    let (mut bytes, mut table) = (Vec::new(), Vec::new());
    for name in names {
        let long = u16::try_from(name.len()).unwrap().to_le_bytes();
        let at = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        bytes.extend([b"PK\x03\x04".as_slice(), &[0; 22], &long, &[0; 2], name.as_bytes()].concat());
        table.extend([b"PK\x01\x02".as_slice(), &[0; 24], &long, &[0; 12], &at, name.as_bytes()].concat());
    }
    let (from, size) = (u32::try_from(bytes.len()).unwrap(), u32::try_from(table.len()).unwrap());
    bytes.extend(table);
    bytes.extend(
        [b"PK\x05\x06".as_slice(), &[0; 8], &size.to_le_bytes(), &from.to_le_bytes(), &[0; 2]].concat(),
    );
    bytes
}

pub fn stream(pieces: Vec<Result<Vec<u8>, Interrupted>>) -> FileStream {
    use futures_util::StreamExt as _;
    Box::pin(futures_util::stream::iter(pieces).map(|piece| piece.map(Bytes::from)))
}

pub async fn read(mut bytes: FileStream) -> Vec<u8> {
    use futures_util::StreamExt as _;
    let mut all = Vec::new();
    while let Some(piece) = bytes.next().await {
        all.extend_from_slice(&piece.unwrap());
    }
    all
}
