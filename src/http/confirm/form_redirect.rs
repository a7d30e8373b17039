//! Redirections as responses to the form of the page.

use bytes::Bytes;
use hyper::Response;
use hyper::StatusCode;
use hyper::header;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;

use crate::base::text::markup::escaped;
use crate::http::message::body::outgoing::ResponseBody;

/// Turns a redirect for a link into one that may be the response to a form.
///
/// A plain redirect has two problems. A 307 or 308 makes the browser send the form once more, to
/// the redirect's target, and the form contains the token. And some browsers apply the page's
/// `form-action 'self'` to redirects, and then silently stay on the page. A redirect from a page
/// without that policy may lead anywhere.
pub(crate) fn fit_for_form(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    let follows = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(header::LOCATION).cloned();
    let Some(location) = location.filter(|_| follows) else { return response };
    if is_local(location.as_bytes()) {
        *response.status_mut() = StatusCode::SEE_OTHER;
        return response;
    }
    let Ok(address) = location.to_str() else { return response };
    let page = format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"refresh\" content=\"0; url={0}\">\n\
         <title>{0}</title>\n<p><a href=\"{0}\">{0}</a></p>\n",
        escaped(address)
    );
    *response.status_mut() = StatusCode::OK;
    *response.body_mut() = ResponseBody::from(Bytes::from(page));
    let headers = response.headers_mut();
    headers.remove(header::LOCATION);
    // Header fields about the body that this page replaces.
    for name in [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::ETAG] {
        headers.remove(name);
    }
    let policy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A path of this site. `//host` and, to browsers, `/\host` lead elsewhere.
fn is_local(location: &[u8]) -> bool {
    matches!(location, [b'/'] | [b'/', b'!'..=b'.' | b'0'..=b'[' | b']'..=b'~', ..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn landed(status: u16, location: &str) -> Response<ResponseBody> {
        let response = Response::builder().status(status).header(header::LOCATION, location);
        let response = response.header(header::CONTENT_ENCODING, "gzip");
        fit_for_form(response.body(ResponseBody::empty()).unwrap())
    }

    #[tokio::test]
    async fn redirections_keep_their_way_and_send_no_form_again() {
        for status in [301, 302, 303, 307, 308] {
            let here = landed(status, "/order?x=1");
            assert_eq!(here.status(), 303);
            assert_eq!(here.headers()[header::LOCATION], "/order?x=1");
            for away in ["https://idp.example/?a=1&b='", "//idp.example", "/\\idp.example"] {
                let there = landed(status, away);
                assert_eq!(there.status(), 200);
                assert!(!there.headers().contains_key(header::LOCATION));
                assert!(!there.headers().contains_key(header::CONTENT_ENCODING));
                let body = there.into_body().collect().await.unwrap().to_bytes();
                let page = String::from_utf8(body.to_vec()).unwrap();
                assert!(page.contains(&format!("url={}\"", escaped(away))), "{page}");
            }
        }
        assert_eq!(landed(304, "/order").status(), 304);
        let plain = fit_for_form(Response::new(ResponseBody::from(Bytes::from_static(b"x"))));
        assert_eq!(plain.status(), 200);
    }
}
