//! Pictures: what tells where they were taken goes, the picture stays; and small ones of them.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use image::ImageFormat;
use interline_connector::formats;
use interline_files::{strip, thumbnail};
use proptest::prelude::*;
use support::{Scratch, encode, png};

const PLACE: &[u8] = b"N48.8584 E2.2945";

fn stripped(name: &str, bytes: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    let scratch = Scratch::new();
    let format = formats::find(name.rsplit('.').next().unwrap()).unwrap();
    let (from, to) = (scratch.file("from", bytes), scratch.path().join("to"));
    let done = strip::strip(&from, &to, format);
    if done.is_err() {
        assert!(!to.exists(), "nothing is left of a failure");
    }
    Ok(done?.then(|| std::fs::read(to).unwrap()))
}

fn holds_place(bytes: &[u8]) -> bool {
    bytes.windows(PLACE.len()).any(|window| window == PLACE)
}

fn pixels(bytes: &[u8]) -> image::RgbImage {
    image::load_from_memory(bytes).unwrap().to_rgb8()
}

fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker][..], &length, content].concat()
}

/// A photo as a telephone makes it: turned, with a place in Exif, in XMP, in a comment and in a second picture behind.
fn photo() -> Vec<u8> {
    let plain = encode(40, 20, ImageFormat::Jpeg);
    let exif = [
        b"Exif\0\0II*\0\x08\0\0\0\x02\0".as_slice(),
        &[0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0],
        &[0x25, 0x88, 4, 0, 1, 0, 0, 0, 40, 0, 0, 0],
        &[0; 4],
        PLACE,
    ]
    .concat();
    let xmp = [b"http://ns.adobe.com/xap/1.0/\0".as_slice(), PLACE].concat();
    let head =
        [segment(0xe1, &exif), segment(0xe1, &xmp), segment(0xed, PLACE), segment(0xfe, PLACE)].concat();
    [&plain[..2], &head, &plain[2..], PLACE, &plain].concat()
}

#[test]
fn a_photo_loses_its_place_and_keeps_its_turn() {
    let photo = photo();
    let bare = stripped("a.jpg", &photo).unwrap().unwrap();
    assert!(holds_place(&photo) && !holds_place(&bare));
    assert_eq!(pixels(&bare), pixels(&photo), "the picture is the same");
    let turn = [b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12".as_slice(), &[0, 3, 0, 0, 0, 1, 0, 6]].concat();
    assert!(bare.windows(turn.len()).any(|window| window == turn));
    assert_eq!(stripped("a.jpg", &bare).unwrap().unwrap(), bare, "once is enough");
}

#[test]
fn a_drawing_loses_its_words() {
    let plain = png(9, 9);
    let chunk = [&u32::try_from(PLACE.len()).unwrap().to_be_bytes()[..], b"tEXt", PLACE, &[0; 4]].concat();
    let marked = [&plain[..33], &chunk, &plain[33..], PLACE].concat();
    assert_eq!(stripped("a.png", &marked).unwrap().unwrap(), plain);
}

#[test]
fn an_animation_keeps_its_loop() {
    let body: &[u8] = b",\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
    let head: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff";
    let turns: &[u8] = b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0";
    let comment = [b"!\xfe".as_slice(), &[PLACE.len() as u8], PLACE, &[0]].concat();
    let app = [b"!\xff\x0bXMP DataXMP".as_slice(), &[PLACE.len() as u8], PLACE, &[0]].concat();
    let marked = [head, turns, &comment, &app, body, PLACE].concat();
    assert_eq!(stripped("a.gif", &marked).unwrap().unwrap(), [head, turns, body].concat());
}

#[test]
fn a_scan_keeps_every_offset() {
    // One directory: a description, and a place in a directory of its own.
    let mut tif = b"II*\0\x08\0\0\0\x02\0".to_vec();
    tif.extend([0x0e, 1, 2, 0, 16, 0, 0, 0, 38, 0, 0, 0]);
    tif.extend([0x25, 0x88, 4, 0, 1, 0, 0, 0, 54, 0, 0, 0]);
    tif.extend([0; 4]);
    tif.extend(PLACE);
    tif.extend([1, 0, 2, 0, 2, 0, 16, 0, 0, 0, 72, 0, 0, 0, 0, 0, 0, 0]);
    tif.extend(PLACE);
    let bare = stripped("a.tif", &tif).unwrap().unwrap();
    assert!(!holds_place(&bare) && bare.len() == tif.len());
}

#[test]
fn other_formats_are_left_alone_and_broken_ones_are_named() {
    assert_eq!(stripped("a.bmp", b"BM").unwrap(), None);
    for name in ["a.jpg", "a.png", "a.gif", "a.tif"] {
        let error = stripped(name, b"nothing of the kind").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{name}");
    }
    let cut = photo();
    assert_eq!(stripped("a.jpg", &cut[..90]).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
}

proptest! {
    #[test]
    fn no_picture_is_too_broken(
        at in 0_usize..2_000, byte in any::<u8>(), cut in 0_usize..2_000, name in 0_usize..4,
    ) {
        let (name, mut bytes) = [
            ("a.jpg", photo()),
            ("a.png", png(8, 8)),
            ("a.gif", b"GIF89a\x01\0\x01\0\0\0\0!\xfe\x01x\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;".to_vec()),
            ("a.tif", encode(5, 5, ImageFormat::Tiff)),
        ][name].clone();
        let len = bytes.len();
        bytes[at % len] = byte;
        bytes.truncate(len - cut % len);
        let _ = stripped(name, &bytes);
        let scratch = Scratch::new();
        let _ = thumbnail::make(&scratch.file("x", &bytes));
    }
}

#[test]
fn a_thumbnail_is_small_and_a_bomb_is_none() {
    let scratch = Scratch::new();
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::Bmp, ImageFormat::Tiff]
    {
        let small = thumbnail::make(&scratch.file("x", &encode(1000, 500, format))).unwrap();
        let picture = image::load_from_memory_with_format(&small, ImageFormat::Jpeg).unwrap();
        assert_eq!((picture.width(), picture.height()), (320, 160), "{format:?}");
    }
    let turned = thumbnail::make(&scratch.file("x", &photo())).unwrap();
    let picture = pixels(&turned);
    assert!(picture.height() > picture.width(), "it is shown as it was held");
    let mut bomb = png(2, 2);
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    assert_eq!(thumbnail::make(&scratch.file("x", &bomb)), None);
    assert_eq!(thumbnail::make(&scratch.file("x", b"words")), None);
}
