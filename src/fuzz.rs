//! What must hold for any bytes from outside, as functions that a fuzzer calls.
//!
//! Each takes bytes as somebody might send them and panics when a rule is broken. `fuzz/` drives
//! them with libFuzzer for as long as one likes, and the suite `fuzz` for a moment on every run
//! of the tests, with stable Rust.

use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::LazyLock;

use hyper::HeaderMap;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::Uri;
use hyper::header::COOKIE;
use hyper::header::FORWARDED;
use hyper::header::HOST;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::header::LOCATION;
use serde_json::json;
use url::Url;

use crate::base::secret::SecretText;
use crate::base::text::query::Query;
use crate::http::ConnInfo;
use crate::http::ResponseBody;
use crate::http::confirm;
use crate::http::edge::hosts::HostRule;
use crate::http::edge::hosts::Hosts;
use crate::http::edge::proxies::TrustedProxies;
use crate::http::message::cookie::CookieRule;
use crate::http::message::cookie::Prefix;
use crate::http::message::cookie::SameSite;
use crate::http::message::token_place;
use crate::http::message::token_place::Brought;
use crate::session::Keyring;
use crate::table::BasePath;
use crate::table::CanonicalPath;
use crate::table::Lookup;
use crate::table::OnRefused;
use crate::table::Step;
use crate::table::Table;
use crate::table::TokenPlace;
use crate::token::TokenSecret;
use crate::token::text::brings_token;

/// A named rule about bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is also that of its folder of seeds.
    pub name: &'static str,
    /// Panics when the rule is broken for these bytes.
    pub run: fn(&[u8]),
}

/// Every rule.
pub const TARGETS: &[Target] = &[
    Target { name: "codec", run: codec },
    Target { name: "cookie", run: cookie },
    Target { name: "host", run: host },
    Target { name: "path", run: path },
    Target { name: "query", run: query },
    Target { name: "redirect", run: redirect },
    Target { name: "table", run: table },
];

/// Tries one input against the rule of this name; does nothing if there is none.
///
/// # Panics
///
/// When the rule is broken.
pub fn try_input(name: &str, input: &[u8]) {
    if let Some(target) = TARGETS.iter().find(|target| target.name == name) {
        (target.run)(input);
    }
}

/// Paths by which tables are asked; among them some that a table may mean.
const ASKED: [&str; 6] = ["/", "/a", "/a/b", "/a.html", "/validateEmail/x", "/É"];
/// What is sealed and compared here protects nothing.
const NO_SECRET: &str = "0000000000000000000000000000000000000000000000000000000000000000";

static KEYRING: LazyLock<Option<Keyring>> =
    LazyLock::new(|| Keyring::read("fuzz", &[SecretText::new(NO_SECRET.to_owned())]).ok());

/// A table is read or refused with problems that lie inside the text; what is read answers as it
/// explains.
fn table(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Table::read("handlers.json", text) {
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            for problem in problems {
                let place = problem.span.clone().unwrap_or_default();
                assert!(text.get(place).is_some(), "a problem beyond the text: {problem}");
                assert!(problem.line >= 1 && problem.column >= 1, "no such place: {problem}");
                assert!(!problem.to_string().contains('\n'), "several lines: {problem:?}");
            }
        }
        Ok(checked) => {
            for path in
                ASKED.iter().filter_map(|raw| CanonicalPath::of(raw, &BasePath::none()).ok())
            {
                for verb in ["GET", "POST", "HEAD"] {
                    agrees(&checked.table, verb, &path);
                }
            }
        }
    }
}

/// The router and the explanation say the same.
fn agrees(table: &Table, verb: &str, path: &CanonicalPath) {
    let hit = table.explain(verb, path).iter().position(|step: &Step| step.hit);
    let found = match table.find(verb, path) {
        Lookup::Row(row) => Some(row.number() - 1),
        _ => None,
    };
    assert_eq!(hit, found, "{verb} {path}");
}

/// A path is refused, or has one form that stays what it is when it is read again.
fn path(input: &[u8]) {
    let Ok(raw) = std::str::from_utf8(input) else { return };
    let Ok(path) = CanonicalPath::of(raw, &BasePath::none()) else { return };
    let text = path.as_str();
    assert!(text.starts_with('/') && !text.contains("//") && !text.contains('\\'), "{text:?}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(!text.split('/').any(|segment| [".", ".."].contains(&segment)), "{text:?}");
    let again: String = percent_encoding::utf8_percent_encode(text, ENCODED).collect();
    same(&CanonicalPath::of(&again, &BasePath::none()), &Ok(path));
}

/// Everything but unreserved letters and slashes.
const ENCODED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'/');

/// A query is read or refused, and what is stripped of its token brings none any more.
fn query(input: &[u8]) {
    let Ok(raw) = std::str::from_utf8(input) else { return };
    if let Ok(read) = Query::read(raw) {
        assert!(read.pairs().all(|(name, _)| read.find(name).is_some()), "a name without value");
    }
    let state = TokenPlace::Param("state".to_owned());
    for place in [None, Some(&state)] {
        let brought = Brought::in_query(raw, place);
        let rest = token_place::without_token(raw, place);
        assert!(!brings_token(&rest), "{rest:?}");
        let left = Brought::in_query(&rest, place);
        assert!(!matches!(left, Brought::Token(_) | Brought::Several), "{rest:?}");
        // What brings nothing is not touched.
        if matches!(brought, Brought::Nothing) {
            assert_eq!(rest, raw);
        }
    }
}

/// No cookie that we did not seal opens anything, and one that we did is found among any others.
fn cookie(input: &[u8]) {
    let rule = CookieRule::new(Prefix::None, "fuzz", SameSite::Lax, false);
    let Some(keyring) = &*KEYRING else { return };
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    let mut headers = HeaderMap::new();
    headers.append(COOKIE, value);
    for text in rule.read(&headers).session.values() {
        assert!(keyring.open(text).is_none(), "a forged credential was let through");
    }
    headers.append(COOKIE, HeaderValue::from_static("4DSID_fuzz=other"));
    let session = rule.read(&headers).session;
    assert!(session.values().contains(&"other"), "a cookie is not found among others");
}

/// A list of one host lets that host through, whatever case and port it is written with, and
/// nothing else; what a request claims about proxies never ends it.
fn host(input: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    let Ok(rule) = HostRule::parse("shop.example") else { return };
    let (mut head, ()) = Request::new(()).into_parts();
    head.headers.insert(HOST, value.clone());
    let (peer, local) = (([192, 0, 2, 9], 4_711).into(), ([192, 0, 2, 1], 443).into());
    let conn = Some(&ConnInfo { peer, local, tls: false });
    if Hosts::new(vec![rule], false).admit(&head, conn).is_ok() {
        let name = input.split(|byte| *byte == b':').next().unwrap_or_default();
        assert!(name.eq_ignore_ascii_case(b"shop.example"), "let through as shop.example");
    }
    if let Ok(rule) =
        str::from_utf8(input).map_err(drop).and_then(|s| HostRule::parse(s).map_err(drop))
    {
        let all = Hosts::new(vec![rule], false).admit(&head, conn);
        assert!(all.is_ok() || input.starts_with(b"*"), "a rule does not cover its own host");
    }
    let everybody = ["0.0.0.0/0", "::/0"].iter().filter_map(|text| text.parse().ok());
    let everybody = TrustedProxies::new(everybody.collect());
    for name in [FORWARDED, HeaderName::from_static("x-forwarded-for")] {
        let claims: HeaderMap = [(name, value.clone())].into_iter().collect();
        everybody.client(&claims, IpAddr::from([127, 0, 0, 1]));
    }
}

/// Nowhere that callgate itself sends a browser is another site.
fn redirect(input: &[u8]) {
    if let Ok(uri) = Uri::try_from(input)
        && CanonicalPath::of(uri.path(), &BasePath::none()).is_ok()
    {
        stays(&token_place::target_without_token(
            &uri,
            Some(&TokenPlace::Param("state".to_owned())),
        ));
    }
    let Ok(text) = str::from_utf8(input) else { return };
    let table = json!([{ "class": "A", "method": "a", "pattern": "a",
                         "otp": { "onRefused": { "redirect": text } } }]);
    if let Ok(checked) = Table::read("handlers.json", &table.to_string())
        && let Some(OnRefused::Redirect(path)) =
            checked.table.rows().first().map(|row| &row.otp().on_refused)
    {
        stays(path);
    }
    let Ok(location) = HeaderValue::from_bytes(input) else { return };
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, location);
    let landed = confirm::fit_for_form(response);
    if let Some(Ok(location)) = landed.headers().get(LOCATION).map(HeaderValue::to_str) {
        assert!(landed.status() != StatusCode::PERMANENT_REDIRECT, "a form would be sent on");
        stays(location);
    }
}

/// A browser that is sent there from a page of this site is on this site.
fn stays(location: &str) {
    let Ok(here) = Url::parse("https://gate.example/a/b?c") else { return };
    let there = here.join(location);
    assert!(there.is_ok_and(|there| there.origin() == here.origin()), "{location:?} leads away");
}

/// Stored bytes are refused, or read and written back as the same.
fn codec(input: &[u8]) {
    use crate::session::codec as session;
    use crate::token::codec as token;

    if let Ok(record) = session::decode(input)
        && let Ok(bytes) = session::encode(&record)
    {
        let again = session::decode(&bytes).ok().and_then(|record| session::encode(&record).ok());
        same(&again, &Some(bytes));
    }
    if let Ok(read) = token::decode(input)
        && let Ok(bytes) = token::encode(&read)
    {
        same(&token::decode(&bytes), &Ok(read));
    }
    if let Ok(Ok(patch)) = serde_json::from_slice(input).map(session::StoredPatch::patch)
        && let Ok(text) = serde_json::to_string(&session::StoredPatch::of(&patch))
    {
        let again = serde_json::from_str(&text).map(session::StoredPatch::patch);
        let again = again.ok().and_then(Result::ok).map(|patch| session::StoredPatch::of(&patch));
        same(&again.and_then(|again| serde_json::to_string(&again).ok()), &Some(text));
    }
    if let Ok(text) = std::str::from_utf8(input)
        && let Some(secret) = TokenSecret::parse(text)
    {
        assert_eq!(secret.expose(), text.to_ascii_uppercase());
    }
}

fn same<T: PartialEq + Debug>(one: &T, other: &T) {
    assert_eq!(one, other, "it is not the same when it is read again");
}
