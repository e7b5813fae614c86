//! Pictures without what tells where, when and by whom they were taken. Each format has its own way of carrying that; the
//! picture itself is copied as it is.

mod gif;
mod jpeg;
mod png;
mod tiff;

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;

use interline_connector::formats::Format;

/// Writes a picture without metadata to `to`. False: this format carries none, and nothing is written.
///
/// # Errors
/// `InvalidData`: the picture does not hold together. Nothing is left at `to` then.
pub fn strip(path: &Path, to: &Path, format: &Format) -> std::io::Result<bool> {
    let done = match format.extension {
        "jpg" | "jpeg" => copy(path, to, jpeg::strip),
        "png" => copy(path, to, png::strip),
        "gif" => copy(path, to, gif::strip),
        "tif" => tiff::strip(path, to),
        _ => return Ok(false),
    };
    if done.is_err() {
        let _ = std::fs::remove_file(to);
    }
    done.map(|()| true).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => malformed("it ends too early"),
        _ => error,
    })
}

type Input = BufReader<File>;
type Output = BufWriter<File>;

fn copy(
    path: &Path,
    to: &Path,
    strip: fn(&mut Input, &mut Output) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut input = BufReader::new(File::open(path)?);
    let mut output = BufWriter::new(File::create(to)?);
    strip(&mut input, &mut output)?;
    output.flush()
}

fn malformed(what: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, what)
}
