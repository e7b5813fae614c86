//! TIFF 6.0: directories of tags that point at their values. Values that tell of a place or a person are overwritten with
//! zeros in a copy; nothing moves, so every other offset stays right.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::malformed;

/// XMP, IPTC, Photoshop's block, the artist, the host, the description.
const PRIVATE: [u16; 6] = [700, 33_723, 34_377, 315, 316, 270];
const GPS: u16 = 34_853;
const EXIF: u16 = 34_665;
/// Directories of one file. More is no picture of a person's.
const MOST: usize = 256;

struct Tiff {
    file: File,
    size: u64,
    big: bool,
}

/// One tag of a directory.
struct Tag {
    id: u16,
    /// Where its value is, and how long.
    at: u64,
    bytes: u64,
    /// The value as an offset.
    points_to: u64,
}

pub(super) fn strip(path: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::copy(path, to)?;
    let mut file = OpenOptions::new().read(true).write(true).open(to)?;
    let size = file.seek(SeekFrom::End(0))?;
    let mut header = [0; 8];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut header)?;
    let big = match header.get(..4) {
        Some(b"MM\0*") => true,
        Some(b"II*\0") => false,
        _ => return Err(malformed("no TIFF")),
    };
    let mut tiff = Tiff { file, size, big };
    let mut next = tiff.number(4, 4)?;
    for _ in 0..MOST {
        if next == 0 {
            break;
        }
        next = tiff.clean(next, false)?;
    }
    tiff.file.flush()
}

impl Tiff {
    /// Cleans one directory; `all` of it if it is about a place. Gives where the next one is.
    fn clean(&mut self, at: u64, all: bool) -> std::io::Result<u64> {
        let count = self.number(at, 2)?;
        for no in 0..count {
            let tag = self.tag(at + 2 + no * 12)?;
            if tag.id == GPS {
                self.clean(tag.points_to, true)?;
            } else if tag.id == EXIF && !all {
                // One level: an Exif directory may hold a place of its own.
                self.clean_exif(tag.points_to)?;
            } else if all || PRIVATE.contains(&tag.id) {
                self.zero(tag.at, tag.bytes)?;
            }
        }
        self.number(at + 2 + count * 12, 4).or(Ok(0))
    }

    fn clean_exif(&mut self, at: u64) -> std::io::Result<()> {
        for no in 0..self.number(at, 2)? {
            let tag = self.tag(at + 2 + no * 12)?;
            match tag.id {
                GPS => drop(self.clean(tag.points_to, true)?),
                // The maker's note, and the user's: free text and serial numbers.
                37_500 | 37_510 | 42_032 | 42_033 => self.zero(tag.at, tag.bytes)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn tag(&mut self, at: u64) -> std::io::Result<Tag> {
        let id = u16::try_from(self.number(at, 2)?).unwrap_or_default();
        let width = match self.number(at + 2, 2)? {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 => 8,
            _ => 1,
        };
        let bytes = self.number(at + 4, 4)?.saturating_mul(width);
        let points_to = self.number(at + 8, 4)?;
        Ok(Tag { id, at: if bytes <= 4 { at + 8 } else { points_to }, bytes, points_to })
    }

    fn number(&mut self, at: u64, bytes: usize) -> std::io::Result<u64> {
        let mut read = [0; 4];
        self.file.seek(SeekFrom::Start(at))?;
        let read = read.get_mut(..bytes).unwrap_or_default();
        self.file.read_exact(read)?;
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Ok(if self.big { read.iter().fold(0, add) } else { read.iter().rev().fold(0, add) })
    }

    /// Within the file: an offset may be anything.
    fn zero(&mut self, at: u64, bytes: u64) -> std::io::Result<()> {
        let end = at.saturating_add(bytes).min(self.size);
        if at < 8 || at >= end {
            return Ok(());
        }
        self.file.seek(SeekFrom::Start(at))?;
        std::io::copy(&mut std::io::repeat(0).take(end - at), &mut self.file)?;
        Ok(())
    }
}
