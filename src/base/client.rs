//! What counts as one client where clients are counted.

use std::net::IpAddr;

/// The part of an IPv6 address that identifies one customer (RFC 6177).
const PREFIX_MASK: u128 = !0 << 64;

/// The network that one customer of a provider is given: an IPv4 address, also in its IPv6 form, or
/// the first 64 bits of an IPv6 address.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & PREFIX_MASK).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}
