//! Pictures: a header that makes sense, and for GIF, whose header is made of letters, blocks that hold together.

use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom};

/// SOI, then a segment (ITU-T T.81, B.1.1.3).
pub(super) fn is_jpeg(head: &[u8]) -> bool {
    matches!(head, [0xff, 0xd8, 0xff, marker, ..] if matches!(marker, 0xc0..=0xcf | 0xdb..=0xdf | 0xe0..=0xef | 0xfe))
}

/// The signature, then IHDR of 13 bytes.
pub(super) fn is_png(head: &[u8]) -> bool {
    head.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR")
}

/// `BM`, with a header of a known size behind the file header.
pub(super) fn is_bmp(head: &[u8]) -> bool {
    let known = matches!(head.get(14..18), Some([size, 0, 0, 0]) if matches!(size, 12 | 40 | 52 | 56 | 64 | 108 | 124));
    head.starts_with(b"BM") && known
}

/// A GIF is blocks to its end (GIF89a, 12 to 27). `GIF89a=1;alert(1)` is not. One that was cut off is still a picture,
/// if a picture began.
pub(super) fn is_gif(file: &mut File) -> std::io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    let mut blocks = BufReader::new(file);
    Ok(walk(&mut blocks).unwrap_or(false))
}

/// None: it ended before a picture began.
fn walk(blocks: &mut impl Read) -> Option<bool> {
    let mut header = [0; 13];
    blocks.read_exact(&mut header).ok()?;
    if !(header.starts_with(b"GIF87a") || header.starts_with(b"GIF89a")) {
        return Some(false);
    }
    skip(blocks, colours(header[10]))?;
    let mut began = false;
    loop {
        let Some(introducer) = byte(blocks) else { return Some(began) };
        let read = match introducer {
            0x3b => return Some(began),
            0x21 => byte(blocks).and_then(|_| skip_blocks(blocks)),
            0x2c => {
                let mut image = [0; 9];
                let read = blocks.read_exact(&mut image).ok();
                began = began || read.is_some();
                read.and_then(|()| skip(blocks, colours(image[8])))
                    .and_then(|()| byte(blocks))
                    .and_then(|_| skip_blocks(blocks))
            }
            _ => return Some(false),
        };
        if read.is_none() {
            return Some(began);
        }
    }
}

fn colours(flags: u8) -> u64 {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

fn byte(blocks: &mut impl Read) -> Option<u8> {
    let mut one = [0];
    blocks.read_exact(&mut one).ok().map(|()| one[0])
}

fn skip(blocks: &mut impl Read, bytes: u64) -> Option<()> {
    let skipped = std::io::copy(&mut blocks.take(bytes), &mut std::io::sink()).ok()?;
    (skipped == bytes).then_some(())
}

fn skip_blocks(blocks: &mut impl Read) -> Option<()> {
    loop {
        match byte(blocks)? {
            0 => return Some(()),
            size => skip(blocks, u64::from(size))?,
        }
    }
}
