//! Which header fields end at callgate, whichever way they go.

use hyper::HeaderMap;
use hyper::header;
use hyper::header::HeaderName;

/// Fields of one connection, which mean nothing on the next (RFC 9110 §7.6.1).
const OF_A_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
];

/// Families of fields by which a client could speak for callgate or a proxy. Whatever is neither
/// letter nor digit counts as a hyphen: many a server turns all of these into the same (CGI,
/// RFC 3875 §4.1.18, and what has been built like it).
const SPOKEN_FOR_US: [&str; 4] = ["x-callgate-", "x-forwarded-", "x-original-", "proxy-"];
/// Single fields of the same kind. Some frameworks take the last for the address that was asked
/// for, and so for another than the one that was matched.
const SPOKEN_ALONE: [&str; 3] = ["forwarded", "x-real-ip", "x-rewrite-url"];

/// Takes out the fields of the connection, and those that `Connection` names.
pub(super) fn strip_connection(headers: &mut HeaderMap) {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<HeaderName> = values
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OF_A_CONNECTION) {
        headers.remove(name);
    }
}

/// Takes out what only callgate itself may say to an upstream.
pub(super) fn strip_claims(headers: &mut HeaderMap) {
    let claims: Vec<HeaderName> =
        headers.keys().filter(|name| is_claim(name.as_str())).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
}

fn is_claim(name: &str) -> bool {
    let same =
        |(own, known): (u8, u8)| own == known || known == b'-' && !own.is_ascii_alphanumeric();
    let begins =
        |known: &&str| name.len() >= known.len() && name.bytes().zip(known.bytes()).all(same);
    SPOKEN_FOR_US.iter().any(begins)
        || SPOKEN_ALONE.iter().filter(|known| known.len() == name.len()).any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn left(strip: fn(&mut HeaderMap), pairs: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        strip(&mut headers);
        let mut left: Vec<String> = headers.keys().map(ToString::to_string).collect();
        left.sort();
        left
    }

    #[test]
    fn what_belongs_to_a_connection_stays_with_it() {
        let pairs = [
            ("connection", "keep-alive, X-Hop"),
            ("connection", "close,x-hop2,, bad name"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("proxy-connection", "x"),
            ("x-hop", "1"),
            ("x-hop2", "1"),
            ("x-end", "1"),
        ];
        assert_eq!(left(strip_connection, &pairs), ["x-end"]);
    }

    #[test]
    fn nobody_else_speaks_for_callgate_or_a_proxy() {
        let pairs = [
            ("x-callgate-session", "1"),
            ("x_callgate_user", "1"),
            ("x-callgate_privileges", "1"),
            ("x-forwarded-for", "1"),
            ("x_forwarded_proto", "1"),
            ("forwarded", "1"),
            ("x-real-ip", "1"),
            ("x_real-ip", "1"),
            ("x.callgate.otp", "1"),
            ("x!callgate~otp", "1"),
            ("x.real.ip", "1"),
            ("x-real-ipv6", "kept"),
            ("forwarded-by", "kept"),
            ("x-original-url", "1"),
            ("x-rewrite-url", "1"),
            ("x-originality", "kept"),
            ("proxy-authorization", "1"),
            ("proxy", "kept: it is no field of ours, and httpoxy is for the upstream"),
            ("x-callgate", "1"),
            ("x-forward", "1"),
        ];
        assert_eq!(
            left(strip_claims, &pairs),
            ["forwarded-by", "proxy", "x-callgate", "x-forward", "x-originality", "x-real-ipv6"]
        );
    }
}
