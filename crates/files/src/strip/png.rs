//! PNG: chunks. Those with text, times and Exif go, and what follows the end.

use std::io::{Read as _, Write as _};

use super::{Input, Output, malformed};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

pub(super) fn strip(input: &mut Input, output: &mut Output) -> std::io::Result<()> {
    let mut signature = [0; 8];
    input.read_exact(&mut signature)?;
    if signature != SIGNATURE {
        return Err(malformed("no PNG"));
    }
    output.write_all(&signature)?;
    loop {
        let mut header = [0; 8];
        input.read_exact(&mut header)?;
        let (length, kind) = header.split_at(4);
        let length = length.iter().fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
        if length > 0x7fff_ffff || !kind.iter().all(u8::is_ascii_alphabetic) {
            return Err(malformed("no chunk"));
        }
        // With its check sum.
        let mut rest = input.take(length + 4);
        let copied = if matches!(kind, b"eXIf" | b"tEXt" | b"zTXt" | b"iTXt" | b"tIME") {
            std::io::copy(&mut rest, &mut std::io::sink())?
        } else {
            output.write_all(&header)?;
            std::io::copy(&mut rest, output)?
        };
        if copied != length + 4 {
            return Err(malformed("it ends too early"));
        }
        if kind == b"IEND" {
            return Ok(());
        }
    }
}
