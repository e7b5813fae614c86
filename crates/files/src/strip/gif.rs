//! GIF: blocks. Comments and application data go, but for how often it plays.

use std::io::{Read as _, Write as _};

use super::{Input, Output, malformed};

pub(super) fn strip(input: &mut Input, output: &mut Output) -> std::io::Result<()> {
    let mut header = [0; 13];
    input.read_exact(&mut header)?;
    if !(header.starts_with(b"GIF87a") || header.starts_with(b"GIF89a")) {
        return Err(malformed("no GIF"));
    }
    output.write_all(&header)?;
    copy(input, output, colours(header[10]))?;
    loop {
        let mut introducer = [0];
        input.read_exact(&mut introducer)?;
        match introducer[0] {
            0x3b => return output.write_all(&[0x3b]),
            0x21 => extension(input, output)?,
            0x2c => {
                let mut image = [0; 9];
                input.read_exact(&mut image)?;
                output.write_all(&[0x2c])?;
                output.write_all(&image)?;
                // With the size of a code.
                copy(input, output, colours(image[8]) + 1)?;
                blocks(input, Some(output))?;
            }
            _ => return Err(malformed("no block")),
        }
    }
}

fn extension(input: &mut Input, output: &mut Output) -> std::io::Result<()> {
    let mut label = [0];
    input.read_exact(&mut label)?;
    match label[0] {
        // A comment.
        0xfe => blocks(input, None),
        // Of an application: its name is the first block.
        0xff => {
            let mut size = [0];
            input.read_exact(&mut size)?;
            let mut name = vec![0; usize::from(size[0])];
            input.read_exact(&mut name)?;
            if !matches!(name.as_slice(), b"NETSCAPE2.0" | b"ANIMEXTS1.0") {
                return if name.is_empty() { Ok(()) } else { blocks(input, None) };
            }
            output.write_all(&[0x21, 0xff, size[0]])?;
            output.write_all(&name)?;
            blocks(input, Some(output))
        }
        kind => {
            output.write_all(&[0x21, kind])?;
            blocks(input, Some(output))
        }
    }
}

/// Sub-blocks up to the one of no length; copied, or passed over.
fn blocks(input: &mut Input, mut output: Option<&mut Output>) -> std::io::Result<()> {
    loop {
        let mut size = [0];
        input.read_exact(&mut size)?;
        let mut block = vec![0; usize::from(size[0])];
        input.read_exact(&mut block)?;
        if let Some(output) = &mut output {
            output.write_all(&size)?;
            output.write_all(&block)?;
        }
        if block.is_empty() {
            return Ok(());
        }
    }
}

fn copy(input: &mut Input, output: &mut Output, bytes: u64) -> std::io::Result<()> {
    let copied = std::io::copy(&mut input.take(bytes), output)?;
    if copied == bytes { Ok(()) } else { Err(malformed("it ends too early")) }
}

fn colours(flags: u8) -> u64 {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}
