//! What a file is, by its content: the formats that are taken, and those that only look like them.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use interline_connector::formats;
use interline_files::content::decide;
use support::{Scratch, png, zip};

fn is(name: &str, bytes: &[u8]) -> bool {
    let scratch = Scratch::new();
    decide(name, &scratch.file("x", bytes)).unwrap().is_some()
}

const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

#[test]
fn every_format_is_known_by_its_content() {
    let office = |folder: &str| zip(&["[Content_Types].xml", &format!("{folder}document.xml")]);
    let ole = [&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1][..], &[0; 600]].concat();
    let bmp = [b"BM".as_slice(), &[0; 12], &[40, 0, 0, 0], &[0; 40]].concat();
    let wide =
        [&[0xff, 0xfe][..], &"a,b".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()].concat();
    let good: [(&str, Vec<u8>); 29] = [
        ("a.pdf", b"%PDF-1.7\n".to_vec()),
        ("a.doc", ole.clone()),
        ("a.xls", ole.clone()),
        ("a.ppt", ole),
        ("a.docx", office("word/")),
        ("a.xlsx", office("xl/")),
        ("a.pptx", office("ppt/")),
        ("a.txt", b"plain words".to_vec()),
        ("a.txt", b"latin \xe4\xf6\xfc".to_vec()),
        ("a.csv", b"a;b\r\n1;2\r\n".to_vec()),
        ("a.csv", wide),
        ("a.xml", b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- x --><order/>".to_vec()),
        ("a.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0".to_vec()),
        ("a.jpeg", b"\xff\xd8\xff\xe1\0\x10Exif\0".to_vec()),
        ("A.PNG", png(2, 2)),
        ("a.gif", GIF.to_vec()),
        ("a.bmp", bmp),
        ("a.tif", b"II*\0\x08\0\0\0".to_vec()),
        ("a.tif", b"MM\0*\0\0\0\x08".to_vec()),
        ("a.zip", zip(&["a", "b/c"])),
        ("a.zip", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec()),
        ("a.rar", b"Rar!\x1a\x07\x01\0".to_vec()),
        ("a.mp3", b"ID3\x04".to_vec()),
        ("a.mp3", b"\xff\xfb\x90\x64".to_vec()),
        ("a.wav", b"RIFF\0\0\0\0WAVEfmt ".to_vec()),
        ("a.avi", b"RIFF\0\0\0\0AVI LIST".to_vec()),
        ("a.mp4", b"\0\0\0\x18ftypmp42".to_vec()),
        ("a.html", b"  <!DOCTYPE html><html></html>".to_vec()),
        ("a.htm", b"<div>words</div>".to_vec()),
    ];
    for (name, bytes) in &good {
        assert!(is(name, bytes), "{name}");
    }
    let tried = |format: &&formats::Format| {
        good.iter().any(|(name, _)| formats::extension(name).as_deref() == Some(format.extension))
    };
    let untried: Vec<_> = formats::FORMATS.iter().filter(|format| !tried(format)).collect();
    assert!(untried.is_empty(), "{untried:?}");
}

#[test]
fn what_only_looks_like_it_is_not() {
    let bad: [(&str, &[u8]); 31] = [
        ("page.pdf", b"<html><script>1</script>%PDF-1.7"),
        ("page.pdf", b"\n%PDF-1.7"),
        ("script.gif", b"GIF89a/*xxxxx*/=1;alert(1)//"),
        ("script.gif", b"GIF89a=1;alert(document.domain)"),
        ("cut.gif", b"GIF89a\x01\0\x01\0\0\0\0"),
        ("a.gif", b"<svg onload=alert(1)>"),
        ("a.jpg", b"\xff\xd8<script>"),
        ("a.png", b"\x89PNG\r\n\x1a\n<html>"),
        ("a.png", GIF),
        ("a.bmp", b"BM=1;alert(1)//xxxxxxxxxxxx"),
        ("a.txt", b"  <HTML><body>"),
        ("a.txt", b"\xef\xbb\xbf<script>1</script>"),
        ("a.txt", b"%PDF-1.7"),
        ("a.txt", b"#!/bin/sh\nrm -rf /"),
        ("a.txt", b"MZ\x90\0"),
        ("a.csv", b"a\0b"),
        ("a.xml", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
        ("a.xml", b"<?xml version=\"1.0\"?><x:html xmlns:x=\"http://www.w3.org/1999/xhtml\"/>"),
        ("a.xml", b"words"),
        ("a.html", b"words"),
        ("a.html", b"%PDF-1.7 <html>"),
        ("a.html", b"<svg><script/></svg>"),
        ("a.zip", b"PK\x03\x04 and no more"),
        ("a.docx", b"PK\x03\x04"),
        ("a.mp3", b"\xff\xff\xff\xff"),
        ("a.mp4", b"ftypmp42"),
        ("a.wav", b"RIFF\0\0\0\0AVI "),
        ("a.exe", b"MZ"),
        ("a.svg", b"<svg/>"),
        ("a", b"words"),
        ("a.doc", b"words"),
    ];
    for (name, bytes) in bad {
        assert!(!is(name, bytes), "{name} {:?}", String::from_utf8_lossy(bytes));
    }
    assert!(!is("a.docx", &zip(&["xl/workbook.xml", "[Content_Types].xml"])), "a sheet is no letter");
    assert!(!is("late.txt", &[vec![b'x'; 100_000], vec![0], vec![b'x'; 10]].concat()), "a NUL far behind");
}

#[test]
fn an_archive_is_not_unpacked() {
    // It says that it holds petabytes: its table of contents is all that is read.
    let mut bomb = zip(&["bomb"]);
    let at = bomb.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    bomb[at + 24..at + 28].copy_from_slice(&[0xff; 4]);
    assert!(is("bomb.zip", &bomb));
}
