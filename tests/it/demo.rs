//! The shipped table and its class files, clicked through by two visitors.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use callgate::Gate;
use callgate::base::clock::ManualClock;
use callgate::base::secret::entropy::SeededEntropy;
use callgate::gate::Answer;
use callgate::gate::Client;
use callgate::settings::PublicOrigin;
use callgate::table::BasePath;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;

use crate::support::settings;

const TABLE: &str = include_str!("../../handlers.json");
const ORIGIN: &str = "https://shop.example";

/// The shipped table, and a clock that the test moves.
struct Shop {
    gate: Gate,
    clock: Arc<ManualClock>,
}

impl Shop {
    fn visitor(&self) -> Client {
        self.gate.client()
    }

    fn wait_secs(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }
}

async fn shop() -> Shop {
    shop_below("").await
}

/// The shop with its pages below another path.
async fn shop_below(prefix: &str) -> Shop {
    let clock = Arc::new(ManualClock::default());
    let mut settings = settings();
    settings.public_origin = Some(PublicOrigin::parse(ORIGIN).unwrap());
    settings.base_path = BasePath::parse(prefix).unwrap();
    settings.classes = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("classes"));
    let gate = Gate::builder(settings)
        .table(TABLE)
        .clock(clock.clone())
        .entropy(Arc::new(SeededEntropy::new(11)))
        .open()
        .await
        .unwrap();
    assert_eq!(gate.warnings(), []);
    Shop { gate, clock }
}

async fn see(visitor: &Client, target: &str) -> Answer {
    visitor.get(target).as_browser().send().await
}

async fn submit(visitor: &Client, target: &str, fields: &[(&str, &str)]) -> Answer {
    visitor.post(target).as_browser().form(fields).send().await
}

/// Opens a link and presses the button where there is one.
async fn open(visitor: &Client, link: &str) -> Answer {
    let page = see(visitor, link).await;
    let text = page.text();
    if !text.contains("name=\"proof\"") {
        return page;
    }
    assert_eq!(title(&page), "One more click");
    let field = |name: &str| between(&text, &format!("name=\"{name}\" value=\""), "\"").to_owned();
    let names = ["token", "question", "proof"];
    let fields = names.map(|name| (name, field(name)));
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let path = link.split('?').next().unwrap();
    let query = between(&text, "action=\"", "\"").replace("&amp;", "&");
    submit(visitor, &format!("{path}{query}"), &fields).await
}

/// The path and query of an address of the shop, as a browser follows it.
fn local(url: &str) -> &str {
    url.strip_prefix(ORIGIN).unwrap_or(url)
}

/// What stands between two texts of a page.
fn between<'p>(page: &'p str, before: &str, after: &str) -> &'p str {
    let (_, rest) = page.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {page}"));
    rest.split_once(after).unwrap().0
}

fn title(page: &Answer) -> String {
    between(&page.text(), "<h1>", "</h1>").to_owned()
}

/// The name of the visitor's session, as the front page shows it.
async fn session_of(visitor: &Client) -> String {
    let home = see(visitor, "/").await;
    between(&home.text(), "<dt>Name</dt><dd><code>", "</code>").to_owned()
}

/// Asks for a mail and returns the path and query of the link in it.
async fn link_in_mail(visitor: &Client, fields: &[(&str, &str)]) -> String {
    let mailbox = submit(visitor, "/mail", fields).await;
    assert_eq!((mailbox.status, title(&mailbox).as_str()), (200, "You have mail"));
    local(between(&mailbox.text(), "class=\"link\"><a href=\"", "\"")).to_owned()
}

/// Goes to the bank and returns the address that it was given to call.
async fn callback_at_bank(visitor: &Client) -> String {
    let bank = submit(visitor, "/order", &[]).await;
    assert_eq!(bank.status, 303);
    let page = see(visitor, bank.header("location")).await;
    assert_eq!(title(&page), "Pay 42.00 EUR");
    between(&page.text(), "name=\"return\" value=\"", "\"").replace("&amp;", "&")
}

/// Goes to the provider and returns the fields of its form.
async fn fields_at_provider(visitor: &Client) -> (String, String) {
    let provider = submit(visitor, "/signin", &[]).await;
    let page = see(visitor, provider.header("location")).await.text();
    let field = |name| between(&page, &format!("name=\"{name}\" value=\""), "\"").to_owned();
    (field("redirect_uri"), field("state"))
}

/// Signs a visitor in from the provider's page on, and returns the answer to the callback.
async fn come_back_as(visitor: &Client, name: &str, (uri, state): (&str, &str)) -> Answer {
    let fields = [("redirect_uri", uri), ("state", state), ("name", name), ("decision", "yes")];
    let provider = submit(visitor, "/example-id", &fields).await;
    see(visitor, local(provider.header("location"))).await
}

/// The last 32 letters, which are the token in every callback URL.
fn token_in(url: &str) -> &str {
    &url[url.len() - 32..]
}

#[tokio::test]
async fn a_link_followed_elsewhere_validates_the_address_in_the_session_that_asked() {
    let house = shop().await;
    let (desk, phone) = (house.visitor(), house.visitor());
    let link = link_in_mail(&desk, &[("email", "anna@example.com")]).await;
    let waiting = see(&desk, "/mail").await;
    assert_eq!(title(&waiting), "Waiting for validation email");
    assert_ne!(session_of(&phone).await, session_of(&desk).await);

    let opened = open(&phone, &link).await;
    assert_eq!((opened.status, title(&opened).as_str()), (200, "Congratulations"));
    assert!(opened.text().contains("anna@example.com"));
    assert_eq!(session_of(&phone).await, session_of(&desk).await);
    assert_eq!(title(&see(&desk, "/mail").await), "Email validated");
    for page in [waiting, opened, see(&desk, "/").await] {
        assert!(!page.text().contains(token_in(&link)), "a token is left in {}", title(&page));
    }
}

#[tokio::test]
async fn the_browser_that_asked_for_the_mail_is_asked_nothing_and_a_filter_spends_nothing() {
    let house = shop().await;
    let (desk, filter) = (house.visitor(), house.visitor());
    let link = link_in_mail(&desk, &[("email", "anna@example.com")]).await;
    for _ in 0..2 {
        assert_eq!(title(&see(&filter, &link).await), "One more click");
    }
    assert_eq!(title(&see(&desk, &link).await), "Congratulations");
    assert_eq!(title(&see(&filter, &link).await), "This link has been used");
}

#[tokio::test]
async fn links_that_lead_nowhere_say_so_politely() {
    let house = shop().await;
    let (desk, phone) = (house.visitor(), house.visitor());
    let hurried = link_in_mail(&desk, &[("email", "a@b.example"), ("hurry", "on")]).await;
    house.wait_secs(11);
    let used = link_in_mail(&desk, &[]).await;
    let spare = link_in_mail(&desk, &[]).await;
    assert_eq!(open(&phone, &used).await.status, 200);
    let misled = spare.replace("/validateEmail", "/order/paid");
    let stranger = house.visitor();
    for (link, status, words) in [
        (&*hurried, 410, "This link has expired"),
        (&*used, 410, "This link has been used"),
        (&*misled, 403, "This link is for another page"),
        ("/validateEmail?$4DSID=0123456789ABCDEF0123456789ABCDEF", 404, "Nobody knows this link"),
        ("/validateEmail?$4DSID=cut-off-on-its-way-to-the-reader", 404, "Nobody knows this link"),
        (&*spare, 200, "Your email is validated"),
    ] {
        let page = open(&stranger, link).await;
        assert_eq!((page.status, title(&page).as_str()), (status, words), "{link}");
        assert!(page.text().contains("class=\"button\""), "{link} leaves no way on");
        assert!(!page.text().contains(token_in(link)), "a token is left in {words}");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
    }
    let used = see(&stranger, &used).await.text();
    assert!(used.contains("00:00:11 UTC"), "{used}");
    assert_eq!(see(&stranger, "/validateEmail").await.header("location"), "/mail");
}

#[tokio::test]
async fn a_link_of_a_session_that_was_ended_leads_nowhere() {
    let house = shop().await;
    let (desk, phone) = (house.visitor(), house.visitor());
    let link = link_in_mail(&desk, &[("email", "a@b.example")]).await;
    assert_eq!(submit(&desk, "/leave", &[]).await.header("location"), "/");
    assert_eq!(title(&see(&desk, "/mail").await), "Validate an e-mail address");
    let page = see(&phone, &link).await;
    assert_eq!((page.status, title(&page).as_str()), (410, "This link has nowhere to lead"));
    assert_eq!(title(&see(&phone, "/mail").await), "Validate an e-mail address");
}

#[tokio::test]
async fn a_link_validates_only_the_address_it_was_sent_to() {
    let house = shop().await;
    let desk = house.visitor();
    let link = link_in_mail(&desk, &[("email", "mine@example.com")]).await;
    let second = submit(&desk, "/mail", &[("email", "yours@example.com")]).await.text();
    assert!(second.contains("mine@example.com") && !second.contains("yours@example.com"));
    let validated = see(&desk, &link).await.text();
    assert!(validated.contains("mine@example.com"));
}

#[tokio::test]
async fn the_seventeenth_mail_is_refused_politely() {
    let house = shop().await;
    let desk = house.visitor();
    for _ in 0..16 {
        link_in_mail(&desk, &[("email", "a@b.example")]).await;
    }
    let page = submit(&desk, "/mail", &[]).await;
    assert_eq!((page.status, title(&page).as_str()), (429, "Enough mails for now"));
}

#[tokio::test]
async fn nobodys_words_become_markup() {
    let house = shop().await;
    let desk = house.visitor();
    let hostile = "\"><script>alert('x')</script>{{link}}@example.com";
    let link = link_in_mail(&desk, &[("email", hostile)]).await;
    let pages = [
        see(&desk, "/mail").await,
        see(&desk, &link).await,
        see(&desk, "/mail").await,
        see(&desk, "/").await,
    ];
    for page in &pages {
        assert!(!page.text().contains("<script"), "{}", page.text());
        assert!(page.text().contains("&lt;script&gt;"), "{}", page.text());
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{policy}");
    }
    for bad in ["", "nobody", "@example.com", "a b@example.com", "a@b\r\nBcc: c@d"] {
        let page = submit(&house.visitor(), "/mail", &[("email", bad)]).await;
        assert_eq!(page.status, 422, "{bad:?}");
    }
}

#[tokio::test]
async fn a_payment_through_the_browser_is_recorded_once() {
    let house = shop().await;
    let customer = house.visitor();
    let callback = callback_at_bank(&customer).await;
    let sent = submit(&customer, "/bank", &[("return", &callback)]).await;
    assert_eq!((sent.status, sent.header("location")), (303, callback.as_str()));
    let recorded = see(&customer, local(&callback)).await;
    assert_eq!((recorded.status, recorded.header("location")), (303, "/order"));
    let order = see(&customer, "/order").await.text();
    assert!(order.contains("<h1>Paid</h1>") && order.contains("Your browser came back"));
    assert!(!order.contains(token_in(&callback)));

    house.wait_secs(61);
    let again = see(&customer, local(&callback)).await;
    assert_eq!((again.status, title(&again).as_str()), (200, "Nothing was paid twice"));
    assert!(again.text().contains("already recorded at 00:00:00 UTC"), "{}", again.text());
}

#[tokio::test]
async fn a_payment_by_the_banks_server_is_recorded_and_gives_it_no_cookie() {
    let house = shop().await;
    let customer = house.visitor();
    let callback = callback_at_bank(&customer).await;
    let bank = house.visitor();
    let told = bank.get(local(&callback)).send().await;
    assert_eq!((told.status, told.text().as_str()), (200, "order 1 is paid: 42.00 EUR\n"));
    assert_eq!(told.header("set-cookie"), "");
    assert!(see(&customer, "/order").await.text().contains("The server of the bank told us"));
    let repeated = bank.get(local(&callback)).send().await;
    assert_eq!(repeated.status, 200);
    assert_eq!(repeated.text(), "This payment was already recorded at 00:00:00 UTC.\n");
}

#[tokio::test]
async fn an_address_of_an_earlier_order_pays_no_later_one() {
    let house = shop().await;
    let customer = house.visitor();
    let (unused, used) = (callback_at_bank(&customer).await, callback_at_bank(&customer).await);
    assert_eq!(see(&customer, local(&used)).await.status, 303);
    let second = callback_at_bank(&customer).await;
    let late = see(&customer, local(&unused)).await;
    assert_eq!((late.status, title(&late).as_str()), (200, "Nothing was paid twice"));
    assert_eq!(title(&see(&customer, "/order").await), "A seat to the Moon");
    see(&customer, local(&second)).await;
    assert!(see(&customer, "/order").await.text().contains("Order 2 is paid"));
}

#[tokio::test]
async fn a_sign_in_returns_to_the_session_that_left() {
    let house = shop().await;
    let (desk, onlooker) = (house.visitor(), house.visitor());
    let link = link_in_mail(&desk, &[("email", "a@b.example")]).await;
    open(&onlooker, &link).await;
    let before = session_of(&desk).await;
    assert_eq!(session_of(&onlooker).await, before);
    assert_eq!(see(&desk, "/lounge").await.status, 401);

    let (uri, state) = fields_at_provider(&desk).await;
    let back = come_back_as(&desk, "Ada <Lovelace>", (&uri, &state)).await;
    assert_eq!((back.status, back.header("location")), (303, "/signin"));
    let page = see(&desk, "/signin").await;
    assert_eq!(title(&page), "Hello, Ada &lt;Lovelace&gt;");
    assert!(!page.text().contains(&state));
    assert_eq!(see(&desk, "/lounge").await.status, 200);
    assert_eq!(session_of(&desk).await, before);
    assert_ne!(session_of(&onlooker).await, before, "nobody rides along");

    let again = come_back_as(&house.visitor(), "Eve", (&uri, &state)).await;
    assert_eq!((again.status, title(&again).as_str()), (410, "This link has been used"));
    submit(&desk, "/leave", &[]).await;
    assert_ne!(session_of(&desk).await, before);
    assert_eq!(see(&desk, "/lounge").await.status, 401);
}

#[tokio::test]
async fn who_would_rather_not_sign_in_stays_who_he_was() {
    let house = shop().await;
    let desk = house.visitor();
    let (uri, state) = fields_at_provider(&desk).await;
    let fields = [("redirect_uri", &*uri), ("state", &*state), ("decision", "no")];
    let provider = submit(&desk, "/example-id", &fields).await;
    let back = see(&desk, local(provider.header("location"))).await;
    assert_eq!((back.status, title(&back).as_str()), (200, "You are not signed in"));
    assert_eq!(see(&desk, "/lounge").await.status, 401);
    assert_eq!(see(&desk, "/oauth/callback?code=Eve").await.header("location"), "/signin");
    assert_eq!(see(&desk, "/oauth/callback?code=Eve&state=x").await.status, 404);
}

#[tokio::test]
async fn bank_and_provider_send_nobody_to_other_sites() {
    let house = shop().await;
    let visitor = house.visitor();
    for url in [
        "https://evil.example/order/paid?$4DSID=0",
        "//evil.example/order/paid?$4DSID=0",
        "https://shop.example.evil.example/order/paid?$4DSID=0",
        "https://shop.example@evil.example/order/paid?",
        "https://shop.example/oauth/callback",
        "https://shop.example/order/paid?x='; echo",
        "https://shop.example/order/paid?\r\nX: y",
        "javascript:alert(1)",
        "/order/paid?",
        "",
    ] {
        let fields = [("return", url), ("redirect_uri", url), ("decision", "no")];
        let encoded = utf8_percent_encode(url, NON_ALPHANUMERIC);
        let queries = format!("return={encoded}&redirect_uri={encoded}&state=A");
        for page in [
            submit(&visitor, "/bank", &fields).await,
            see(&visitor, &format!("/bank?{queries}")).await,
        ] {
            assert_eq!((page.status, page.header("location")), (400, ""), "bank, {url:?}");
        }
        if url.ends_with("/oauth/callback") {
            continue;
        }
        for page in [
            submit(&visitor, "/example-id", &fields).await,
            see(&visitor, &format!("/example-id?{queries}")).await,
        ] {
            assert_eq!((page.status, page.header("location")), (400, ""), "provider, {url:?}");
        }
    }
}

#[tokio::test]
async fn looking_around_stores_nothing_and_needs_nothing_from_elsewhere() {
    let house = shop().await;
    let visitor = house.visitor();
    let name = session_of(&visitor).await;
    for path in ["/", "/mail", "/order", "/signin"] {
        let page = see(&visitor, path).await;
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(page.header("cache-control"), "no-store");
        let text = page.text();
        assert!(!text.contains("<script") && !text.contains("style="), "{path}");
        assert!(!text.contains("src=") && !text.contains("http"), "{path}");
        assert!(!text.contains("{{") && !text.contains("}}"), "{path}");
    }
    assert_eq!(session_of(&visitor).await, name);
    assert!(see(&visitor, "/").await.text().contains("nothing is stored yet"));
    let style = see(&visitor, "/demo.css").await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
}

#[tokio::test]
async fn the_pages_work_below_another_path() {
    let house = shop_below("/tools").await;
    let visitor = house.visitor();
    for path in ["/tools/", "/tools/mail", "/tools/order", "/tools/signin", "/tools/mail/x"] {
        let page = see(&visitor, path).await;
        assert_eq!(page.status, 200, "{path}");
        let text = page.text();
        assert!(text.contains("<base href=\"/tools/\">"), "{text}");
        for (_, rest) in text.match_indices("href=\"/").map(|(at, _)| text.split_at(at)) {
            assert!(rest.starts_with("href=\"/tools/\">"), "{path}: {rest:.60}");
        }
        assert!(!text.contains("action=\"/"), "{path} has a form for another site");
    }
    let mailbox = submit(&visitor, "/tools/mail", &[("email", "a@b.example")]).await;
    let link = between(&mailbox.text(), "class=\"link\"><a href=\"", "\"").to_owned();
    assert!(link.starts_with("https://shop.example/tools/validateEmail?%244DSID="), "{link}");
    assert_eq!(title(&see(&visitor, local(&link)).await), "Congratulations");
    let bank = submit(&visitor, "/tools/order", &[]).await;
    assert!(bank.header("location").starts_with("/tools/bank?amount=42.00%20EUR&"));
    assert_eq!(submit(&visitor, "/tools/leave", &[]).await.header("location"), "/tools/");
}
