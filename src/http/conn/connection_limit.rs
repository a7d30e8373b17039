//! A limit of connections per address, so that no single address can take them all
//! (docs/SECURITY.md T42).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::base::clock::Stopwatch;
use crate::flow::rates::network_of;

/// Pause between two log lines about addresses at their limit, because a flood could fill a disk
/// with them.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// Addresses whose connections are not counted, such as those of proxies with many clients.
#[derive(Clone)]
pub struct Spared(Arc<dyn Fn(IpAddr) -> bool + Send + Sync>);

/// Counts connections by address.
#[derive(Debug)]
pub(crate) struct ConnectionLimit {
    /// Maximum number of connections of one address; 0 means no limit.
    max: usize,
    spared: Spared,
    inside: Mutex<OpenByAddress>,
    /// All open connections, counted by address or not.
    open: AtomicUsize,
    turned_away: AtomicU64,
}

#[derive(Debug, Default)]
struct OpenByAddress {
    /// At most as many entries as connections.
    counts: HashMap<IpAddr, usize>,
    /// When the last line was logged, and how many connections were refused since.
    said: Option<Stopwatch>,
    unsaid: u64,
}

/// The slot of one connection, released when this is dropped.
#[derive(Debug)]
pub(crate) struct AddressSlot {
    limit: Arc<ConnectionLimit>,
    /// `None` for an address that is not counted.
    who: Option<IpAddr>,
}

impl Spared {
    /// The addresses for which `is_spared` returns true.
    pub fn when(is_spared: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_spared))
    }

    /// No address.
    pub fn nobody() -> Self {
        Self::when(|_| false)
    }
}

impl fmt::Debug for Spared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spared(..)")
    }
}

impl ConnectionLimit {
    /// Admits `max` connections of one address; 0 means no limit.
    pub(crate) fn new(max: usize, spared: Spared) -> Arc<Self> {
        let (open, turned_away) = (AtomicUsize::new(0), AtomicU64::new(0));
        Arc::new(Self { max, spared, inside: Mutex::default(), open, turned_away })
    }

    /// A slot for a connection from `address`; `None` when the address has reached its limit.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<AddressSlot> {
        if self.max == 0 || (self.spared.0)(address.to_canonical()) {
            return Some(self.place(None));
        }
        let who = network_of(address);
        let mut inside = self.lock();
        let count = inside.counts.entry(who).or_default();
        if *count < self.max {
            *count += 1;
            return Some(self.place(Some(who)));
        }
        self.turned_away.fetch_add(1, Ordering::Relaxed);
        inside.complain(who);
        None
    }

    /// Connections that hold a slot now.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Connections that were refused since the start.
    pub(crate) fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    fn place(self: &Arc<Self>, who: Option<IpAddr>) -> AddressSlot {
        self.open.fetch_add(1, Ordering::Relaxed);
        AddressSlot { limit: Arc::clone(self), who }
    }

    fn lock(&self) -> MutexGuard<'_, OpenByAddress> {
        // A panic under this lock leaves no number half written.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenByAddress {
    fn complain(&mut self, who: IpAddr) {
        self.unsaid += 1;
        if self.said.is_some_and(|said| said.elapsed() < LOG_PAUSE) {
            return;
        }
        tracing::warn!(
            event = "server.address_full",
            address = %who,
            turned_away = self.unsaid,
            "limits.connections_per_address lets no more in; a proxy of yours belongs into \
             trusted_proxies"
        );
        (self.said, self.unsaid) = (Some(Stopwatch::start()), 0);
    }
}

impl Drop for AddressSlot {
    fn drop(&mut self) {
        self.limit.open.fetch_sub(1, Ordering::Relaxed);
        let Some(who) = self.who else { return };
        if let Entry::Occupied(mut entry) = self.limit.lock().counts.entry(who) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_gets_so_many_places_and_others_get_their_own() {
        let limit = ConnectionLimit::new(2, Spared::nobody());
        let first = limit.enter(at("192.0.2.1")).unwrap();
        let _second = limit.enter(at("::ffff:192.0.2.1")).unwrap();
        assert!(limit.enter(at("192.0.2.1")).is_none());
        assert!(limit.enter(at("192.0.2.2")).is_some());
        drop(first);
        assert!(limit.enter(at("192.0.2.1")).is_some());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let limit = ConnectionLimit::new(1, Spared::nobody());
        let _one = limit.enter(at("2001:db8::1")).unwrap();
        assert!(limit.enter(at("2001:db8::ffff:1:2:3")).is_none());
        assert!(limit.enter(at("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn nobody_is_remembered_who_has_left() {
        let limit = ConnectionLimit::new(2, Spared::nobody());
        let places: Vec<_> = ["192.0.2.1", "192.0.2.1", "2001:db8::1"]
            .map(|text| limit.enter(at(text)).unwrap())
            .into();
        assert_eq!((limit.lock().counts.len(), limit.open()), (2, 3));
        drop(places);
        assert_eq!((limit.lock().counts.len(), limit.open()), (0, 0));
    }

    #[test]
    fn a_proxy_and_an_unbounded_crowd_are_not_counted() {
        let proxy = at("192.0.2.9");
        let limit = ConnectionLimit::new(1, Spared::when(move |address| address == proxy));
        let any = ConnectionLimit::new(0, Spared::nobody());
        for limit in [limit, any] {
            let places: Vec<_> = (0..3).map(|_| limit.enter(proxy)).collect();
            assert!(places.iter().all(Option::is_some));
        }
    }

    #[test]
    fn a_flood_is_logged_once_in_a_while() {
        let limit = ConnectionLimit::new(1, Spared::nobody());
        let _place = limit.enter(at("192.0.2.1"));
        for _ in 0..100 {
            assert!(limit.enter(at("192.0.2.1")).is_none());
        }
        assert_eq!(limit.lock().unsaid, 99, "one of them was logged");
        assert_eq!(limit.turned_away(), 100);
    }
}
