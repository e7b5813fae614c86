//! Where the other side is (symmetric RTP, RFC 4961): behind an address translator it is not where it says. Sound goes to
//! where the first valid packet came from, and nothing from elsewhere is heard any more: no stranger takes over a call.

use std::net::{IpAddr, SocketAddr};

/// Where one side sends from.
#[derive(Debug, Default)]
pub struct Latch {
    /// Where it says it is.
    told: Option<SocketAddr>,
    /// Where it is.
    peer: Option<SocketAddr>,
    /// It sends from the address that it told: nobody else can be it.
    sure: bool,
    /// Where it was before it moved: what is still under way from there is no news.
    left: Option<SocketAddr>,
    control: Option<SocketAddr>,
}

/// An address without the disguise that an IPv6 socket gives to IPv4.
fn plain(at: SocketAddr) -> SocketAddr {
    SocketAddr::new(at.ip().to_canonical(), at.port())
}

impl Latch {
    /// It says that it is here now.
    pub fn expect(&mut self, told: Option<SocketAddr>) {
        let told = told.map(plain);
        self.left = self.peer.filter(|peer| Some(*peer) != told);
        (self.told, self.peer, self.sure, self.control) = (told, None, false, None);
    }

    /// Whether a packet from there may be the other side's. To be asked before it is looked at.
    pub fn may_be(&self, from: SocketAddr) -> bool {
        let from = plain(from);
        match self.peer {
            Some(peer) if peer == from => true,
            Some(_) => !self.sure && self.told.is_some_and(|told| told.ip() == from.ip()),
            None => self.left != Some(from),
        }
    }

    /// A valid packet came from there. True: that is news.
    pub fn hears(&mut self, from: SocketAddr) -> bool {
        let from = plain(from);
        if self.peer == Some(from) || !self.may_be(from) {
            return false;
        }
        self.peer = Some(from);
        self.sure = self.told.is_some_and(|told| told.ip() == from.ip());
        true
    }

    /// Where to send to.
    pub fn to(&self) -> Option<SocketAddr> {
        self.peer.or(self.told)
    }

    /// Where it is, if it was heard.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    fn host(&self) -> Option<IpAddr> {
        self.to().map(|at| at.ip())
    }

    /// Whether RTCP from there may be the other side's: it comes from the same host.
    pub fn is_control_of(&self, from: SocketAddr) -> bool {
        self.host() == Some(plain(from).ip())
    }

    /// Valid RTCP came from there.
    pub fn hears_control(&mut self, from: SocketAddr) {
        self.control = Some(plain(from));
    }

    /// Where RTCP goes: where it comes from, else where it is told to go, else one port above RTP.
    pub fn control(&self, told: Option<SocketAddr>) -> Option<SocketAddr> {
        let beside = |at: SocketAddr| Some(SocketAddr::new(at.ip(), at.port().checked_add(1)?));
        let told = told.map(plain).filter(|told| Some(told.ip()) == self.host());
        self.control.or(told).or_else(|| beside(self.to()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_first_is_heard_and_strangers_are_not() {
        let mut latch = Latch::default();
        latch.expect(Some(at("10.0.0.1:4000")));
        assert_eq!(latch.to(), Some(at("10.0.0.1:4000")));
        assert!(latch.hears(at("10.0.0.1:4000")));
        assert!(!latch.hears(at("10.0.0.1:4000")), "no news");
        for stranger in ["10.0.0.9:4000", "10.0.0.1:4002"] {
            assert!(!latch.may_be(at(stranger)) && !latch.hears(at(stranger)), "{stranger}");
        }
        assert_eq!(latch.to(), Some(at("10.0.0.1:4000")));
    }

    #[test]
    fn behind_a_translator_it_is_elsewhere() {
        let mut latch = Latch::default();
        latch.expect(Some(at("192.168.1.5:4000")));
        assert!(latch.hears(at("203.0.113.7:61000")));
        assert_eq!(latch.to(), Some(at("203.0.113.7:61000")));
        assert!(!latch.may_be(at("203.0.113.8:61000")));
        // Somebody was quicker than the one who was announced: that one is believed, once.
        assert!(latch.hears(at("192.168.1.5:4000")));
        assert!(!latch.may_be(at("203.0.113.7:61000")));
    }

    #[test]
    fn it_moves_when_it_says_so() {
        let mut latch = Latch::default();
        latch.expect(Some(at("10.0.0.1:4000")));
        latch.hears(at("10.0.0.1:4000"));
        latch.expect(Some(at("10.0.0.1:5000")));
        assert!(!latch.hears(at("10.0.0.1:4000")), "still under way from before");
        assert_eq!(latch.to(), Some(at("10.0.0.1:5000")));
        assert!(latch.hears(at("10.0.0.1:5000")));
    }

    #[test]
    fn reports_go_where_they_come_from() {
        let mut latch = Latch::default();
        latch.expect(Some(at("10.0.0.1:4000")));
        assert_eq!(latch.control(None), Some(at("10.0.0.1:4001")));
        assert_eq!(latch.control(Some(at("10.0.0.1:9"))), Some(at("10.0.0.1:9")));
        assert_eq!(latch.control(Some(at("10.0.0.2:9"))), Some(at("10.0.0.1:4001")), "not to a third");
        assert!(!latch.is_control_of(at("10.0.0.2:4001")));
        latch.hears_control(at("10.0.0.1:7777"));
        assert_eq!(latch.control(None), Some(at("10.0.0.1:7777")));
    }

    #[test]
    fn four_in_six_is_four() {
        let mut latch = Latch::default();
        latch.expect(Some(at("10.0.0.1:4000")));
        assert!(latch.hears(at("[::ffff:10.0.0.1]:4000")));
        assert_eq!(latch.to(), Some(at("10.0.0.1:4000")));
    }
}
