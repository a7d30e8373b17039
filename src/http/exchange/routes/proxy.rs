//! The port of what passes requests on to an upstream.
//!
//! What goes through this port is free of callgate's own secrets: they are taken out here, before
//! any proxy sees the request, so that none can forget to (docs/SECURITY.md T37).

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::Method;
use hyper::Response;
use hyper::header;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;
use hyper::upgrade::OnUpgrade;
use percent_encoding::percent_decode;
use url::Url;

use crate::base::RequestId;
use crate::base::limits::HEADER_VALUE_BYTES_MAX;
use crate::base::text::masked::masked;
use crate::flow::session::Session;
use crate::http::message::body::outgoing::ResponseBody;
use crate::http::message::body::upload::Upload;
use crate::http::message::cookie::CookieRule;
use crate::http::message::fault::Fault;
use crate::http::message::token_place;
use crate::table::CanonicalPath;
use crate::token::Outcome;

/// The response of an upstream that has not begun yet.
pub type ProxyFuture = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Fault>> + Send>>;

/// Passes the requests of a row on to an upstream.
pub trait Proxy: Send + Sync {
    /// Passes one request on, and waits for the head of its response.
    fn pass(&self, proxied: ProxyRequest) -> ProxyFuture;
}

/// Finds what passes requests on.
pub trait Proxies: fmt::Debug + Send + Sync {
    /// What passes requests on to an upstream; `upstream` is its base URL, as
    /// [`Target::Upstream`](crate::table::Target::Upstream) has it.
    fn find(&self, upstream: &Url) -> Arc<dyn Proxy>;
}

/// One request on its way to an upstream, without its token, without callgate's cookies, and
/// without a field that may hold a token.
pub struct ProxyRequest {
    /// The name of the request in logs.
    pub id: RequestId,
    /// Its method.
    pub method: Method,
    /// The path that was matched.
    pub path: CanonicalPath,
    /// The query as it was written, without its `?`; may be empty.
    pub query: String,
    /// Its header, with what the client says about proxies and connections still in it.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Upload,
    /// The session it works in.
    pub session: Session,
    /// What became of the token.
    pub otp: Outcome,
    /// The client.
    pub origin: ClientOrigin,
    /// How long the response may take to begin.
    pub timeout: Duration,
    /// The client's connection, if it asks for another protocol on it.
    pub upgrade: Option<OnUpgrade>,
}

/// What callgate itself knows about the other end of a request.
#[derive(Debug, Clone)]
pub struct ClientOrigin {
    /// The address of the client; `None` where there is no connection.
    pub address: Option<IpAddr>,
    /// The host that clients ask for, as the settings have it; `None` where they have none.
    pub host: Option<HeaderValue>,
    /// Whether the client uses https, as far as callgate can know.
    pub is_https: bool,
}

/// Method and path only: the rest may be private.
impl fmt::Debug for ProxyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyRequest({} {})", self.method, self.path)
    }
}

/// Takes out of a header what is callgate's own: its cookies, whatever prefix they have, and a
/// `Referer` that may hold a token, or any other field that holds an address with one, such as the
/// field in which a proxy in front passes on the original address.
pub(crate) fn without_secrets(mut headers: HeaderMap, rule: &CookieRule) -> HeaderMap {
    let may_tell = |value: &HeaderValue| {
        let text = percent_decode(value.as_bytes()).decode_utf8_lossy();
        masked(&text, HEADER_VALUE_BYTES_MAX) != text
    };
    if headers.get_all(header::REFERER).iter().any(may_tell) {
        headers.remove(header::REFERER);
    }
    let tells = |(name, value): (&HeaderName, &HeaderValue)| {
        let text = String::from_utf8_lossy(value.as_bytes());
        (*name != header::COOKIE && token_place::names_token(&text)).then(|| name.clone())
    };
    for name in headers.iter().filter_map(tells).collect::<Vec<HeaderName>>() {
        headers.remove(name);
    }
    let cookies: Vec<HeaderValue> = headers.get_all(header::COOKIE).iter().cloned().collect();
    headers.remove(header::COOKIE);
    for cookies in cookies {
        let kept = foreign(cookies.as_bytes(), rule);
        if let Ok(value) = HeaderValue::from_bytes(&kept)
            && !kept.is_empty()
        {
            headers.append(header::COOKIE, value);
        }
    }
    headers
}

/// The cookies of one field that are none of callgate's.
fn foreign(cookies: &[u8], rule: &CookieRule) -> Vec<u8> {
    let name = |part: &[u8]| part.split(|byte| *byte == b'=').next().map(<[u8]>::to_vec);
    let parts = cookies.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let kept: Vec<&[u8]> = parts
        .filter(|part| !part.is_empty() && !name(part).is_some_and(|name| rule.reserves(&name)))
        .collect();
    kept.join(&b"; "[..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::message::cookie::Prefix;
    use crate::http::message::cookie::SameSite;

    fn cleaned(pairs: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let rule = CookieRule::new(Prefix::Host, "shop", SameSite::Lax, true);
        let headers = without_secrets(headers, &rule);
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn cookies_of_callgate_are_taken_out_and_others_stay() {
        for own in [
            "__Host-4DSID_shop=x",
            "4DSID_shop=x",
            "__host-4dsid_shop=x",
            "__Secure-4DBIND_shop=x",
            "4DCONF=x",
            "__Host-4DCONF=x",
            "  4DSID_shop =x",
        ] {
            let line: &'static str = format!("a=1;{own} ;b=\"2\"").leak();
            assert_eq!(cleaned(&[("cookie", line)]), ["cookie: a=1; b=\"2\""], "{own}");
            assert!(cleaned(&[("cookie", own.to_owned().leak())]).is_empty());
        }
        let kept = [("cookie", "4DSID_other=1; x4DSID_shop=2"), ("cookie", "c")];
        assert_eq!(cleaned(&kept), ["cookie: 4DSID_other=1; x4DSID_shop=2", "cookie: c"]);
    }

    #[test]
    fn a_referer_with_what_may_be_a_token_does_not_go_on() {
        let token = "https://shop.example/x?$4DSID=2E5D0D57751D471DB29FD110D2DCE253";
        assert!(cleaned(&[("referer", token)]).is_empty());
        for written in [
            "%244DSID=%32E5D0D57751D471DB29FD110D2DCE253",
            "state=%32%45%35D0D57751D471DB29FD110D2DCE253",
        ] {
            let coded: &'static str = format!("https://shop.example/x?{written}").leak();
            assert!(cleaned(&[("referer", coded)]).is_empty(), "{coded}");
        }
        let plain = "https://shop.example/x?page=2";
        assert_eq!(cleaned(&[("referer", plain)]), [format!("referer: {plain}")]);
    }
}
