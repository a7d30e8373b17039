//! The form of the confirmation page: its verification, and the request that it confirms.

use hyper::HeaderMap;
use hyper::Method;
use hyper::Uri;
use hyper::header;
use hyper::header::HeaderName;
use hyper::http::request::Parts as Head;
use hyper::http::uri::PathAndQuery;

use crate::base::Digest;
use crate::base::text::query;
use crate::flow::session::ShownConsent;
use crate::http::confirm::IN_PATH;
use crate::http::confirm::MARKS;
use crate::http::confirm::Site;
use crate::http::confirm::nonce::Nonce;
use crate::http::message::body::incoming;
use crate::http::message::body::incoming::Pace;
use crate::http::message::body::incoming::RequestBody;
use crate::http::message::fault::ErrorFormat;
use crate::http::message::fault::Fault;
use crate::http::message::parse::form::submitted;
use crate::http::message::token_place;
use crate::token::Question;

/// The form has a token, a short value and a proof; parameter names are bounded, too.
const FORM_BYTES_MAX: u64 = 8 * 1024;

/// Whether a request may be the form of the page. [`hear`] verifies it.
pub(crate) fn is_click(head: &Head) -> bool {
    stands_for_get(head.method.as_str(), head.uri.query().unwrap_or(""))
}

/// Whether a request with this raw query is treated as the form of the page, and so as the GET
/// that the page was about, whatever rows there are for its own verb. If it does not contain the
/// form, it is refused before any row is looked up.
pub fn stands_for_get(verb: &str, raw_query: &str) -> bool {
    verb == Method::POST.as_str() && MARKS.iter().any(|mark| query::has(raw_query, mark))
}

/// Turns the form of the page into the request that it was about, with consent. Any other form is
/// refused, and its token remains unspent. If the form has expired, the page is shown again.
pub(crate) async fn hear(
    site: &Site,
    head: &mut Head,
    body: RequestBody,
    pace: Pace,
) -> Result<ShownConsent, Fault> {
    let origin = FormOrigin::of(site, head);
    if origin == FormOrigin::Foreign {
        return Err(refused("it comes from another site"));
    }
    let bytes = incoming::read(body, &head.headers, FORM_BYTES_MAX, pace).await?.bytes;
    let form = submitted(&head.headers, &bytes).ok_or_else(|| refused("it is no form"))?;
    let form =
        SubmittedForm::read(form).ok_or_else(|| refused("it is not the form of the page"))?;
    let raw = with_token(head.uri.query().unwrap_or(""), &form.token);
    let uri = raw.and_then(|raw| with_query(&head.uri, &raw));
    let uri = uri.ok_or_else(|| refused("its address is malformed"))?;
    let consent = match form.check(site, &head.headers) {
        Ok(token) => ShownConsent::Clicked(form.question, token),
        Err(why) => {
            let fault = refused(why);
            if origin != FormOrigin::Own || ErrorFormat::of(&head.headers) != ErrorFormat::Page {
                return Err(fault);
            }
            ShownConsent::Stale
        }
    };
    head.uri = uri;
    head.method = Method::GET;
    for field in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        head.headers.remove(field);
    }
    Ok(consent)
}

fn refused(why: &'static str) -> Fault {
    tracing::warn!(event = "confirm.refused", why);
    Fault::confirm_refused()
}

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the browser indicates that a page of this site sent the request.
pub(crate) fn comes_from_here(site: &Site, head: &Head) -> bool {
    FormOrigin::of(site, head) == FormOrigin::Own
}

/// Whether the browser indicates that a page of another origin sent the request, such as a form that
/// asks for something in the name of the person who looks at it.
pub(crate) fn comes_from_elsewhere(site: &Site, head: &Head) -> bool {
    let mut sites = head.headers.get_all(FETCH_SITE).iter().peekable();
    if sites.peek().is_some() {
        return sites.any(|site| site != "same-origin" && site != "none");
    }
    let origins = head.headers.get_all(header::ORIGIN).iter();
    let mut origins = origins.map(|origin| origin.to_str().unwrap_or_default());
    // `null` too: it is what a sandboxed page of another site sends.
    origins.any(|origin| !is_own_origin(site, head, origin))
}

fn is_own_origin(site: &Site, head: &Head, origin: &str) -> bool {
    let scheme = if site.cookie.is_secure() { "https" } else { "http" };
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.map(|host| format!("{scheme}://{host}"));
    let public = site.sessions.public_origin.get().map(String::as_str);
    public == Some(origin) || host.as_deref() == Some(origin)
}

/// The origin of the form, as far as the browser indicates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FormOrigin {
    /// On this site.
    Own,
    /// Unknown. Browsers do not send the origin of a page without a `Referer`, such as this one,
    /// but `null` (Fetch §3.2), and over plain HTTP they omit `Sec-Fetch-Site`. Then the check
    /// relies on the cookie, which is `Strict`.
    Unsaid,
    /// On another site.
    Foreign,
}

impl FormOrigin {
    fn of(site: &Site, head: &Head) -> Self {
        let mut said = Self::Unsaid;
        for site in head.headers.get_all(FETCH_SITE) {
            said =
                if site.as_bytes() == b"same-origin" { Self::Own } else { return Self::Foreign };
        }
        for origin in head.headers.get_all(header::ORIGIN) {
            let Ok(origin) = origin.to_str() else { return Self::Foreign };
            if origin == "null" {
                continue;
            }
            if !is_own_origin(site, head, origin) {
                return Self::Foreign;
            }
            said = Self::Own;
        }
        said
    }
}

/// The fields of the form.
struct SubmittedForm {
    /// The part of the query with the token.
    token: String,
    question: Question,
    proof: String,
}

impl SubmittedForm {
    /// Parses the fields; `None` unless each is present exactly once.
    fn read(text: &str) -> Option<Self> {
        let (mut token, mut question, mut proof) = (None, None, None);
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let field = match &*name {
                "token" => &mut token,
                "question" => &mut question,
                "proof" => &mut proof,
                _ => return None,
            };
            if field.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        let question = match question?.as_str() {
            "click" => Question::Click,
            "switch" => Question::Switch,
            _ => return None,
        };
        Some(Self { token: token?, question, proof: proof? })
    }

    /// The token for which this browser was shown the page with this form.
    fn check(&self, site: &Site, headers: &HeaderMap) -> Result<Digest, &'static str> {
        let presented = site.cookie.find_confirm(headers);
        let nonces: Vec<Nonce> =
            presented.values().iter().filter_map(|value| Nonce::read(value)).collect();
        if nonces.is_empty() {
            return Err("its cookie is missing");
        }
        let token = token_place::token_of(&self.token).ok_or("it brings no token")?;
        let token = token.digest(site.sessions.app());
        let about = (&token, self.question);
        // Only the cookie that the page was made for proves its form, so others beside it do not
        // matter: the proof is sealed, and made for this very token.
        let is_proven =
            nonces.iter().any(|nonce| nonce.proves(&site.sessions.keyring, about, &self.proof));
        if is_proven { Ok(token) } else { Err("its proof is wrong") }
    }
}

/// The query with the token in its place again; `None` unless the mark is where the page has put
/// it.
fn with_token(raw: &str, token: &str) -> Option<String> {
    let mut parts: Vec<&str> = raw.split('&').collect();
    let last = parts.pop()?;
    let place = MARKS.iter().find_map(|mark| last.strip_prefix(mark)?.strip_prefix('='))?;
    if place == IN_PATH {
        return Some(parts.join("&"));
    }
    let place: usize = place.parse().ok()?;
    if place > parts.len() || token.contains(['&', '#']) {
        return None;
    }
    parts.insert(place, token);
    Some(parts.join("&"))
}

fn with_query(uri: &Uri, raw: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(format!("{}?{raw}", uri.path()).parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_back_to_where_it_stood() {
        let back = |raw| with_token(raw, "$4DSID=T");
        for (raw, whole) in [
            ("$4DCONFIRM=0", "$4DSID=T"),
            ("a=1&b&$4DCONFIRM=1", "a=1&$4DSID=T&b"),
            ("a=1&b&$4DCONFIRM=2", "a=1&b&$4DSID=T"),
            ("&$4DCONFIRM=1", "&$4DSID=T"),
            ("a=1&%244DCONFIRM=1", "a=1&$4DSID=T"),
        ] {
            assert_eq!(back(raw).as_deref(), Some(whole), "{raw}");
        }
        for raw in ["", "a=1", "$4DCONFIRM=1", "$4DCONFIRM", "$4DCONFIRM=0&a=1", "$4DCONFIRM=-1"] {
            assert_eq!(back(raw), None, "{raw}");
        }
        assert_eq!(back("a=1&$4DCONFIRM=path").as_deref(), Some("a=1"));
        assert_eq!(with_token("$4DCONFIRM=0", "$4DSID=T&a=1"), None);
        assert_eq!(with_token("$4DCONFIRM=0", "$4DSID=T#"), None);
    }

    #[test]
    fn a_click_is_known_however_its_dollar_is_written() {
        let is_click = |method: &str, target: &str| {
            let request = hyper::Request::builder().method(method).uri(target).body(()).unwrap();
            super::is_click(&request.into_parts().0)
        };
        assert!(is_click("POST", "/x?$4DCONFIRM=0") && is_click("POST", "/x?a&%244DCONFIRM=1"));
        assert!(!is_click("GET", "/x?$4DCONFIRM=0") && !is_click("POST", "/x?%25244DCONFIRM=0"));
    }

    #[test]
    fn a_form_has_each_of_its_fields_once() {
        let whole = "token=%244DSID%3DT&question=switch&proof=ab";
        let form = SubmittedForm::read(whole).unwrap();
        assert_eq!((&*form.token, form.question), ("$4DSID=T", Question::Switch));
        for more in ["&proof=ab", "&token=x", "&other=1"] {
            assert!(SubmittedForm::read(&format!("{whole}{more}")).is_none(), "{more}");
        }
        assert!(SubmittedForm::read("token=T&proof=ab").is_none());
        assert!(SubmittedForm::read("token=T&proof=ab&question=what").is_none());
    }
}
