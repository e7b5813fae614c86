//! The table of contents of a ZIP archive (APPNOTE.TXT, 4.3.12 and 4.3.16). Read from the end, within bounds; no entry is
//! opened, so what an archive would unpack to does not matter here.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

/// The end record and the longest comment behind it.
const END: u64 = 22 + 65_535;
/// So much of the table is read: names of an office document come early and are few.
const TABLE: u64 = 1024 * 1024;

/// The names in an archive.
pub(super) struct Names(Vec<Vec<u8>>);

impl Names {
    /// An office document of the kind that keeps its parts under `folder`.
    pub fn is_office(&self, folder: &str) -> bool {
        let has = |wanted: &[u8]| self.0.iter().any(|name| name == wanted);
        has(b"[Content_Types].xml") && self.0.iter().any(|name| name.starts_with(folder.as_bytes()))
    }
}

fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + len)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// None: it is no archive.
pub(super) fn names(file: &mut File) -> std::io::Result<Option<Names>> {
    let size = file.seek(SeekFrom::End(0))?;
    let mut begin = [0; 4];
    file.seek(SeekFrom::Start(0))?;
    if size < 22 || file.read_exact(&mut begin).is_err() {
        return Ok(None);
    }
    let is_empty = begin == *b"PK\x05\x06";
    if begin != *b"PK\x03\x04" && !is_empty {
        return Ok(None);
    }
    let from = size.saturating_sub(END);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(END).read_to_end(&mut tail)?;
    let end = tail.windows(4).rposition(|window| window == b"PK\x05\x06");
    let Some(end) = end.and_then(|at| tail.get(at..)) else { return Ok(None) };
    let (Some(length), Some(offset)) = (number(end, 12, 4), number(end, 16, 4)) else { return Ok(None) };
    // The 64-bit form keeps its table elsewhere; an archive of at most some gigabytes rarely has it, and is one anyway.
    if offset == 0xffff_ffff || length == 0xffff_ffff {
        return Ok(Some(Names(Vec::new())));
    }
    if offset.saturating_add(length) > size {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut table = Vec::new();
    file.take(length.min(TABLE)).read_to_end(&mut table)?;
    Ok(read_table(&table).filter(|names| is_empty || !names.0.is_empty()))
}

fn read_table(mut table: &[u8]) -> Option<Names> {
    let mut names = Vec::new();
    while table.len() >= 46 {
        if !table.starts_with(b"PK\x01\x02") {
            return None;
        }
        let long = |at| number(table, at, 2).and_then(|long| usize::try_from(long).ok());
        let (name, extra, comment) = (long(28)?, long(30)?, long(32)?);
        let Some(found) = table.get(46..46 + name) else { break };
        names.push(found.to_vec());
        let Some(rest) = table.get(46 + name + extra + comment..) else { break };
        table = rest;
    }
    Some(Names(names))
}
