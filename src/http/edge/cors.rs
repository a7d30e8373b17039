//! Which pages of other origins may read responses (CORS, Fetch standard §3.2;
//! developer.4d.com/docs/WebServer/webServerConfig).
//!
//! Without rules callgate says nothing about origins, and browsers let no foreign page read
//! anything. With rules, a foreign page's preflight is answered before any row is looked for, and
//! a request from an origin that no rule covers is refused with 403, as 4D does.
//!
//! Only requests that a browser made for a script are judged. A navigation, such as the form by
//! which an identity provider posts its response, brings an `Origin` too; no page reads its response,
//! and to refuse it would refuse callbacks. Cookies are a decision of their own: 4D is silent on
//! credentials, and here only a rule that names one origin in full, scheme included, allows them.
//! With `*.shop.example` a forgotten sibling host, or somebody who answers for one over plain
//! http, could read what a signed-in visitor can.

use hyper::HeaderMap;
use hyper::Method;
use hyper::Response;
use hyper::header;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::http::request::Parts as Head;

use crate::http::edge::cors_rule::CorsOrigin;
use crate::http::edge::cors_rule::CorsRule;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::body::outgoing::no_content;
use crate::http::message::fault::Fault;

/// How long a browser may remember a preflight; all of them allow at least as much.
const MAX_AGE_SECS: u64 = 600;
/// What a rule without methods allows by name; others are allowed as they are asked for.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const VARY_PREFLIGHT: HeaderValue = HeaderValue::from_static(
    "CorsOrigin, Access-Control-Request-Method, Access-Control-Request-Headers",
);

/// The rules in order; without any, CORS is switched off.
#[derive(Debug, Clone, Default)]
pub struct Cors(Vec<CorsRule>);

/// What a response says about origins.
#[derive(Debug, Default)]
pub(crate) struct CorsGrant {
    /// The origin whose page may read it.
    origin: Option<HeaderValue>,
    credentials: bool,
}

/// What the rules make of a request that is not refused.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// What its response says about origins.
    pub(crate) grant: CorsGrant,
    /// The response to a preflight, which goes no further.
    pub(crate) preflight: Option<Response<ResponseBody>>,
}

impl Cors {
    /// Lets in what any of these rules covers.
    pub fn new(rules: Vec<CorsRule>) -> Self {
        Self(rules)
    }

    /// Whether there are rules.
    pub(crate) fn is_on(&self) -> bool {
        !self.0.is_empty()
    }

    /// Judges a request whose host has been checked already. `own` is the public origin.
    pub(crate) fn judge(&self, head: &Head, own: Option<&str>) -> Result<Judged, Fault> {
        let mut origins = head.headers.get_all(header::ORIGIN).iter();
        let Some(text) = origins.next() else { return Ok(Judged::default()) };
        let wanted = head.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
        let preflight = wanted.filter(|_| head.method == Method::OPTIONS);
        if is_own(text, head, own) || (preflight.is_none() && !is_for_a_script(&head.headers)) {
            return Ok(Judged::default());
        }
        let method = match preflight {
            Some(wanted) => wanted.to_str().map_err(|_| Fault::origin_not_allowed())?,
            None => head.method.as_str(),
        };
        let origin = CorsOrigin::read(text.as_bytes());
        let rule = self.0.iter().find(|rule| rule.covers(origin) && rule.allows(method));
        let (Some(rule), None) = (rule, origins.next()) else {
            return Err(Fault::origin_not_allowed());
        };
        let preflight = preflight.map(|wanted| self::preflight(rule, wanted, &head.headers));
        let grant = CorsGrant { origin: Some(text.clone()), credentials: rule.is_one_origin() };
        Ok(Judged { grant, preflight })
    }
}

impl CorsGrant {
    /// Whether a rule allows the origin of the page that sends the request to use the cookies of the
    /// browser. A rule for many origins does not: it is for what anybody may read.
    pub(crate) const fn includes_cookies(&self) -> bool {
        self.origin.is_some() && self.credentials
    }

    /// Says it. A cache must know that the response depends on the origin, even where none came.
    pub(crate) fn apply(self, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_name(header::ORIGIN));
        let Some(origin) = self.origin else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            let yes = HeaderValue::from_static("true");
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
    }
}

/// 204 with everything that was asked for: the origin and the method are allowed, and no header
/// field means anything to callgate that a form could not say without asking.
fn preflight(rule: &CorsRule, wanted: &HeaderValue, asked: &HeaderMap) -> Response<ResponseBody> {
    let mut response = no_content(None);
    let headers = response.headers_mut();
    let listed = rule.methods();
    let methods = if listed.is_empty() { METHODS.to_owned() } else { listed.join(", ") };
    // A row may answer any word; one that is not on the list is allowed as it was asked for.
    let known = methods.split(", ").any(|method| method.as_bytes() == wanted.as_bytes());
    let methods = HeaderValue::from_str(&methods).ok().filter(|_| known);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods.unwrap_or(wanted.clone()));
    if let Some(fields) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, fields.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(MAX_AGE_SECS));
    headers.insert(header::VARY, VARY_PREFLIGHT);
    response
}

/// Whether an origin is this site's own: browsers send it along with every POST. One that says so
/// itself cannot be made to lie by a page; another program could, and is not what CORS is about.
fn is_own(origin: &HeaderValue, head: &Head, own: Option<&str>) -> bool {
    if head.headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "same-origin") {
        return true;
    }
    let origin = origin.as_bytes();
    let host = head.headers.get(header::HOST).map(HeaderValue::as_bytes);
    let host = host.or(head.uri.authority().map(|target| target.as_str().as_bytes()));
    // A proxy that ends TLS knows the scheme; we know the host that the page was asked for.
    let named = ["https://", "http://"].iter().find_map(|it| origin.strip_prefix(it.as_bytes()));
    own.is_some_and(|own| own.as_bytes() == origin)
        || named.zip(host).is_some_and(|(named, host)| named.eq_ignore_ascii_case(host))
}

/// Whether a script wants to read the response. Where the browser does not say how it asks, a
/// request for a page is taken for a navigation.
fn is_for_a_script(headers: &HeaderMap) -> bool {
    if let Some(mode) = headers.get(SEC_FETCH_MODE) {
        return mode == "cors";
    }
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    !accepts.is_some_and(|accept| accept.contains("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn cors(rules: &[&str]) -> Cors {
        Cors::new(rules.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn head(method: &str, fields: &[(&str, &str)]) -> Head {
        let mut request =
            Request::builder().method(method).uri("/a").header("host", "shop.example");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// `-` where nothing is said, `403`, or the origin with `+` if cookies may come along.
    fn said(cors: &Cors, head: &Head) -> String {
        match cors.judge(head, Some("https://public.example")) {
            Err(fault) => fault.status().as_str().to_owned(),
            Ok(judged) => {
                let mut headers = HeaderMap::new();
                judged.grant.apply(&mut headers);
                assert_eq!(headers[header::VARY], "origin");
                let text = |name| headers.get(name).map_or("", |value| value.to_str().unwrap());
                let origin = text(header::ACCESS_CONTROL_ALLOW_ORIGIN);
                let cookies = text(header::ACCESS_CONTROL_ALLOW_CREDENTIALS) == "true";
                let origin = if origin.is_empty() { "-" } else { origin };
                format!("{origin}{}", if cookies { "+" } else { "" })
            }
        }
    }

    #[test]
    fn cookies_come_along_only_where_one_origin_is_named_in_full() {
        let ask =
            |rule: &str, origin: &str| said(&cors(&[rule]), &head("GET", &[("origin", origin)]));
        assert_eq!(ask("https://app.example", "https://app.example"), "https://app.example+");
        assert_eq!(ask("app.example", "https://app.example"), "https://app.example");
        assert_eq!(ask("https://*.example", "https://app.example"), "https://app.example");
        assert_eq!(ask("*", "https://app.example"), "https://app.example");
        assert_eq!(ask("*", "null"), "null");
        assert_eq!(ask("https://*", "null"), "403");
        assert_eq!(ask("https://app.example", "https://app.example.evil.test"), "403");
    }

    #[test]
    fn only_what_a_script_asks_of_another_origin_is_judged() {
        let cors = cors(&["https://app.example get;post"]);
        let evil = ("origin", "https://evil.example");
        let said = |method, fields: &[_]| said(&cors, &head(method, fields));
        assert_eq!(said("GET", &[]), "-");
        assert_eq!(said("GET", &[evil]), "403");
        assert_eq!(said("GET", &[evil, ("sec-fetch-mode", "cors")]), "403");
        assert_eq!(said("POST", &[evil, ("sec-fetch-mode", "navigate")]), "-");
        assert_eq!(said("POST", &[evil, ("accept", "text/html,*/*;q=0.8")]), "-");
        assert_eq!(said("POST", &[("origin", "https://shop.example")]), "-", "its own host");
        assert_eq!(said("POST", &[("origin", "https://public.example")]), "-", "its own origin");
        let rewritten = [("origin", "https://www.example"), ("sec-fetch-site", "same-origin")];
        assert_eq!(said("POST", &rewritten), "-", "its own host, which a proxy has rewritten");
        let sibling = [("origin", "https://www.example"), ("sec-fetch-site", "same-site")];
        assert_eq!(said("POST", &sibling), "403");
        assert_eq!(said("POST", &[("origin", "https://app.example")]), "https://app.example+");
        assert_eq!(said("PUT", &[("origin", "https://app.example")]), "403", "not this method");
        let twice = [("origin", "https://app.example"), ("origin", "https://app.example")];
        assert_eq!(said("GET", &twice), "403");
    }

    #[test]
    fn a_preflight_is_answered_with_what_was_asked_for() {
        let cors = cors(&["https://app.example get;post", "*.other.example"]);
        let ask = |origin, method, mode: &'static str| {
            let fields = [
                ("origin", origin),
                ("access-control-request-method", method),
                ("access-control-request-headers", "x-a,content-type"),
                ("sec-fetch-mode", mode),
            ];
            cors.judge(&head("OPTIONS", &fields), None).map(|judged| judged.preflight.unwrap())
        };
        let response = ask("https://app.example", "POST", "cors").unwrap();
        assert_eq!(response.status(), 204);
        let text = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(text("access-control-allow-methods"), "GET, POST");
        assert_eq!(text("access-control-allow-headers"), "x-a,content-type");
        assert_eq!(text("access-control-max-age"), "600");
        assert!(text("vary").contains("Access-Control-Request-Headers"));
        assert!(ask("https://app.example", "PUT", "cors").is_err());
        assert!(ask("https://evil.example", "POST", "navigate").is_err());
        let any = |method| {
            let response = ask("http://a.other.example", method, "cors").unwrap();
            response.headers()["access-control-allow-methods"].to_str().unwrap().to_owned()
        };
        assert_eq!((any("PATCH"), any("PURGE")), (METHODS.to_owned(), "PURGE".to_owned()));
    }
}
