//! Round trips between a node and its database, counted at the wire: what each request costs.
//!
//! A node works alone and is asked one thing at a time. What it does beside that (uses of sessions
//! on their way, a look at the clock) comes every few seconds, so of many measurements the middle
//! one is that of the request alone.

use std::fmt::Write;
use std::time::Duration;

use super::databases::Kind;
use super::databases::local;
use super::nodes;
use crate::support::Ask;
use crate::support::Connection;
use crate::support::Reply;
use crate::support::figure;
use crate::support::median;
use crate::support::run;
use crate::support::services::proxy::Proxy;
use crate::support::services::redis;

/// Measurements of each request.
const TIMES: usize = 15;

/// Requests, and what each may cost as a whole: on one server, and on a Cluster, where the pointer
/// to a token is in another place than the token.
const PROMISED: [(&str, u32, u32); 14] = [
    ("a stranger who leaves nothing behind", 0, 0),
    ("resume, nothing changes", 1, 1),
    ("first write of a new visitor", 1, 1),
    ("mint, first request of a new visitor", 1, 2),
    ("resume and one write", 2, 2),
    ("resume, write and mint", 2, 3),
    ("resume and mint", 2, 3),
    ("redeem and load, share", 1, 2),
    ("redeem and load, context", 1, 2),
    ("redeem in one's own session", 2, 3),
    // On a Cluster three are waited for. The others take pointers away afterwards, one for each
    // server that has some.
    ("redeem, transfer", 2, 6),
    ("a token that was used", 1, 2),
    ("a token that nobody minted", 1, 1),
    ("resume and log out", 2, 2),
];

/// How long what is done after an answer may take.
const AFTERWARDS: Duration = Duration::from_millis(5);

#[test]
fn a_request_costs_postgres_no_more_than_promised() {
    run(count(Kind::Postgres));
}

#[test]
fn a_request_costs_redis_no_more_than_promised() {
    run(count(Kind::Redis));
}

async fn count(kind: Kind) {
    if kind.is_installed() {
        let database = kind.start().await;
        let proxy = Proxy::to(database.address()).await;
        let url = database.url_at(proxy.address);
        judge(kind.name(), &url, vec![proxy], |(_, one, _)| one).await;
    }
}

/// The nodes of the Cluster say that they are where the proxies are.
#[test]
fn a_request_costs_a_redis_cluster_no_more_than_promised() {
    run(async {
        if !redis::is_installed() {
            return;
        }
        let cluster = redis::Cluster::start("--appendonly yes --appendfsync always").await;
        let mut proxies = Vec::new();
        for node in &cluster.nodes {
            let proxy = Proxy::to(local(node.port())).await;
            let port = proxy.address.port().to_string();
            node.say(&["CONFIG", "SET", "cluster-announce-port", &port]);
            proxies.push(proxy);
        }
        for node in &cluster.nodes {
            for proxy in &proxies {
                node.wait_for("CLUSTER SLOTS", &proxy.address.port().to_string()).await;
            }
        }
        let hosts = proxies.iter().map(|proxy| proxy.address.to_string()).collect::<Vec<_>>();
        let url = format!("redis+cluster://{}", hosts.join(","));
        judge("Redis Cluster of three", &url, proxies, |(_, _, cluster)| cluster).await;
    });
}

async fn judge(
    name: &str,
    url: &str,
    proxies: Vec<Proxy>,
    promised: impl Fn((&str, u32, u32)) -> u32,
) {
    let server = nodes::plan(url).start();
    let mut meter = Meter { proxies, connection: server.connect().await };
    // Scripts are loaded and connections opened by whoever needs them first.
    for _ in 0..3 {
        meter.measure().await;
    }
    let mut measured = vec![Vec::new(); PROMISED.len()];
    for _ in 0..TIMES {
        let trips = meter.measure().await;
        assert_eq!(trips.len(), PROMISED.len());
        for (all, trips) in measured.iter_mut().zip(trips) {
            all.push(f64::from(u32::try_from(trips).unwrap()));
        }
    }
    let mut table = String::new();
    let mut dear = Vec::new();
    for (request, all) in PROMISED.into_iter().zip(measured) {
        let (what, usual, promised) = (request.0, median(all), promised(request));
        write!(table, "\n    {usual:>2}  {what}").unwrap();
        if usual > f64::from(promised) {
            dear.push(format!("{what}: {usual} instead of {promised}"));
        }
    }
    figure(&format!("round trips of whole requests on {name}"), table);
    assert!(dear.is_empty(), "{dear:#?}");
}

/// A client of the node, and the way of the node to its database.
struct Meter {
    proxies: Vec<Proxy>,
    connection: Connection,
}

impl Meter {
    /// One of everything, in the order of [`PROMISED`]: the round trips of each.
    async fn measure(&mut self) -> Vec<u64> {
        let mut trips = Vec::new();
        let mut take = |(count, reply): (u64, Reply)| {
            trips.push(count);
            reply
        };
        take(self.ask(&Ask::get("/say?body=x")).await);
        let founded = self.ask(&Ask::get("/write?key=a&value=1")).await;
        let cookie = founded.1.cookie().unwrap().to_owned();
        let own = |target: &str| Ask::get(target).cookie(&cookie);
        take(self.ask(&own("/read?key=a")).await);
        take(founded);
        take(self.ask(&Ask::get("/mint")).await);
        take(self.ask(&own("/write?key=a&value=2")).await);
        take(self.ask(&own("/mint?value=3")).await);
        take(self.ask(&own("/mint")).await);
        let redeem = |row: &str, token: &str| Ask::get(&format!("/{row}?$4DSID={token}")).browser();
        let token = self.token(&own("/mint")).await;
        let shared = take(self.ask(&redeem("share", &token)).await);
        assert_eq!(shared.outcome(), "restored");
        let used = redeem("share", &token);
        let token = self.token(&own("/mint")).await;
        take(self.ask(&redeem("context", &token)).await);
        let token = self.token(&own("/mint")).await;
        take(self.ask(&redeem("share", &token).cookie(&cookie)).await);
        let token = self.token(&own("/mint")).await;
        let moved = take(self.ask(&redeem("transfer", &token)).await);
        let refused = take(self.ask(&used).await);
        assert_eq!(refused.outcome(), "used");
        let nobody = "0123456789ABCDEF0123456789ABCDEF";
        take(self.ask(&redeem("share", nobody)).await);
        let heir = moved.cookie().unwrap().to_owned();
        take(self.ask(&Ask::get("/logout").cookie(&heir)).await);
        trips
    }

    async fn ask(&mut self, ask: &Ask) -> (u64, Reply) {
        let trips = |meter: &Self| meter.proxies.iter().map(Proxy::trips).sum::<u64>();
        let before = trips(self);
        let reply = self.connection.ask(ask).await.unwrap().good();
        tokio::time::sleep(AFTERWARDS).await;
        (trips(self) - before, reply)
    }

    async fn token(&mut self, mint: &Ask) -> String {
        self.ask(mint).await.1.text()
    }
}
