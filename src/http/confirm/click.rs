//! Hearing the button: whether the form is that of our page, and the request it stands for.

use std::time::Duration;

use http_body_util::Full;
use hyper::HeaderMap;
use hyper::Method;
use hyper::Uri;
use hyper::header;
use hyper::header::HeaderName;
use hyper::http::request::Parts as Head;
use hyper::http::uri::PathAndQuery;

use crate::http::body;
use crate::http::body::RequestBody;
use crate::http::confirm::Agreement;
use crate::http::confirm::MARK;
use crate::http::confirm::nonce::Nonce;
use crate::http::cookie::Presented;
use crate::http::fault::Fault;
use crate::http::query;
use crate::http::run::submitted;
use crate::http::sessions::Sessions;
use crate::token::Question;

/// The form is a token, a word and a proof; parameter names are bounded, too.
const FORM_BYTES_MAX: u64 = 8 * 1024;

/// Whether a request may be the form of the page: whether it is, [`hear`] finds out.
pub(crate) fn is_click(head: &Head) -> bool {
    head.method == Method::POST && head.uri.query().is_some_and(|raw| query::has(raw, MARK))
}

/// Makes of the form of the page the request that was asked about, agreed to. Any other form is
/// refused, and its token is left alone.
pub(crate) async fn hear(
    house: &Sessions,
    head: &mut Head,
    body: RequestBody,
    deadline: Duration,
) -> Result<(Agreement, RequestBody), Fault> {
    let refused = |why: &'static str| {
        tracing::warn!(event = "confirm.refused", why);
        Fault::confirm_refused()
    };
    if !comes_from_here(house, &head.headers) {
        return Err(refused("it comes from another site"));
    }
    let bytes = body::read(body, &head.headers, FORM_BYTES_MAX, deadline).await?;
    let form = submitted(&head.headers, &bytes).ok_or_else(|| refused("it is no form"))?;
    let form = Form::read(form).ok_or_else(|| refused("it is not the form of the page"))?;
    let Presented::One(nonce) = house.cookie.find_confirm(&head.headers) else {
        return Err(refused("its cookie is missing"));
    };
    let nonce = Nonce::read(nonce).ok_or_else(|| refused("its cookie is malformed"))?;
    let raw = head.uri.query().unwrap_or("");
    let raw = with_token(raw, &form.token).ok_or_else(|| refused("its address is malformed"))?;
    let token = query::token_in(&form.token).ok_or_else(|| refused("it brings no token"))?;
    if !nonce.proves(&house.keyring, (&token.digest(house.app()), form.question), &form.proof) {
        return Err(refused("its proof is wrong"));
    }
    head.uri = with_query(&head.uri, &raw).ok_or_else(|| refused("its address is malformed"))?;
    head.method = Method::GET;
    for field in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        head.headers.remove(field);
    }
    Ok((Agreement::Clicked(form.question), RequestBody::Whole(Full::default())))
}

/// What the browser says about where the form stood, if it says anything.
///
/// Browsers do not name the origin of a page that sends no `Referer`, as ours is, and say `null`
/// (Fetch §3.2); over plain HTTP they leave `Sec-Fetch-Site` out. The cookie must be there in any
/// case.
fn comes_from_here(house: &Sessions, headers: &HeaderMap) -> bool {
    const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let all = |name, is_fine: &dyn Fn(&[u8]) -> bool| {
        headers.get_all(name).iter().all(|value| is_fine(value.as_bytes()))
    };
    let own = |origin: &[u8]| {
        let public = house.public_origin.get().is_some_and(|own| own.as_bytes() == origin);
        let scheme = if house.cookie.is_secure() { "https" } else { "http" };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        origin == b"null"
            || public
            || host.is_some_and(|host| format!("{scheme}://{host}").as_bytes() == origin)
    };
    all(FETCH_SITE, &|site| site == b"same-origin") && all(header::ORIGIN, &own)
}

/// The fields of the form.
struct Form {
    /// The part of the query that brought the token.
    token: String,
    question: Question,
    proof: String,
}

impl Form {
    /// Reads the fields; `None` unless each is there exactly once.
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
}

/// The query with the token back in its place; `None` unless the mark stands where the page has
/// put it.
fn with_token(raw: &str, token: &str) -> Option<String> {
    let mut parts: Vec<&str> = raw.split('&').collect();
    let place: usize = parts.pop()?.strip_prefix(MARK)?.strip_prefix('=')?.parse().ok()?;
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
        ] {
            assert_eq!(back(raw).as_deref(), Some(whole), "{raw}");
        }
        for raw in ["", "a=1", "$4DCONFIRM=1", "$4DCONFIRM", "$4DCONFIRM=0&a=1", "$4DCONFIRM=-1"] {
            assert_eq!(back(raw), None, "{raw}");
        }
        assert_eq!(with_token("$4DCONFIRM=0", "$4DSID=T&a=1"), None);
        assert_eq!(with_token("$4DCONFIRM=0", "$4DSID=T#"), None);
    }

    #[test]
    fn a_form_has_each_of_its_fields_once() {
        let whole = "token=%244DSID%3DT&question=switch&proof=ab";
        let form = Form::read(whole).unwrap();
        assert_eq!((&*form.token, form.question), ("$4DSID=T", Question::Switch));
        for more in ["&proof=ab", "&token=x", "&other=1"] {
            assert!(Form::read(&format!("{whole}{more}")).is_none(), "{more}");
        }
        assert!(Form::read("token=T&proof=ab").is_none());
        assert!(Form::read("token=T&proof=ab&question=what").is_none());
    }
}
