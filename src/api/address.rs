//! Addresses of the network, as far as somebody is told from somebody else by them.

use std::net::{IpAddr, Ipv6Addr};

/// Bits of an IPv6 address that one line has: whoever holds it may use every address below.
const LINE: u128 = u128::MAX << 64;

/// An IPv4 address, or the /64 of an IPv6 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressBlock(IpAddr);

impl From<IpAddr> for AddressBlock {
    fn from(address: IpAddr) -> Self {
        // An IPv4 client of a socket for both comes as `::ffff:192.0.2.1`.
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & LINE)),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

impl std::fmt::Display for AddressBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_client_whatever_address_of_it_is_used() {
        let block = |text: &str| AddressBlock::from(text.parse::<IpAddr>().expect("an address"));
        assert_eq!(block("2001:db8::1"), block("2001:db8::ffff:1:2:3"));
        assert_ne!(block("2001:db8::1"), block("2001:db8:0:1::1"));
        assert_eq!(block("::ffff:192.0.2.1"), block("192.0.2.1"));
        assert_ne!(block("192.0.2.1"), block("192.0.2.2"));
        assert_eq!(
            (block("2001:db8::1").to_string().as_str(), block("192.0.2.1").to_string().as_str()),
            ("2001:db8::/64", "192.0.2.1")
        );
    }
}
