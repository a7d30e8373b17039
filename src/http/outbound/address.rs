//! The rule for the addresses that callgate may connect to (docs/SECURITY.md T36).
//!
//! The owner of a name can point it at the cloud's metadata server, at a database beside callgate,
//! or at callgate itself. A *name* may therefore resolve to public addresses only, unless the
//! setting `private_hosts` lists it. An address in the table was written by the operator and is
//! allowed, and `localhost` means the local machine.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::sync::PoisonError;
use std::sync::RwLock;

use crate::http::outbound::error::NoConnection;

/// Decides which addresses connections may be made to.
#[derive(Debug, Default)]
pub struct AddressRule {
    /// Names that may resolve to any address, in lower case.
    private_hosts: Vec<String>,
    /// This process's own listeners.
    own: RwLock<Vec<SocketAddr>>,
}

impl AddressRule {
    /// A rule that lets these names resolve to private networks.
    pub fn new(private_hosts: Vec<String>) -> Self {
        let lower = |host: String| host.trim_end_matches('.').to_ascii_lowercase();
        Self {
            private_hosts: private_hosts.into_iter().map(lower).collect(),
            own: RwLock::default(),
        }
    }

    /// Adds a listener of this process.
    pub(super) fn refuse(&self, own: SocketAddr) {
        // A panic under this lock leaves no address half written.
        self.own.write().unwrap_or_else(PoisonError::into_inner).push(own);
    }

    /// Whether an address literal in a URL may be called.
    pub(super) fn admit_written(
        &self,
        address: SocketAddr,
    ) -> Result<Vec<SocketAddr>, NoConnection> {
        let ip = address.ip().to_canonical();
        if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return Err(refused(&address.ip().to_string(), "is no address of a server"));
        }
        self.admit_foreign(&address.ip().to_string(), address)?;
        Ok(vec![address])
    }

    /// The permitted addresses of a name; an error when there are none.
    pub(super) fn admit_found(
        &self,
        host: &str,
        mut found: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, NoConnection> {
        if found.is_empty() {
            return Err(NoConnection::NoAddress(host.to_owned()));
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let is_known = self.private_hosts.contains(&name);
        found.retain(|address| match address.ip().to_canonical() {
            ip if ip.is_unspecified() || ip.is_multicast() => false,
            ip if name == "localhost" => ip.is_loopback(),
            ip => is_known || is_public(ip),
        });
        if found.is_empty() {
            let why = "leads into a private network; name it in private_hosts if that is meant";
            return Err(refused(host, why));
        }
        found.iter().try_for_each(|address| self.admit_foreign(host, *address))?;
        Ok(found)
    }

    /// Whether a connection leads to this process after all: a listener on all addresses of a
    /// machine is reached under each of them.
    pub(super) fn admit_connected(
        &self,
        host: &str,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> Result<(), NoConnection> {
        let is_here = local.ip().to_canonical() == peer.ip().to_canonical();
        let everywhere = |own: &SocketAddr| own.ip().is_unspecified() && own.port() == peer.port();
        if is_here && self.own().iter().any(everywhere) {
            return Err(refused_as_own(host));
        }
        Ok(())
    }

    fn admit_foreign(&self, host: &str, address: SocketAddr) -> Result<(), NoConnection> {
        let ip = address.ip().to_canonical();
        let is_own = |own: &SocketAddr| {
            let (own_ip, port) = (own.ip().to_canonical(), own.port());
            port == address.port() && (own_ip == ip || own_ip.is_unspecified() && ip.is_loopback())
        };
        if self.own().iter().any(is_own) { Err(refused_as_own(host)) } else { Ok(()) }
    }

    fn own(&self) -> Vec<SocketAddr> {
        self.own.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn refused(host: &str, why: &str) -> NoConnection {
    NoConnection::Refused(format!("{host:?} {why}"))
}

fn refused_as_own(host: &str) -> NoConnection {
    refused(host, "is callgate itself, and the request would go round for ever")
}

/// Whether an address is public, by the registries of special addresses (RFC 6890 and IANA's
/// additions to it). An address that embeds an IPv4 address is only as public as that one.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !matches!(
        (a, b, c),
        // This network, private use, loopback, multicast and what is reserved beyond it, link-local.
        (0 | 10 | 127 | 224.., ..) | (172, 16..=31, _) | (192, 168, _) | (169, 254, _)
        // Shared by carriers (RFC 6598), protocol assignments, documentation, the old 6to4 relay.
        | (100, 64..=127, _) | (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) | (192, 88, 99)
        // Benchmarks (RFC 2544).
        | (198, 18 | 19, _)
    )
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let bits = ip.to_bits();
    let embedded = |from_right: u32| {
        // The lower 32 bits of the rest are the IPv4 address.
        u32::try_from(bits >> from_right & u128::from(u32::MAX))
            .is_ok_and(|v4| is_public_v4(Ipv4Addr::from_bits(v4)))
    };
    match (bits >> 112, bits >> 96 & 0xffff) {
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) lead to the embedded IPv4 address.
        (0x64, 0xff9b) => bits >> 32 & u128::from(u64::MAX) == 0 && embedded(0),
        (0x2002, _) => embedded(80),
        // Protocol assignments, Teredo among them; documentation.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => false,
        // All global unicast addresses assigned so far begin with 001 (RFC 4291 §2.4).
        (first, _) => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The addresses of docs/SECURITY.md T36 that a name must not resolve to, in every range and
    /// at its edges.
    const PRIVATE: [&str; 60] = [
        "0.0.0.0",
        "0.0.0.1",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.0.0.53",
        "127.255.255.255",
        "169.254.0.1",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.168.255.255",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:0.0.0.0",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:192.168.1.1",
        "::ffff:100.64.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b::192.168.0.1",
        "64:ff9b:1::1",
        "64:ff9b:1::8.8.8.8",
        "100::1",
        "2001::1",
        "2001:0:53aa:64c::",
        "2001:2::1",
        "2001:10::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2002:c0a8:101::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
    ];

    fn at(ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), 80)
    }

    #[test]
    fn a_name_leads_to_no_special_address() {
        let rule = AddressRule::default();
        for ip in PRIVATE.into_iter().chain(["fec0::1", "feff::1", "fdff::"]) {
            assert!(rule.admit_found("shop.example", vec![at(ip)]).is_err(), "{ip}");
        }
    }

    #[test]
    fn a_name_leads_to_public_addresses() {
        let rule = AddressRule::default();
        for ip in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:200::1",
            "2002:808:808::1",
            "2606:4700::1111",
        ] {
            assert!(rule.admit_found("shop.example", vec![at(ip)]).is_ok(), "{ip}");
        }
    }

    #[test]
    fn of_mixed_addresses_only_the_public_ones_are_left() {
        let rule = AddressRule::default();
        let mixed = vec![at("127.0.0.1"), at("9.9.9.9"), at("10.0.0.1")];
        assert_eq!(rule.admit_found("a.example", mixed).unwrap(), [at("9.9.9.9")]);
        let none = rule.admit_found("a.example", Vec::new());
        assert!(matches!(none, Err(NoConnection::NoAddress(_))));
    }

    #[test]
    fn a_host_that_the_operator_knows_may_be_private_and_never_everywhere() {
        let rule = AddressRule::new(vec!["App.Internal.".to_owned()]);
        let found = |host, ip| rule.admit_found(host, vec![at(ip)]).is_ok();
        assert!(found("app.internal", "10.0.0.1") && found("APP.INTERNAL.", "fd00::1"));
        assert!(
            !found("app.internal.evil.example", "10.0.0.1") && !found("x.internal", "10.0.0.1")
        );
        for ip in ["0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "ff02::1"] {
            assert!(!found("app.internal", ip), "{ip}");
        }
    }

    #[test]
    fn localhost_is_this_machine_and_nothing_else() {
        let rule = AddressRule::default();
        let found = |ip| rule.admit_found("LocalHost", vec![at(ip)]).is_ok();
        assert!(found("127.0.0.1") && found("::1"));
        assert!(!found("10.0.0.1") && !found("9.9.9.9"));
    }

    #[test]
    fn an_address_is_taken_as_it_is_written() {
        let rule = AddressRule::default();
        for ip in ["127.0.0.1", "10.0.0.1", "::1", "fd00::1", "9.9.9.9"] {
            assert_eq!(rule.admit_written(at(ip)).unwrap(), [at(ip)]);
        }
        for ip in ["0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "ff02::1", "255.255.255.255"] {
            assert!(rule.admit_written(at(ip)).is_err(), "{ip}");
        }
    }

    #[test]
    fn our_own_listeners_are_called_under_none_of_their_addresses() {
        let rule = AddressRule::new(vec!["me.example".to_owned()]);
        rule.refuse("127.0.0.1:80".parse().unwrap());
        assert!(rule.admit_written(at("127.0.0.1")).is_err());
        assert!(rule.admit_written(at("::ffff:127.0.0.1")).is_err());
        assert!(rule.admit_found("me.example", vec![at("127.0.0.1")]).is_err());
        assert!(rule.admit_written("127.0.0.1:81".parse().unwrap()).is_ok());
        rule.refuse("0.0.0.0:443".parse().unwrap());
        assert!(rule.admit_written("127.0.0.9:443".parse().unwrap()).is_err());
        let (here, there): (SocketAddr, SocketAddr) =
            ("192.0.2.1:50000".parse().unwrap(), "192.0.2.1:443".parse().unwrap());
        assert!(rule.admit_connected("me.example", here, there).is_err());
        let elsewhere = "192.0.2.2:443".parse().unwrap();
        assert!(rule.admit_connected("me.example", here, elsewhere).is_ok());
    }
}
