use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte =
        |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).expect("text"), 16).expect("hexadecimal");
    digits.chunks(2).map(byte).collect()
}

fn key(suite: Suite, text: &str) -> Key {
    Key::new(suite, &hex(text)).expect("a key")
}

/// RFC 3711, B.3: derived keys.
#[test]
fn keys_are_derived_as_in_the_standard() {
    let master = key(Suite::Aes128Sha80, "E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
    let keys = Keys::new(&master, 0).expect("keys");
    assert_eq!(keys.salt.to_vec(), hex("30CBBC08863D8C85D49DB34A9AE1"));
    // The cipher key is seen by what it makes: one block, encrypted by both.
    let known = Cipher::new(&hex("C61E7A93744F39EE10734AFE3FF7A087")).expect("a key");
    let (mut ours, mut theirs) = ([0; 40], [0; 40]);
    keys.cipher.apply([5; 16], &mut ours);
    known.apply([5; 16], &mut theirs);
    assert_eq!(ours, theirs);
    let auth = hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4");
    let mut mac: Hmac<Sha1> = Hmac::new_from_slice(&auth).expect("a key");
    mac.update(b"text");
    assert_eq!(keys.tag(b"te", b"xt").to_vec(), mac.finalize().into_bytes().to_vec());
}

/// RFC 3711, B.2: the key stream of AES in counter mode.
#[test]
fn the_key_stream_is_that_of_the_standard() {
    let cipher = Cipher::new(&hex("2B7E151628AED2A6ABF7158809CF4F3C")).expect("a key");
    let mut start = [0; 16];
    start[..14].copy_from_slice(&hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"));
    let mut stream = vec![0; 0xff00 * 16];
    cipher.apply(start, &mut stream);
    assert_eq!(
        stream[..48].to_vec(),
        hex(
            "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0"
        )
    );
    assert_eq!(stream[0xfeff * 16..][..16].to_vec(), hex("EC8CDF7398607CB0F2D21675EA9EA1E4"));
}

/// RFC 6188, 7.3: derived keys of AES-256.
#[test]
fn long_keys_are_derived_as_in_the_standard() {
    let master = key(
        Suite::Aes256Sha80,
        "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6 3b04803de51ee7c96423ab5b78d2",
    );
    let keys = Keys::new(&master, 0).expect("keys");
    assert_eq!(keys.salt.to_vec(), hex("fa31791685ca444a9e07c6c64e93"));
    let known =
        Cipher::new(&hex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4")).expect("a key");
    let (mut ours, mut theirs) = ([0; 16], [0; 16]);
    keys.cipher.apply([1; 16], &mut ours);
    known.apply([1; 16], &mut theirs);
    assert_eq!(ours, theirs);
}

/// The reference packet of libsrtp (`srtp_driver`, AES_CM_128_HMAC_SHA1_80).
#[test]
fn a_packet_is_sealed_as_others_do() {
    let suite = Suite::Aes128Sha80;
    let master = key(suite, "e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6");
    let mut datagram = hex("800f1234decafbadcafebabe abababababababababababababababab");
    let length = datagram.len();
    datagram.resize(length + TAG, 0);
    let sealed = Sealed::new(suite, &master).expect("keys").seal(&mut datagram, length).expect("room");
    assert_eq!(
        datagram[..sealed].to_vec(),
        hex("800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb")
    );
}

fn sent(sequence: u16) -> Vec<u8> {
    let mut datagram = vec![7; packet::HEADER + 160];
    packet::write(&mut datagram, false, 0, sequence, u32::from(sequence), 99);
    datagram
}

#[test]
fn what_is_sealed_opens_once_and_only_whole() {
    for suite in Suite::ALL {
        let master = Key::random(suite).expect("randomness");
        let (mut seal, mut open) =
            (Sealed::new(suite, &master).expect("keys"), Sealed::new(suite, &master).expect("keys"));
        // Over the wrap, with loss and disorder.
        for sequence in [65_533u16, 65_535, 65_534, 0, 3, 1, 2] {
            let plain = sent(sequence);
            let mut datagram = plain.clone();
            datagram.resize(plain.len() + TAG, 0);
            let length = seal.seal(&mut datagram, plain.len()).expect("room");
            datagram.truncate(length);
            assert_ne!(datagram[packet::HEADER..plain.len()], plain[packet::HEADER..]);
            let (mut damaged, mut again) = (datagram.clone(), datagram.clone());
            damaged[20] ^= 1;
            assert_eq!(open.open(&mut damaged), None, "damaged");
            assert_eq!(open.open(&mut datagram), Some(plain.len()), "{sequence}");
            assert_eq!(datagram[..plain.len()], plain);
            assert_eq!(open.open(&mut again), None, "again");
        }
    }
}

#[test]
fn reports_are_sealed_too() {
    let suite = Suite::Aes128Sha32;
    let master = Key::random(suite).expect("randomness");
    let (mut seal, mut open) =
        (Sealed::new(suite, &master).expect("keys"), Sealed::new(suite, &master).expect("keys"));
    let plain: Vec<u8> = (0..28).collect();
    for _ in 0..3 {
        let mut datagram = plain.clone();
        datagram.resize(100, 0);
        let length = seal.seal_control(&mut datagram, plain.len()).expect("room");
        assert_eq!(length, plain.len() + CONTROL_ADDED);
        let mut again = datagram[..length].to_vec();
        assert_eq!(open.open_control(&mut datagram[..length]), Some(plain.len()));
        assert_eq!(datagram[..plain.len()], plain);
        assert_eq!(open.open_control(&mut again), None);
    }
}

#[test]
fn nonsense_is_not_opened() {
    let suite = Suite::Aes128Sha80;
    let mut open = Sealed::new(suite, &Key::random(suite).expect("randomness")).expect("keys");
    for length in 0..60 {
        assert_eq!(open.open(&mut vec![0x9f; length]), None);
        assert_eq!(open.open_control(&mut vec![0x81; length]), None);
    }
}
