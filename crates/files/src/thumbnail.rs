//! A small picture of a picture. What is decoded is limited: a file of some kilobytes may claim to be any size.

use std::io::{BufReader, Cursor};
use std::path::Path;

use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits};

/// The longer side, in pixels.
const SIDE: u32 = 320;
/// The longest side that is decoded, in pixels.
const LONGEST: u32 = 12_000;
/// What decoding may take, in bytes: a photo of some 40 megapixels.
const MEMORY: u64 = 160 * 1024 * 1024;
const MOST_PIXELS: u64 = 40_000_000;

/// A JPEG of at most 320 by 320 pixels. None: it is no picture, or too large a one.
pub fn make(path: &Path) -> Option<Vec<u8>> {
    let mut reader =
        ImageReader::new(BufReader::new(std::fs::File::open(path).ok()?)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST);
    limits.max_image_height = Some(LONGEST);
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS {
        return None;
    }
    let orientation = decoder.orientation().ok();
    let mut picture = DynamicImage::from_decoder(decoder).ok()?.thumbnail(SIDE, SIDE);
    if let Some(orientation) = orientation {
        picture.apply_orientation(orientation);
    }
    let mut jpeg = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture.to_rgb8()).write_to(&mut jpeg, ImageFormat::Jpeg).ok()?;
    Some(jpeg.into_inner())
}
