//! Rate limits as clients meet them: 429 and 503 with the time to wait, and nothing consumed.
//!
//! Clients are told apart as behind a proxy: every connection comes from this machine, which is
//! trusted, and names somebody in `X-Forwarded-For`.

use callgate::Settings;
use callgate::gate::Answer;
use callgate::http::proxies::TrustedProxies;
use callgate::http::rates;
use callgate::store::port::OperationKind;

use crate::support::House;
use crate::support::log::Log;
use crate::support::outcome;
use crate::support::settings;
use crate::support::visitor::with_token;
use crate::support::wire::Served;
use crate::support::wire::Wire;

/// Nobody's token.
const NONE: &str = "2E5D0D57751D471DB29FD110D2DCE253";

fn limited() -> Settings {
    let trusted_proxies = TrustedProxies::new(vec!["127.0.0.1".parse().unwrap()]);
    Settings { rate_limits: true, trusted_proxies, ..settings() }
}

/// Somebody behind the proxy, on a connection of his own.
struct Client {
    wire: Wire,
    address: &'static str,
    cookie: Option<String>,
}

impl Client {
    async fn of(served: &Served, address: &'static str) -> Self {
        Self { wire: served.connect().await, address, cookie: None }
    }

    /// A request; the cookie of its answer is not kept.
    async fn ask(&mut self, target: &str) -> Answer {
        let (address, cookie) = (self.address, self.cookie.as_deref().unwrap_or("a=b"));
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {address}\r\nCookie: {cookie}\r\n\r\n"
        );
        self.wire.send(request).await;
        let carried = ["$4DSID", "token=", "state="].iter().any(|name| target.contains(name));
        self.wire.answer_to(carried).await
    }

    /// The same, and the cookie of the answer is sent from now on.
    async fn enter(&mut self, target: &str) -> Answer {
        let answer = self.ask(target).await;
        let cookie = answer.header("set-cookie").split(';').next().unwrap();
        self.cookie = Some(cookie.to_owned());
        answer
    }
}

/// The seconds that a client is told to wait.
fn wait(answer: &Answer) -> u64 {
    answer.header("retry-after").parse().unwrap_or(0)
}

fn code(answer: &Answer) -> String {
    answer.json()["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_come_back_and_has_used_nothing_up() {
    let (log, _capture) = Log::capture();
    let rates = rates::Rules { requests_per_sec: 1, requests_burst: 30, ..rates::Rules::default() };
    let served = Served::start(Settings { rates, ..limited() }).await;
    let token = served.house.visitor().mint("").await;
    let mut busy = Client::of(&served, "192.0.2.1").await;
    for _ in 0..30 {
        assert_eq!(busy.ask("/say").await.status, 200);
    }
    let refused = busy.ask(&with_token("/whoami", &token)).await;
    assert_eq!((refused.status, code(&refused), wait(&refused)), (429, "rate_limited".into(), 1));
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(refused.headers.get("set-cookie"), None);
    let page =
        "GET /say HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nAccept: text/html\r\n\r\n";
    let page = served.ask(page).await;
    assert_eq!(page.status, 429);
    assert!(page.header("content-type").starts_with("text/html"), "people get a page");
    let mut other = Client::of(&served, "192.0.2.2").await;
    assert_eq!(other.ask("/say").await.status, 200, "somebody else is not concerned");
    served.house.wait_secs(wait(&refused));
    let answer = busy.ask(&with_token("/whoami", &token)).await;
    assert_eq!((answer.status, outcome(&answer)), (200, "restored"));
    log.has(&["rate.limited"]);
}

#[tokio::test]
async fn nonsense_counts_and_its_connection_ends_all_the_same() {
    let rates = rates::Rules { requests_per_sec: 1, requests_burst: 3, ..rates::Rules::default() };
    let served = Served::start(Settings { rates, ..limited() }).await;
    let bad = "POST /echo HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n\
               Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
    for _ in 0..5 {
        let mut wire = served.connect().await;
        wire.send([bad, bad].concat()).await;
        let said = wire.rest().await;
        assert!(
            said.starts_with("HTTP/1.1 400") && said.matches("HTTP/1.1").count() == 1,
            "{said}"
        );
    }
    let mut client = Client::of(&served, "192.0.2.1").await;
    assert_eq!(client.ask("/say").await.status, 429, "what was refused was counted");
}

#[tokio::test]
async fn from_the_twenty_first_unknown_token_of_a_minute_on_only_good_ones_count() {
    let served = Served::start(limited()).await;
    let desk = served.house.visitor();
    let (token, spare) = (desk.mint("").await, desk.mint("").await);
    let mut prober = Client::of(&served, "192.0.2.1").await;
    for n in 0..20 {
        let answer = prober.ask(&with_token("/whoami", NONE)).await;
        assert_eq!((answer.status, outcome(&answer)), (200, "unknown"), "{n}");
    }
    let runs = served.house.probe.runs();
    for brought in [NONE, "garbage", ""].repeat(30) {
        let answer = prober.ask(&with_token("/whoami", brought)).await;
        assert_eq!((answer.status, code(&answer)), (429, "rate_limited".into()), "{brought}");
        assert_eq!(wait(&answer), 3, "20 in a minute are one in three seconds");
    }
    assert_eq!(prober.ask(&format!("/restore?token={NONE}")).await.status, 429);
    assert_eq!(served.house.probe.runs(), runs, "no handler has run for them");
    // Behind the same address are customers who come back, and a bank that calls.
    assert_eq!(outcome(&prober.ask(&with_token("/whoami", &token)).await), "restored");
    let mut customer = Client::of(&served, "192.0.2.1").await;
    let again = customer.ask(&with_token("/whoami", &token)).await;
    assert_eq!((again.status, outcome(&again)), (200, "used"), "a used token is no guess");
    let by_hand = customer.ask(&format!("/restore?token={spare}")).await;
    assert_eq!(outcome(&by_hand), "restored");
    assert_eq!(prober.ask("/whoami").await.status, 200, "without a token he is welcome");
    let mut other = Client::of(&served, "192.0.2.2").await;
    assert_eq!(outcome(&other.ask(&with_token("/whoami", NONE)).await), "unknown");
    served.house.wait_secs(3);
    assert_eq!(outcome(&prober.ask(&with_token("/whoami", NONE)).await), "unknown");
    assert_eq!(prober.ask(&with_token("/whoami", NONE)).await.status, 429);
}

#[tokio::test]
async fn above_the_limit_whoever_is_signed_in_is_asked_all_the_same() {
    let served = Served::start(limited()).await;
    let token = served.house.visitor().mint("mode=share").await;
    let mut member = Client::of(&served, "192.0.2.1").await;
    member.enter("/login?privileges=simple&user=Ann").await;
    while member.ask(&with_token("/whoami", NONE)).await.status == 200 {}
    let asked = member.ask(&with_token("/whoami", &token)).await;
    assert_eq!(asked.status, 200);
    assert!(asked.text().contains("name=\"proof\"") && asked.text().contains("Ann"));
    assert_eq!(served.house.unspent().await.len(), 1);
    let moved = member.ask(&format!("/restore?token={token}")).await;
    assert_eq!(outcome(&moved), "askFirst");
}

#[tokio::test]
async fn a_platform_that_delivers_everything_twice_shuts_nobody_out() {
    let served = Served::start(limited()).await;
    let mut platform = Client::of(&served, "192.0.2.1").await;
    for n in 0..60 {
        let token = served.house.visitor().mint("").await;
        let first = platform.ask(&with_token("/whoami", &token)).await;
        assert_eq!((first.status, outcome(&first)), (200, "restored"), "{n}");
        let second = platform.ask(&with_token("/whoami", &token)).await;
        assert_eq!((second.status, outcome(&second)), (200, "used"), "{n}");
    }
}

#[tokio::test]
async fn only_what_may_be_a_guess_counts() {
    let (log, _capture) = Log::capture();
    let rates = rates::Rules {
        failures_alarm_per_min: 1,
        failures_per_min: 1,
        failures_burst: 1,
        ..rates::Rules::default()
    };
    let served = Served::start(Settings { rates, ..limited() }).await;
    let shopper = served.house.visitor();
    let spent = shopper.mint("").await;
    assert_eq!(outcome(&served.house.visitor().follow("/whoami", &spent).await), "restored");
    let bound = shopper.mint("for=Probe.other").await;
    let guest = served.house.visitor();
    let gone = guest.mint("").await;
    guest.get("/logout").send().await;
    let late = shopper.mint("lifespan=10").await;
    let fresh: [String; 3] =
        [shopper.mint("").await, shopper.mint("").await, shopper.mint("").await];
    served.house.wait_secs(11);
    let ways = [
        ("192.0.2.1", with_token("/whoami", &spent), "used"),
        ("192.0.2.2", with_token("/whoami", &bound), "wrongHandler"),
        ("192.0.2.3", with_token("/whoami", &gone), "sessionGone"),
        ("192.0.2.4", with_token("/whoami", &late), "expired"),
        ("192.0.2.5", with_token("/whoami", NONE), "unknown"),
        ("192.0.2.6", with_token("/whoami", "garbage"), "unknown"),
        ("192.0.2.7", format!("/restore?token={NONE}"), "unknown"),
        ("192.0.2.8", "/restore?token=garbage".to_owned(), "unknown"),
        ("192.0.2.9", format!("/restore?token={spent}"), "used"),
    ];
    for (address, target, expected) in ways {
        let mut client = Client::of(&served, address).await;
        for n in 0..4 {
            let answer = client.ask(&target).await;
            let is_guess = expected == "unknown" && n > 0;
            // Once somebody has found out that its session is gone, the token is used.
            let expected = if expected == "sessionGone" && n > 0 { "used" } else { expected };
            let seen = if is_guess { (429, "") } else { (200, expected) };
            assert_eq!((answer.status, outcome(&answer)), seen, "{target}");
        }
    }
    let mut lucky = Client::of(&served, "192.0.2.10").await;
    for token in fresh {
        assert_eq!(outcome(&lucky.ask(&with_token("/whoami", &token)).await), "restored");
    }
    assert_eq!(outcome(&lucky.ask(&with_token("/whoami", NONE)).await), "unknown");
    log.has(&["rate.alarm"]);
}

#[tokio::test]
async fn what_a_row_of_its_own_parameter_is_sent_besides_tokens_does_not_count() {
    let served = Served::start(limited()).await;
    let token = served.house.visitor().mint("").await;
    let mut platform = Client::of(&served, "192.0.2.1").await;
    for n in 0..25 {
        let answer = platform.ask("/state?state=order-4711").await;
        assert_eq!((answer.status, outcome(&answer)), (200, "unknown"), "{n}");
    }
    assert_eq!(outcome(&platform.ask(&format!("/state?state={token}")).await), "restored");
}

#[tokio::test]
async fn a_store_that_cannot_answer_is_no_failure_of_the_client() {
    let served = Served::start(limited()).await;
    let mut client = Client::of(&served, "192.0.2.1").await;
    served.house.cut_off(&[OperationKind::Redeem]);
    for _ in 0..3 {
        assert_eq!(client.ask(&with_token("/whoami", NONE)).await.status, 503);
    }
    served.house.store.heal();
    for n in 0..20 {
        assert_eq!(client.ask(&with_token("/whoami", NONE)).await.status, 200, "{n}");
    }
    assert_eq!(client.ask(&with_token("/whoami", NONE)).await.status, 429);
}

#[tokio::test]
async fn a_session_mints_sixty_at_once_and_then_ten_a_minute() {
    let house = House::open(limited()).await;
    let visitor = house.visitor();
    let mint = async |query: &str| visitor.get(&format!("/mint?{query}")).send().await;
    let mut statuses = Vec::new();
    for _ in 0..61 {
        statuses.push(mint("lifespan=10").await.status);
    }
    assert_eq!(statuses[..16], [200; 16], "docs/CONTRACT.md §6.1: sixteen unspent ones");
    assert_eq!(statuses[16..60], [500; 44], "more than sixteen are refused for that");
    assert_eq!(statuses[60], 429);
    house.wait_secs(12);
    assert_eq!(mint("").await.status, 200);
    assert_eq!(mint("").await.status, 200);
    let refused = mint("").await;
    assert_eq!((refused.status, wait(&refused)), (429, 6), "one in six seconds");
    assert_eq!(house.visitor().get("/mint").send().await.status, 200, "of this session only");
}

#[tokio::test]
async fn the_sessions_of_one_client_mint_a_hundred_tokens_at_once() {
    let served = Served::start(limited()).await;
    let mut minted = 0;
    let mut refused = 0;
    for _ in 0..8 {
        let mut client = Client::of(&served, "192.0.2.1").await;
        client.enter("/write?key=a&value=b").await;
        for _ in 0..15 {
            let answer = client.ask("/mint").await;
            match answer.status {
                200 => minted += 1,
                status => {
                    assert_eq!((status, wait(&answer)), (429, 1));
                    refused += 1;
                }
            }
        }
    }
    assert_eq!((minted, refused), (100, 20));
    let mut other = Client::of(&served, "192.0.2.2").await;
    assert_eq!(other.ask("/mint").await.status, 200);
}

#[tokio::test]
async fn a_client_begins_sixty_sessions_at_once_and_no_more() {
    let served = Served::start(limited()).await;
    let mut client = Client::of(&served, "2001:db8::1").await;
    client.enter("/write?key=a&value=b").await;
    let member = client.cookie.take();
    for n in 1..60 {
        assert_eq!(client.ask("/write?key=a&value=b").await.status, 200, "{n}");
    }
    let refused = client.ask("/write?key=a&value=b").await;
    assert_eq!((refused.status, code(&refused)), (503, "too_many_guests".into()));
    assert_eq!((wait(&refused), refused.headers.get("set-cookie")), (2, None));
    assert_eq!(client.ask("/mint").await.status, 503, "a token needs a session too");
    assert_eq!(client.ask("/whoami").await.status, 200, "a guest who writes nothing is welcome");
    assert_eq!(served.house.stored().await.len(), 60);
    let mut neighbour = Client::of(&served, "2001:db8::2").await;
    assert_eq!(neighbour.ask("/write?key=a&value=b").await.status, 503, "the same /64");
    let mut other = Client::of(&served, "2001:db8:0:1::1").await;
    assert_eq!(other.ask("/write?key=a&value=b").await.status, 200);
    client.cookie = member;
    assert_eq!(client.ask("/write?key=c&value=d").await.status, 200, "who has one goes on");
    client.cookie = None;
    served.house.wait_secs(2);
    assert_eq!(client.ask("/write?key=a&value=b").await.status, 200);
}

#[tokio::test]
async fn all_clients_together_begin_so_many_sessions() {
    let rates =
        rates::Rules { all_guests_per_sec: 1, all_guests_burst: 3, ..rates::Rules::default() };
    let served = Served::start(Settings { rates, ..limited() }).await;
    let mut statuses = Vec::new();
    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"] {
        let mut client = Client::of(&served, address).await;
        let answer = client.ask("/write?key=a&value=b").await;
        statuses.push((answer.status, wait(&answer)));
    }
    assert_eq!(statuses, [(200, 0), (200, 0), (200, 0), (503, 1)]);
}

#[tokio::test]
async fn switched_off_nobody_is_limited() {
    let served = Served::start(Settings { rate_limits: false, ..limited() }).await;
    let mut client = Client::of(&served, "192.0.2.1").await;
    for _ in 0..450 {
        assert_eq!(client.ask(&with_token("/whoami", NONE)).await.status, 200);
    }
    for _ in 0..70 {
        assert_eq!(client.ask("/write?key=a&value=b").await.status, 200);
    }
    assert_eq!(served.house.stored().await.len(), 70);
}

#[tokio::test]
async fn a_proxy_that_nobody_named_as_one_is_told_of() {
    let (log, _capture) = Log::capture();
    let rates = rates::Rules { requests_per_sec: 1, requests_burst: 1, ..rates::Rules::default() };
    let served = Served::start(Settings { rates, rate_limits: true, ..settings() }).await;
    let mut client = Client::of(&served, "192.0.2.1").await;
    assert_eq!(client.ask("/say").await.status, 200);
    assert_eq!(client.ask("/say").await.status, 429);
    log.has(&["rate.limited", "rate.untrusted_proxy"]);
}
