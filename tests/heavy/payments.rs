//! A payment platform that delivers each callback twice, for 500 customers a minute and from one
//! address, at the default rates: no customer is lost, none is limited, each token is granted once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use callgate::base::clock::Stopwatch;
use tokio::task::JoinSet;

use crate::support::Ask;
use crate::support::Connection;
use crate::support::Reply;
use crate::support::Server;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::process::folder;
use crate::support::run;
use crate::support::size;

/// 500 customers a minute.
const PACE: Duration = Duration::from_millis(120);
/// The address from which every delivery comes, as the trusted proxy in front says.
const PLATFORM: &str = "198.51.100.7";
/// A token that was never minted.
const UNKNOWN: &str = "2E5D0D57751D471DB29FD110D2DCE253";

/// How the two deliveries of a callback come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// A server without a cookie, one after the other, to a row that answers repeats.
    ServerTwice,
    /// The same, both at once.
    ServerAtOnce,
    /// The same to a row without `repeat`.
    PlainAtOnce,
    /// The browser of the customer, twice.
    BrowserTwice,
    /// The browser of the customer comes back while the server calls.
    BrowserAndServer,
}

const WAYS: [Way; 5] = [
    Way::ServerTwice,
    Way::ServerAtOnce,
    Way::PlainAtOnce,
    Way::BrowserTwice,
    Way::BrowserAndServer,
];

/// One customer, whose browser has an address of its own.
struct Customer {
    n: usize,
    id: String,
    cookie: String,
    token: String,
    /// Where handlers write down each run.
    runs: PathBuf,
}

#[test]
fn a_platform_that_delivers_everything_twice_loses_no_customer() {
    let customers = size(50, 500);
    let folder = folder();
    let runs = folder.path().join("runs");
    let plan = ServerPlan::embedded(folder.path()).set("RATE_LIMITS", "on");
    let server = plan.set("TRUSTED_PROXIES", "127.0.0.1").start();
    let (granted, slowest) = run(serve_all(&server, customers, &runs));
    let lines = std::fs::read_to_string(&runs).unwrap();
    let mut ran = BTreeMap::<usize, usize>::new();
    for line in lines.lines() {
        *ran.entry(line.parse().unwrap()).or_default() += 1;
    }
    assert!(ran.values().all(|runs| *runs == 1), "{ran:?}");
    let expected = (0..customers).filter(|n| way(*n).is_repeatable());
    assert!(ran.keys().copied().eq(expected), "a callback has not run: {ran:?}");
    let ways: Vec<String> = granted.iter().map(|(way, count)| format!("{way:?} {count}")).collect();
    figure(
        "a platform that delivers twice",
        format!(
            "{customers} customers at 500 a minute from one address, {} deliveries, all tokens \
             granted once ({}), none limited, slowest delivery {slowest:?}",
            2 * customers,
            ways.join(", "),
        ),
    );
}

fn way(n: usize) -> Way {
    WAYS[n % WAYS.len()]
}

impl Way {
    /// Whether its row answers a repeat with the first answer.
    fn is_repeatable(self) -> bool {
        matches!(self, Self::ServerTwice | Self::ServerAtOnce)
    }
}

/// Serves each customer at its time; the tokens granted, by way, and the slowest delivery.
async fn serve_all(
    server: &Server,
    customers: usize,
    runs: &std::path::Path,
) -> (BTreeMap<Way, usize>, Duration) {
    let (begin, mut serving) = (Stopwatch::start(), JoinSet::new());
    for n in 0..customers {
        let (address, runs) = (server.address, runs.to_owned());
        serving.spawn(async move {
            let at = PACE * u32::try_from(n).unwrap();
            tokio::time::sleep(at.saturating_sub(begin.elapsed())).await;
            let mut browser = Connection::open(address).await.unwrap();
            let customer = Customer::enter(&mut browser, n, runs).await;
            let mut platform = Connection::open(address).await.unwrap();
            let mut other = Connection::open(address).await.unwrap();
            let delivering = Stopwatch::start();
            customer.deliver(&mut platform, &mut other).await;
            let took = delivering.elapsed();
            customer.is_still_there(&mut browser).await;
            (way(n), took)
        });
    }
    let (mut granted, mut slowest) = (BTreeMap::new(), Duration::ZERO);
    while let Some(served) = serving.join_next().await {
        let (way, took) = served.unwrap();
        *granted.entry(way).or_default() += 1;
        slowest = slowest.max(took);
    }
    (granted, slowest)
}

impl Customer {
    /// Opens a session and mints the token that the platform is given.
    async fn enter(browser: &mut Connection, n: usize, runs: PathBuf) -> Self {
        let first = browser.ask(&own(n, "/write?key=n&value=basket", "")).await.unwrap().good();
        let (id, cookie) = (first.result(), first.cookie().unwrap().to_owned());
        let token = browser.ask(&own(n, "/mint", &cookie)).await.unwrap().good().text();
        Self { n, id: id.as_str().unwrap().to_owned(), cookie, token, runs }
    }

    /// Both deliveries, and now and then one whose token was never minted.
    async fn deliver(&self, platform: &mut Connection, other: &mut Connection) {
        if self.n.is_multiple_of(3) {
            let unknown = server_call(&format!("/whoami?$4DSID={UNKNOWN}"));
            let refused = platform.ask(&unknown).await.unwrap();
            assert!(refused.status == 429 || refused.outcome() == "unknown", "{}", refused.head);
        }
        let row = if way(self.n).is_repeatable() { "/pay" } else { "/whoami" };
        let target =
            format!("{row}?log={}&n={}&$4DSID={}", self.runs.display(), self.n, self.token);
        let (server, browser) = (server_call(&target), self.browser_call(&target));
        let (first, second) = match way(self.n) {
            Way::ServerTwice => {
                let first = platform.ask(&server).await.unwrap();
                (first, other.ask(&server).await.unwrap())
            }
            Way::ServerAtOnce | Way::PlainAtOnce => {
                let both = tokio::join!(platform.ask(&server), other.ask(&server));
                (both.0.unwrap(), both.1.unwrap())
            }
            Way::BrowserTwice => {
                let first = platform.ask(&browser).await.unwrap();
                (first, other.ask(&browser).await.unwrap())
            }
            Way::BrowserAndServer => {
                let both = tokio::join!(platform.ask(&browser), other.ask(&server));
                (both.0.unwrap(), both.1.unwrap())
            }
        };
        self.judge(&first, &second);
    }

    fn judge(&self, first: &Reply, second: &Reply) {
        let what = format!("customer {}, {:?}", self.n, way(self.n));
        for reply in [first, second] {
            assert!([200, 201].contains(&reply.status), "{what}: {}{}", reply.head, reply.text());
        }
        if way(self.n).is_repeatable() {
            assert_eq!((first.status, second.status), (201, 201), "{what}");
            assert_eq!(first.text(), second.text(), "{what}");
            assert!(first.text().ends_with(&self.id), "{what}: {}", first.text());
            return;
        }
        let mut outcomes = [first.outcome(), second.outcome()];
        if way(self.n) != Way::BrowserTwice {
            outcomes.sort_unstable();
        }
        assert_eq!(outcomes, ["restored", "used"], "{what}");
        for reply in [first, second] {
            let in_session = reply.session() == self.id;
            let of_the_browser = way(self.n) == Way::BrowserTwice;
            assert!(in_session || !of_the_browser, "{what}: another session");
            assert!(in_session || reply.outcome() == "used", "{what}: another session");
        }
    }

    /// The customer goes on with the cookie of the beginning.
    async fn is_still_there(&self, browser: &mut Connection) {
        let seen = browser.ask(&own(self.n, "/whoami", &self.cookie)).await.unwrap().good();
        assert_eq!(seen.session(), self.id, "customer {} is lost", self.n);
        assert_eq!(seen.json()["storage"]["n"], "basket");
        let paid = !seen.json()["storage"]["paid"].is_null();
        assert_eq!(paid, way(self.n).is_repeatable(), "customer {}", self.n);
    }

    fn browser_call(&self, target: &str) -> Ask {
        Ask::get(target).header("X-Forwarded-For", PLATFORM).browser().cookie(&self.cookie)
    }
}

/// A request of the customer's browser, from an address of its own.
fn own(n: usize, target: &str, cookie: &str) -> Ask {
    let address = format!("10.0.{}.{}", n / 250, n % 250 + 1);
    Ask::get(target).header("X-Forwarded-For", &address).browser().cookie(cookie)
}

/// A delivery of the platform's server, which has no cookie.
fn server_call(target: &str) -> Ask {
    Ask::get(target).header("X-Forwarded-For", PLATFORM).header("User-Agent", "platform/1.0")
}
