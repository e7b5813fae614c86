//! JPEG (ITU-T T.81, B.1): segments, then scans. Exif, XMP, IPTC, comments and further pictures go; the colour profile and
//! the orientation stay.

use std::io::{BufRead as _, Read as _, Write as _};

use super::{Input, Output, malformed};

const EXIF: &[u8] = b"Exif\0\0";
const ICC: &[u8] = b"ICC_PROFILE\0";

pub(super) fn strip(input: &mut Input, output: &mut Output) -> std::io::Result<()> {
    let mut start = [0; 2];
    input.read_exact(&mut start)?;
    if start != [0xff, 0xd8] {
        return Err(malformed("no JPEG"));
    }
    output.write_all(&start)?;
    let mut next = None;
    loop {
        let marker = match next.take() {
            Some(marker) => marker,
            None => read_marker(input)?,
        };
        match marker {
            // The end of this picture. What follows may be others, with metadata of their own.
            0xd9 => return output.write_all(&[0xff, 0xd9]),
            0x01 | 0xd0..=0xd7 => output.write_all(&[0xff, marker])?,
            _ => {
                let segment = read_segment(input)?;
                write_segment(marker, &segment, output)?;
                if marker == 0xda {
                    next = Some(copy_scan(input, output)?);
                }
            }
        }
    }
}

fn read_marker(input: &mut Input) -> std::io::Result<u8> {
    let mut byte = [0];
    input.read_exact(&mut byte)?;
    if byte != [0xff] {
        return Err(malformed("no marker"));
    }
    while byte == [0xff] {
        input.read_exact(&mut byte)?;
    }
    Ok(byte[0])
}

/// Without its length.
fn read_segment(input: &mut Input) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    input.read_exact(&mut length)?;
    let length = usize::from(u16::from_be_bytes(length))
        .checked_sub(2)
        .ok_or_else(|| malformed("a segment of no length"))?;
    let mut segment = vec![0; length];
    input.read_exact(&mut segment)?;
    Ok(segment)
}

fn write_segment(marker: u8, segment: &[u8], output: &mut Output) -> std::io::Result<()> {
    match marker {
        0xe1 if segment.starts_with(EXIF) => match orientation(segment.get(EXIF.len()..).unwrap_or_default())
        {
            Some(turn) => put(marker, &only_orientation(turn), output),
            None => Ok(()),
        },
        // JFIF, the colour profile, and Adobe's word on colours are needed to show it.
        0xe0 | 0xee => put(marker, segment, output),
        0xe2 if segment.starts_with(ICC) => put(marker, segment, output),
        0xe1..=0xef | 0xfe => Ok(()),
        _ => put(marker, segment, output),
    }
}

fn put(marker: u8, segment: &[u8], output: &mut Output) -> std::io::Result<()> {
    let length = u16::try_from(segment.len() + 2).map_err(|_| malformed("a segment is too long"))?;
    output.write_all(&[0xff, marker])?;
    output.write_all(&length.to_be_bytes())?;
    output.write_all(segment)
}

/// Copies coded data up to the next marker that is not part of it, and gives that.
fn copy_scan(input: &mut Input, output: &mut Output) -> std::io::Result<u8> {
    loop {
        let block = input.fill_buf()?;
        if block.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let plain = block.iter().position(|byte| *byte == 0xff).unwrap_or(block.len());
        output.write_all(block.get(..plain).unwrap_or_default())?;
        let found = plain < block.len();
        input.consume(plain + usize::from(found));
        if !found {
            continue;
        }
        let mut byte = [0xff];
        while byte == [0xff] {
            input.read_exact(&mut byte)?;
        }
        match byte[0] {
            // A stuffed 0xff, or a restart.
            inside @ (0x00 | 0xd0..=0xd7) => output.write_all(&[0xff, inside])?,
            marker => return Ok(marker),
        }
    }
}

/// Tag 0x0112 of the first directory, if the picture is to be turned.
fn orientation(tiff: &[u8]) -> Option<u8> {
    let big = match tiff.get(..4)? {
        b"MM\0*" => true,
        b"II*\0" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    };
    let long: [u8; 4] = tiff.get(4..8)?.try_into().ok()?;
    let first =
        usize::try_from(if big { u32::from_be_bytes(long) } else { u32::from_le_bytes(long) }).ok()?;
    let count = usize::from(short(first)?);
    let entry = (0..count).map(|no| first + 2 + no * 12).find(|at| short(*at) == Some(0x0112))?;
    let turn = u8::try_from(short(entry + 8)?).ok()?;
    (2..=8).contains(&turn).then_some(turn)
}

/// An Exif segment with one tag.
fn only_orientation(turn: u8) -> Vec<u8> {
    let directory = [0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, turn, 0, 0, 0, 0, 0, 0];
    [EXIF, b"MM\0*\0\0\0\x08", &directory].concat()
}
