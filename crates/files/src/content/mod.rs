//! What a file is, decided by its content and checked against its name. The sender's word counts for nothing.
//!
//! A file passes when it begins as its name says, and holds together as such where that is cheap to see. Archives are
//! looked into by their table of contents alone: nothing is ever unpacked.

mod image;
mod text;
mod zip;

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use interline_connector::formats::{self, Format};

/// So much of the beginning is looked at.
const HEAD: usize = 8 * 1024;

/// The format that the file at `path` has, if that is what its name says. None: it is something else.
///
/// # Errors
/// It cannot be read.
pub fn decide(name: &str, path: &Path) -> std::io::Result<Option<&'static Format>> {
    let Some(format) = formats::extension(name).and_then(|extension| formats::find(&extension)) else {
        return Ok(None);
    };
    let mut file = File::open(path)?;
    let mut head = Vec::with_capacity(HEAD);
    (&mut file).take(HEAD as u64).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(holds(format.extension, &head, &mut file)?.then_some(format))
}

fn holds(extension: &str, head: &[u8], file: &mut File) -> std::io::Result<bool> {
    Ok(match extension {
        "pdf" => head.starts_with(b"%PDF-"),
        "doc" | "xls" | "ppt" => head.starts_with(&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]),
        "docx" => zip::names(file)?.is_some_and(|names| names.is_office("word/")),
        "xlsx" => zip::names(file)?.is_some_and(|names| names.is_office("xl/")),
        "pptx" => zip::names(file)?.is_some_and(|names| names.is_office("ppt/")),
        "zip" => zip::names(file)?.is_some(),
        "rar" => head.starts_with(b"Rar!\x1a\x07\x00") || head.starts_with(b"Rar!\x1a\x07\x01\x00"),
        "jpg" | "jpeg" => image::is_jpeg(head),
        "png" => image::is_png(head),
        "gif" => image::is_gif(file)?,
        "bmp" => image::is_bmp(head),
        "tif" => head.starts_with(b"II*\0") || head.starts_with(b"MM\0*"),
        "mp3" => is_mp3(head),
        "wav" => is_riff(head, b"WAVE"),
        "avi" => is_riff(head, b"AVI "),
        "mp4" => head.get(4..8) == Some(b"ftyp"),
        "txt" | "csv" => text::is_plain(head) && text::has_no_nul(file, head)?,
        "xml" => text::is_xml(head) && text::has_no_nul(file, head)?,
        "htm" | "html" => text::is_html(head) && text::has_no_nul(file, head)?,
        _ => false,
    })
}

fn is_riff(head: &[u8], kind: &[u8]) -> bool {
    head.starts_with(b"RIFF") && head.get(8..12) == Some(kind)
}

/// A tag, or the header of a frame: eleven set bits, a version, layer III, a bit rate, a sampling rate
/// (ISO/IEC 11172-3, 2.4.1.3).
fn is_mp3(head: &[u8]) -> bool {
    let frame = matches!(head, [0xff, second, third, ..]
        if second & 0xe0 == 0xe0 && second & 0x18 != 0x08 && second & 0x06 == 0x02
        && third & 0xf0 != 0xf0 && third & 0xf0 != 0 && third & 0x0c != 0x0c);
    head.starts_with(b"ID3") || frame
}
