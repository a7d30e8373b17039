//! The confirmation page as a response: its text, and the headers that protect it.

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::Response;
use hyper::StatusCode;
use hyper::header;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::http::request::Parts as Head;

use crate::base::text::markup::escaped;
use crate::http::confirm::IN_PATH;
use crate::http::confirm::MARK;
use crate::http::confirm::Site;
use crate::http::confirm::Template;
use crate::http::confirm::hop::HOP;
use crate::http::confirm::nonce::Nonce;
use crate::http::confirm::words::Words;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::fault::Fault;
use crate::http::message::token_place::TokenPart;
use crate::http::message::token_place::token_part;
use crate::table::TokenPlace;
use crate::token::Question;
use crate::token::TokenSecret;

/// The question, and the request that it is about.
pub(crate) struct Asking<'r> {
    /// The request with the token.
    pub(crate) head: &'r Head,
    /// The token.
    pub(crate) token: &'r TokenSecret,
    /// The ticket of the request, if it is not a GET and was stored.
    pub(crate) ticket: Option<&'r str>,
    /// The row's own place for tokens.
    pub(crate) place: Option<&'r TokenPlace>,
    pub(crate) question: Question,
    /// The name of the signed-in user; may be empty.
    pub(crate) user: String,
    /// Whether the page is shown again because the form that was sent did not count.
    pub(crate) is_stale: bool,
}

/// The page with its cookie. No store is changed or queried.
pub(crate) fn page(
    site: &Site,
    template: &Template,
    asking: &Asking<'_>,
) -> Result<Response<ResponseBody>, Fault> {
    let presented = site.cookie.find_confirm(&asking.head.headers);
    let nonce = match presented.values().iter().find_map(|value| Nonce::read(value)) {
        Some(nonce) => nonce,
        None => Nonce::fresh(&*site.sessions.entropy).map_err(Fault::internal)?,
    };
    let raw = asking.head.uri.query().unwrap_or("");
    let written;
    let (action, token) = match (asking.ticket, token_part(raw, asking.place)) {
        (Some(ticket), _) => {
            written = format!("token={}", asking.token.expose());
            (format!("{HOP}={ticket}&{MARK}={IN_PATH}"), &*written)
        }
        (None, Some(part)) => (part.action(), part.text),
        // The token is in the path, to which the form is sent.
        (None, None) => {
            let rest = if raw.is_empty() { String::new() } else { format!("{raw}&") };
            written = format!("token={}", asking.token.expose());
            (format!("{rest}{MARK}={IN_PATH}"), &*written)
        }
    };
    let words = Words::liked(&accepted(&asking.head.headers));
    let proof = nonce.proof(
        &site.sessions.keyring,
        &asking.token.digest(site.sessions.app()),
        asking.question,
    );
    let form = PageForm { action: &action, token, proof: &proof };
    let body = filled(site, template, words, asking, &form);
    let mut response = Response::new(ResponseBody::from(Bytes::from(body)));
    if asking.is_stale {
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    guard(response.headers_mut(), template, words);
    if let Some(cookie) = site.cookie.set_confirm(&nonce.text()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The content of the form, and its target.
struct PageForm<'f> {
    /// The query without the token.
    action: &'f str,
    /// The token, as it appeared in the query.
    token: &'f str,
    proof: &'f str,
}

fn filled(
    site: &Site,
    template: &Template,
    words: &Words,
    asking: &Asking<'_>,
    form: &PageForm<'_>,
) -> String {
    let question = asking.question;
    let asked = words.asked(question);
    let text = words.text(question, !asking.user.is_empty());
    // Split at the holes of the shipped text, so that a user's name cannot add a hole.
    let text: String = text
        .split_inclusive('}')
        .map(|part| match part.split_once('{') {
            Some((before, "app}")) => escaped(before) + &escaped(site.sessions.app()),
            Some((before, "user}")) => escaped(before) + &escaped(&asking.user),
            _ => escaped(part),
        })
        .collect();
    let note = escaped(if asking.is_stale { words.again } else { asked.note });
    let (name, stay) = match question {
        Question::Click => ("click", String::new()),
        Question::Switch => {
            let home = escaped(&format!("{}/", site.sessions.base_path));
            ("switch", format!("\n<p class=\"stay\"><a href=\"{home}\">{}</a></p>", words.stay))
        }
    };
    let form = format!(
        "<form method=\"post\" action=\"?{}\">\n\
         <input type=\"hidden\" name=\"token\" value=\"{}\">\n\
         <input type=\"hidden\" name=\"question\" value=\"{name}\">\n\
         <input type=\"hidden\" name=\"proof\" value=\"{}\">\n\
         <button type=\"submit\">{}</button>\n</form>{stay}",
        escaped(form.action),
        escaped(form.token),
        form.proof,
        escaped(asked.button),
    );
    template.fill(&[
        ("lang", words.tag),
        ("title", &escaped(asked.title)),
        ("app", &escaped(site.sessions.app())),
        ("text", &format!("<p>{text}</p>\n<p class=\"note\">{note}</p>")),
        ("form", &form),
    ])
}

/// Headers that prevent the page from being framed, cached or indexed, and from loading or running
/// anything (docs/SECURITY.md D.10, T30).
fn guard(headers: &mut HeaderMap, template: &Template, words: &Words) {
    const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
    const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (OPENER_POLICY, "same-origin"),
        (ROBOTS, "noindex"),
        (header::VARY, "Accept-Language"),
        (header::CONTENT_LANGUAGE, words.tag),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(template.policy()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// Every `Accept-Language` of a request as one list (RFC 9110 §5.3).
fn accepted(headers: &HeaderMap) -> String {
    let fields = headers.get_all(header::ACCEPT_LANGUAGE).iter();
    fields.filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",")
}

impl TokenPart<'_> {
    /// The query of the form: that of the request without the token, and the mark with its place.
    fn action(&self) -> String {
        let mark = format!("{MARK}={}", self.at);
        self.rest.as_ref().map_or_else(|| mark.clone(), |rest| format!("{rest}&{mark}"))
    }
}
