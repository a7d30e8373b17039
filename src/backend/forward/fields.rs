//! Header fields that are not forwarded, in either direction.

use hyper::{
    HeaderMap,
    header::{self, HeaderName},
};

/// Hop-by-hop fields (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
];

/// Prefixes of fields with which a client could impersonate callgate or a proxy. Every character
/// that is neither letter nor digit counts as a hyphen, because many servers map all of these to
/// one (CGI, RFC 3875 §4.1.18, and interfaces modelled on it).
const CLAIM_FAMILIES: [&str; 5] =
    ["x-callgate-", "x-forwarded-", "x-original-", "proxy-", "x-http-method"];
/// Single fields of the same kind. They state the client's address, or a method, host or path other
/// than the matched one, and some frameworks trust them.
const CLAIMS: [&str; 22] = [
    "forwarded",
    "x-forwarded",
    "client-ip",
    "true-client-ip",
    "x-client-ip",
    "x-real-ip",
    "x-remote-ip",
    "x-remote-addr",
    "x-originating-ip",
    "x-cluster-client-ip",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "fastly-client-ip",
    "wl-proxy-client-ip",
    "x-method-override",
    "x-rewrite-url",
    "x-host",
    "x-http-host-override",
    "x-url-scheme",
    "front-end-https",
    "x-proxyuser-ip",
    "x-envoy-external-address",
];
/// Fields that frame the body. callgate reads and rewrites them under their own names; a server
/// could accept them under another spelling.
const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "content-encoding"];

/// Removes hop-by-hop fields, and those that `Connection` lists.
pub(super) fn strip_connection(headers: &mut HeaderMap) {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<HeaderName> = values
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Removes fields that only callgate may send to an upstream.
pub(super) fn strip_claims(headers: &mut HeaderMap) {
    let claims: Vec<HeaderName> =
        headers.keys().filter(|name| is_claim(name.as_str())).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
}

/// Removes callgate's own fields from the response of an upstream. The upstream may echo what it
/// received, such as a capability.
pub(super) fn strip_callgate(headers: &mut HeaderMap) {
    let is_own = |name: &&HeaderName| with_hyphens(name.as_str()).starts_with("x-callgate-");
    let own: Vec<HeaderName> = headers.keys().filter(is_own).cloned().collect();
    for name in own {
        headers.remove(name);
    }
}

fn is_claim(name: &str) -> bool {
    let read = with_hyphens(name);
    CLAIM_FAMILIES.iter().any(|family| read.starts_with(family))
        || CLAIMS.contains(&&*read)
        || (read != name && FRAMING.contains(&&*read))
}

/// Replaces every character but letters and digits with a hyphen, as lenient servers do. The name
/// is in lower case.
fn with_hyphens(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
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
    fn hop_by_hop_fields_are_removed() {
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
    fn fields_that_claim_to_come_from_callgate_or_a_proxy_are_removed() {
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
            ("x-forwarded", "1"),
            ("client-ip", "1"),
            ("true_client_ip", "1"),
            ("x-client_ip", "1"),
            ("x.client.ip", "1"),
            ("x_remote_addr", "1"),
            ("cf-connecting-ip", "1"),
            ("x-http-method", "1"),
            ("x-http-method-override", "1"),
            ("x_http_method_override", "1"),
            ("x-method-override", "1"),
            ("x_rewrite_url", "1"),
            ("x_original_url", "1"),
            ("content_length", "1"),
            ("transfer_encoding", "1"),
            ("content.encoding", "1"),
            ("content-length", "kept: it is made anew elsewhere"),
            ("content-encoding", "kept"),
            ("content_type", "kept"),
            ("x-method", "kept"),
            ("client-ip-hash", "kept"),
        ];
        assert_eq!(
            left(strip_claims, &pairs),
            [
                "client-ip-hash",
                "content-encoding",
                "content-length",
                "content_type",
                "forwarded-by",
                "proxy",
                "x-callgate",
                "x-forward",
                "x-method",
                "x-originality",
                "x-real-ipv6"
            ]
        );
        let told = [
            ("x-callgate-capability", "1"),
            ("x_callgate_session", "1"),
            ("x.callgate-otp", "1"),
            ("x-callgate", "kept"),
            ("x-forwarded-for", "kept: it is the upstream's word"),
        ];
        assert_eq!(left(strip_callgate, &told), ["x-callgate", "x-forwarded-for"]);
    }
}
