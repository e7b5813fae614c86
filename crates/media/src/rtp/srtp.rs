//! Sealed packets (SRTP, RFC 3711; AES-256 by RFC 6188), by the RustCrypto primitives that the workspace has already. In
//! place and without memory of its own: a relayed call opens and seals every packet.

use aes::cipher::{Array, BlockCipherEncrypt as _, KeyInit as _};
use aes::{Aes128, Aes256};
use hmac::{Hmac, Mac as _};
use sha1::Sha1;

use super::packet;
use crate::sdp::keys::{Key, SALT, Suite};

/// The most that sealing adds to a packet of RTP, in bytes.
pub const TAG: usize = 10;
/// The tag of RTCP, whatever the suite says (RFC 4568, 6.2).
const CONTROL_TAG: usize = 10;
/// What else is added to RTCP: its number, and whether it is encrypted.
const CONTROL_INDEX: usize = 4;
/// The most that sealing adds to a packet of RTCP.
pub const CONTROL_ADDED: usize = CONTROL_TAG + CONTROL_INDEX;

/// So many streams of one side are told apart. What is more takes the place of the one that was silent longest.
const STREAMS: usize = 4;

enum Cipher {
    Short(Box<Aes128>),
    Long(Box<Aes256>),
}

type Block = Array<u8, aes::cipher::consts::U16>;

impl Cipher {
    fn new(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => Some(Self::Short(Box::new(Aes128::new_from_slice(key).ok()?))),
            _ => Some(Self::Long(Box::new(Aes256::new_from_slice(key).ok()?))),
        }
    }

    fn blocks(&self, blocks: &mut [Block]) {
        match self {
            Self::Short(aes) => aes.encrypt_blocks(blocks),
            Self::Long(aes) => aes.encrypt_blocks(blocks),
        }
    }

    /// Counter mode from `start`, whose last two bytes count.
    fn apply(&self, start: [u8; 16], data: &mut [u8]) {
        let mut counter = 0u16;
        for part in data.chunks_mut(8 * 16) {
            let mut blocks = [Block::default(); 8];
            let used = part.len().div_ceil(16).min(8);
            for block in blocks.iter_mut().take(used) {
                block.copy_from_slice(&start);
                block[14..].copy_from_slice(&counter.to_be_bytes());
                counter = counter.wrapping_add(1);
            }
            self.blocks(blocks.get_mut(..used).unwrap_or_default());
            for (byte, by) in part.iter_mut().zip(blocks.iter().flatten()) {
                *byte ^= by;
            }
        }
    }
}

/// The keys of one kind of packet in one direction, derived from the master key (RFC 3711, 4.3).
struct Keys {
    cipher: Cipher,
    salt: [u8; SALT],
    mac: Hmac<Sha1>,
}

impl Keys {
    /// `label`: 0 for RTP, 3 for RTCP.
    fn new(master: &Key, label: u8) -> Option<Self> {
        let prf = Cipher::new(master.key())?;
        let derive = |label: u8, into: &mut [u8]| {
            let mut start = [0; 16];
            start[..SALT].copy_from_slice(master.salt());
            start[7] ^= label;
            prf.apply(start, into);
        };
        let (mut key, mut auth, mut salt) = ([0; 32], [0; 20], [0; SALT]);
        let key = key.get_mut(..master.key().len())?;
        derive(label, key);
        derive(label + 1, &mut auth);
        derive(label + 2, &mut salt);
        Some(Self { cipher: Cipher::new(key)?, salt, mac: Hmac::new_from_slice(&auth).ok()? })
    }

    /// Encrypts or decrypts: packet `index` of the stream `source`.
    fn apply(&self, source: u32, index: u64, data: &mut [u8]) {
        let mut start = [0; 16];
        start[..SALT].copy_from_slice(&self.salt);
        let [_, _, index @ ..] = index.to_be_bytes();
        let mask = source.to_be_bytes().into_iter().chain(index);
        for (byte, by) in start.iter_mut().skip(4).zip(mask) {
            *byte ^= by;
        }
        self.cipher.apply(start, data);
    }

    fn tag(&self, data: &[u8], more: &[u8]) -> [u8; 20] {
        let mut mac = self.mac.clone();
        mac.update(data);
        mac.update(more);
        mac.finalize().into_bytes().into()
    }
}

/// Which packets of a stream were there: the highest number with its wraps, and the 64 before it (RFC 3711, 3.3).
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    source: u32,
    highest: u64,
    seen: u64,
}

impl Place {
    /// The number of a packet with its wraps: the nearest to the highest.
    fn index(&self, sequence: u16) -> u64 {
        if self.seen == 0 {
            return u64::from(sequence);
        }
        let off = sequence.wrapping_sub(self.highest as u16) as i16;
        self.highest.checked_add_signed(i64::from(off)).unwrap_or(u64::from(sequence))
    }

    fn is_new(&self, index: u64) -> bool {
        if self.seen == 0 || index > self.highest {
            return true;
        }
        let behind = self.highest - index;
        behind < 64 && self.seen & (1 << behind) == 0
    }

    fn mark(&mut self, index: u64) {
        if self.seen == 0 || index > self.highest {
            let ahead = index - if self.seen == 0 { index } else { self.highest };
            self.seen = if ahead < 64 { self.seen << ahead } else { 0 } | 1;
            self.highest = index;
        } else {
            self.seen |= 1 << (self.highest - index).min(63);
        }
    }
}

#[derive(Default)]
struct Places(Vec<Place>);

impl Places {
    fn of(&self, source: u32) -> Place {
        self.0
            .iter()
            .find(|place| place.source == source)
            .copied()
            .unwrap_or(Place { source, ..Place::default() })
    }

    fn keep(&mut self, place: Place) {
        self.0.retain(|other| other.source != place.source);
        if self.0.len() >= STREAMS {
            self.0.remove(0);
        }
        self.0.push(place);
    }
}

/// Opens or seals the packets of one direction.
pub struct Sealed {
    suite: Suite,
    rtp: Keys,
    control: Keys,
    places: Places,
    controls: Places,
    next: u32,
}

impl Sealed {
    /// With this master key. None: it does not fit the suite.
    pub fn new(suite: Suite, key: &Key) -> Option<Self> {
        if key.key().len() != suite.key() {
            return None;
        }
        let (rtp, control) = (Keys::new(key, 0)?, Keys::new(key, 3)?);
        Some(Self { suite, rtp, control, places: Places::default(), controls: Places::default(), next: 0 })
    }

    /// Seals the packet in the first `length` bytes of `datagram`, and gives its new length. None: there is no room.
    pub fn seal(&mut self, datagram: &mut [u8], length: usize) -> Option<usize> {
        let packet = packet::read(datagram.get(..length)?)?;
        let header = packet::header_len(datagram.get(..length)?)?;
        let mut place = self.places.of(packet.source);
        let index = place.index(packet.sequence);
        place.mark(index);
        self.places.keep(place);
        self.rtp.apply(packet.source, index, datagram.get_mut(header..length)?);
        let tag = self.rtp.tag(datagram.get(..length)?, &((index >> 16) as u32).to_be_bytes());
        let end = length + self.suite.tag();
        datagram.get_mut(length..end)?.copy_from_slice(tag.get(..self.suite.tag())?);
        Some(end)
    }

    /// Opens a packet in place, and gives its length without the tag. None: nobody with the key sent it, or it was here
    /// before.
    pub fn open(&mut self, datagram: &mut [u8]) -> Option<usize> {
        let end = datagram.len().checked_sub(self.suite.tag()).filter(|end| *end >= packet::HEADER)?;
        let (sealed, tag) = datagram.split_at(end);
        let header = packet::header_len(sealed)?;
        let fixed: &[u8; packet::HEADER] = sealed.first_chunk()?;
        let source = u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]);
        let mut place = self.places.of(source);
        let index = place.index(u16::from_be_bytes([fixed[2], fixed[3]]));
        if !place.is_new(index) {
            return None;
        }
        let ours = self.rtp.tag(sealed, &((index >> 16) as u32).to_be_bytes());
        if !same(ours.get(..tag.len())?, tag) {
            return None;
        }
        place.mark(index);
        self.places.keep(place);
        self.rtp.apply(source, index, datagram.get_mut(header..end)?);
        Some(end)
    }

    /// As [`Sealed::seal`], for RTCP.
    pub fn seal_control(&mut self, datagram: &mut [u8], length: usize) -> Option<usize> {
        let source = u32::from_be_bytes(*datagram.get(4..length)?.first_chunk()?);
        let index = self.next & 0x7fff_ffff;
        self.next = index + 1;
        self.control.apply(source, u64::from(index), datagram.get_mut(8..length)?);
        let end = length + CONTROL_INDEX;
        datagram.get_mut(length..end)?.copy_from_slice(&(index | 0x8000_0000).to_be_bytes());
        let tag = self.control.tag(datagram.get(..end)?, &[]);
        datagram.get_mut(end..end + CONTROL_TAG)?.copy_from_slice(tag.get(..CONTROL_TAG)?);
        Some(end + CONTROL_TAG)
    }

    /// As [`Sealed::open`], for RTCP.
    pub fn open_control(&mut self, datagram: &mut [u8]) -> Option<usize> {
        let end = datagram.len().checked_sub(CONTROL_TAG)?;
        let (sealed, tag) = datagram.split_at(end);
        let length = end.checked_sub(CONTROL_INDEX).filter(|length| *length >= 8)?;
        let word = u32::from_be_bytes(*sealed.get(length..)?.first_chunk()?);
        let source = u32::from_be_bytes(*sealed.get(4..)?.first_chunk()?);
        let (index, mut place) = (u64::from(word & 0x7fff_ffff), self.controls.of(source));
        let ours = self.control.tag(sealed, &[]);
        if !place.is_new(index) || !same(ours.get(..CONTROL_TAG)?, tag) {
            return None;
        }
        place.mark(index);
        self.controls.keep(place);
        if word & 0x8000_0000 != 0 {
            self.control.apply(source, index, datagram.get_mut(8..length)?);
        }
        Some(length)
    }
}

/// Whether both are the same, in a time that does not tell where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |off, (a, b)| off | (a ^ b)) == 0
}

#[cfg(test)]
#[path = "srtp_tests.rs"]
mod tests;
