//! The token of a request, wherever its row lets it stand (docs/CONTRACT.md §6.2).

use std::fmt::Write as _;
use std::ops::Range;

use hyper::HeaderMap;
use hyper::Method;
use hyper::Uri;
use hyper::header;
use hyper::http::request::Parts as Head;
use serde_json::Value;

use crate::base::limits::FORM_FIELDS_MAX;
use crate::base::limits::JSON_DEPTH_MAX;
use crate::http::message::incoming::nesting;
use crate::http::message::parse::form::is_urlencoded;
use crate::http::message::parse::multipart;
use crate::table::CanonicalPath;
use crate::table::Row;
use crate::table::TokenPlace;
use crate::token::TokenSecret;
use crate::token::text::Segment;
use crate::token::text::TOKEN_KEY;
use crate::token::text::brings_token;
use crate::token::text::decoded;
use crate::token::text::is_name;
use crate::token::text::name_and_value;
use crate::token::text::segments;
use crate::token::text::token_in;

/// What stands in the places of a request where a token may stand.
#[derive(Debug, Clone, Default)]
pub(crate) enum Brought {
    /// Nothing.
    #[default]
    Nothing,
    /// Something under the reserved key that cannot be a token.
    Garbage,
    /// Something else in the row's own place, which may carry other things than tokens.
    Other,
    /// One token, however often it stands there.
    Token(TokenSecret),
    /// Several values: it is unknown which one is meant, so none is touched.
    Several,
}

/// What a request consists of, as far as a token may stand in it.
#[derive(Clone, Copy)]
pub(crate) struct Places<'r> {
    pub(crate) head: &'r Head,
    pub(crate) path: &'r CanonicalPath,
    pub(crate) body: &'r [u8],
}

impl Brought {
    /// Looks for the token of a request to a row.
    pub(crate) fn find(request: Places<'_>, row: &Row) -> Self {
        let Head { method, uri, headers, .. } = request.head;
        let mut values = Values::default();
        let place = row.otp().param.as_ref();
        values.read_query(uri.query().unwrap_or(""), place);
        // What a GET carries as its body means nothing (RFC 9110 §9.3.1).
        let body = if *method == Method::GET { &[] } else { request.body };
        match place {
            None => {}
            Some(TokenPlace::Param(name)) => values.read_form(headers, body, name),
            Some(TokenPlace::Path(group)) => {
                let params = row.params(request.path);
                let caught = params.iter().filter(|(name, _)| name == group);
                caught.for_each(|(_, value)| values.own(value));
            }
            Some(TokenPlace::Header(name)) => {
                let fields = headers.get_all(&**name).iter();
                fields.for_each(|value| values.own(&String::from_utf8_lossy(value.as_bytes())));
            }
            Some(TokenPlace::Json(pointer)) => values.read_json(body, pointer),
        }
        values.decide()
    }

    /// Looks for a token in a query alone.
    pub(crate) fn in_query(raw: &str, place: Option<&TokenPlace>) -> Self {
        let mut values = Values::default();
        values.read_query(raw, place);
        values.decide()
    }
}

/// The values that stand where a token may stand.
#[derive(Default)]
struct Values {
    reserved: Vec<FoundValue>,
    own: Vec<FoundValue>,
}

enum FoundValue {
    Token(TokenSecret),
    Text(String),
}

impl Values {
    fn read_query(&mut self, raw: &str, place: Option<&TokenPlace>) {
        for Segment { text, .. } in segments(raw) {
            let (name, value) = name_and_value(text);
            if is_name(&name, TOKEN_KEY) {
                self.reserved.push(FoundValue::of(&value));
            } else if is_own(&name, place) {
                self.own(&value);
            }
        }
    }

    fn read_form(&mut self, headers: &HeaderMap, body: &[u8], wanted: &str) {
        let Some(kind) = content_type(headers) else { return };
        if is_urlencoded(kind) {
            let text = String::from_utf8_lossy(body);
            for part in text.split('&') {
                let (name, value) = name_and_value(part);
                if is_name(&name, wanted) {
                    self.own(&value);
                }
            }
        } else {
            for part in multipart::parts(kind, body) {
                if part.name.as_deref().is_some_and(|name| is_name(name, wanted)) {
                    self.own(&String::from_utf8_lossy(part.content));
                }
            }
        }
    }

    fn read_json(&mut self, body: &[u8], pointer: &str) {
        if let Some(Value::String(text)) =
            json(body).as_ref().and_then(|json| json.pointer(pointer))
        {
            self.own(text);
        }
    }

    /// A row's own place may be left empty, which says nothing.
    fn own(&mut self, value: &str) {
        if !value.is_empty() {
            self.own.push(FoundValue::of(value));
        }
    }

    fn decide(self) -> Brought {
        let is_ambiguous = |values: &[FoundValue]| {
            values.split_first().is_some_and(|(first, rest)| rest.iter().any(|it| !it.is(first)))
        };
        let has_token =
            |values: &[FoundValue]| values.iter().any(|it| matches!(it, FoundValue::Token(_)));
        let tokens = has_token(&self.reserved) || has_token(&self.own);
        // A row's own place may carry several other things; the reserved key may not.
        if is_ambiguous(&self.reserved) || (has_token(&self.own) && is_ambiguous(&self.own)) {
            return Brought::Several;
        }
        let own = self.own.into_iter().next();
        match (self.reserved.into_iter().next(), own) {
            (None, None) => Brought::Nothing,
            (None, Some(FoundValue::Text(_))) => Brought::Other,
            (Some(FoundValue::Text(_)), _) if !tokens => Brought::Garbage,
            (Some(one @ FoundValue::Token(_)), Some(other @ FoundValue::Token(_)))
                if !one.is(&other) =>
            {
                Brought::Several
            }
            (Some(FoundValue::Token(secret)), _) | (None, Some(FoundValue::Token(secret))) => {
                Brought::Token(secret)
            }
            // Something else under the reserved key, beside a token in the row's own place.
            (Some(FoundValue::Text(_)), _) => Brought::Several,
        }
    }
}

impl FoundValue {
    fn of(value: &str) -> Self {
        token_in(value).map_or_else(|| Self::Text(value.to_owned()), Self::Token)
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Token(one), Self::Token(other)) => one.is(other),
            (Self::Text(one), Self::Text(other)) => one == other,
            _ => false,
        }
    }
}

fn is_own(name: &str, place: Option<&TokenPlace>) -> bool {
    matches!(place, Some(TokenPlace::Param(own)) if is_name(name, own))
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
}

fn json(body: &[u8]) -> Option<Value> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    (nesting(body) <= JSON_DEPTH_MAX).then(|| serde_json::from_slice(body).ok()).flatten()
}

/// Whether a form has more fields than a handler could read. It is refused while its token is
/// unspent.
pub(crate) fn has_too_many_fields(headers: &HeaderMap, body: &[u8]) -> bool {
    let Some(kind) = content_type(headers) else { return false };
    let fields = if is_urlencoded(kind) {
        body.split(|byte| *byte == b'&').filter(|part| !part.is_empty()).count()
    } else {
        multipart::parts(kind, body).len()
    };
    fields > FORM_FIELDS_MAX
}

/// Whether the token of a request may stand in its body, for a row that looks there.
pub(crate) fn may_be_in_body(place: Option<&TokenPlace>, headers: &HeaderMap) -> bool {
    match place {
        Some(TokenPlace::Param(_)) => {
            let kind = content_type(headers);
            kind.is_some_and(|kind| is_urlencoded(kind) || multipart::boundary(kind).is_some())
        }
        Some(TokenPlace::Json(_)) => true,
        Some(TokenPlace::Path(_) | TokenPlace::Header(_)) | None => false,
    }
}

/// Whether the token of a request stands in a header field, and nowhere in its address.
pub(crate) fn is_in_header(head: &Head, row: &Row) -> bool {
    let Some(TokenPlace::Header(name)) = &row.otp().param else { return false };
    head.headers.contains_key(&**name) && !brings_token(head.uri.query().unwrap_or(""))
}

/// Whether a text that is no query may hold one that brings something under the reserved key.
pub(crate) fn names_token(text: &str) -> bool {
    let names = |text: &str| text.to_ascii_lowercase().contains("$4dsid");
    names(text) || (text.contains('%') && names(&decoded(text)))
}

/// A raw query without the parameters under which a token came.
pub(crate) fn without_token(raw: &str, place: Option<&TokenPlace>) -> String {
    let mut kept = String::with_capacity(raw.len());
    let mut is_first = true;
    for part in segments(raw).filter(|part| !brings(part.text, place)) {
        if !std::mem::take(&mut is_first) {
            kept.push(part.separator);
        }
        kept.push_str(part.text);
    }
    kept
}

/// The path of a request as a browser may be sent to it. It begins with a single slash: `//a/b`
/// would be another site (RFC 3986 §4.2).
pub(crate) fn path_on_this_site(uri: &Uri) -> String {
    format!("/{}", uri.path().trim_start_matches('/'))
}

/// The address of a request without its token, on this site.
pub(crate) fn target_without_token(uri: &Uri, place: Option<&TokenPlace>) -> String {
    let rest = without_token(uri.query().unwrap_or(""), place);
    let path = path_on_this_site(uri);
    if rest.is_empty() { path } else { format!("{path}?{rest}") }
}

/// The parameters of a raw query but for the token, in one form for all their spellings.
pub(crate) fn canonical_rest(raw: &str, place: Option<&TokenPlace>) -> String {
    let rest = segments(raw).filter(|part| !part.text.is_empty() && !brings(part.text, place));
    let mut canonical = String::new();
    for (name, value) in rest.map(|part| name_and_value(part.text)) {
        // The quotes keep a=b&c apart from a value that has them. Writing to a text cannot fail.
        let _ = write!(canonical, "{name:?}={value:?}&");
    }
    canonical
}

/// The one parameter of a raw query that brings the token.
pub(crate) struct TokenPart<'q> {
    /// Name and value, as they were written.
    pub(crate) text: &'q str,
    /// How many parts stand before it in the rest.
    pub(crate) at: usize,
    /// The query without tokens; `None` if there is nothing else in it.
    pub(crate) rest: Option<String>,
}

/// The parameter that brings the one token of a query; `None` if there is none.
pub(crate) fn token_part<'q>(raw: &'q str, place: Option<&TokenPlace>) -> Option<TokenPart<'q>> {
    let mut at = 0;
    for part in segments(raw) {
        if brings(part.text, place) {
            let has_rest = segments(raw).any(|other| !brings(other.text, place));
            let rest = has_rest.then(|| without_token(raw, place));
            return Some(TokenPart { text: part.text, at, rest });
        }
        // Whoever splits the rest at `&` does not see what a second `?` separates.
        at += usize::from(part.separator == '&' || at == 0);
    }
    None
}

/// The token of one parameter, name and value.
pub(crate) fn token_of(part: &str) -> Option<TokenSecret> {
    token_in(&name_and_value(part).1)
}

fn brings(part: &str, place: Option<&TokenPlace>) -> bool {
    let (name, value) = name_and_value(part);
    is_name(&name, TOKEN_KEY) || (is_own(&name, place) && token_in(&value).is_some())
}

/// A body without the field of the token, and without other fields with the same token; any other
/// body as it is.
pub(crate) fn body_without_token(
    place: Option<&TokenPlace>,
    headers: &HeaderMap,
    body: &[u8],
) -> Option<Vec<u8>> {
    match place {
        Some(TokenPlace::Param(name)) => {
            let kind = content_type(headers)?;
            if is_urlencoded(kind) {
                let fields = || body.split(|byte| *byte == b'&');
                let read = |part: &[u8]| {
                    let part = String::from_utf8_lossy(part);
                    let (name, value) = name_and_value(&part);
                    (name.into_owned(), token_in(&value))
                };
                let token =
                    fields().map(read).find_map(|it| is_name(&it.0, name).then_some(it.1)?);
                let Some(token) = token else { return Some(body.to_vec()) };
                let kept = fields().filter(|part| !read(part).1.is_some_and(|it| it.is(&token)));
                return Some(kept.collect::<Vec<_>>().join(&b'&'));
            }
            let parts = multipart::parts(kind, body);
            let read =
                |part: &multipart::FormPart<'_>| token_in(&String::from_utf8_lossy(part.content));
            let is_own = |part: &&multipart::FormPart<'_>| {
                part.name.as_deref().is_some_and(|own| is_name(own, name))
            };
            let Some(token) = parts.iter().filter(is_own).find_map(read) else {
                return Some(body.to_vec());
            };
            let cut = parts.into_iter().filter(|part| read(part).is_some_and(|it| it.is(&token)));
            Some(without(body, cut.map(|part| part.whole)))
        }
        Some(TokenPlace::Json(pointer)) => json_without_token(body, pointer),
        Some(TokenPlace::Path(_) | TokenPlace::Header(_)) | None => None,
    }
}

/// A JSON body with an empty text in the place of the token, and wherever else it stands; `None` if
/// no token stands in its place.
///
/// The digits are taken out where they stand, so that everything else stays as it was written. Only
/// where they are written in several ways is the body written anew.
fn json_without_token(body: &[u8], pointer: &str) -> Option<Vec<u8>> {
    let mut whole = json(body)?;
    let text = whole.pointer(pointer)?.as_str()?.to_owned();
    let token = token_in(&text)?;
    blank(&mut whole, &token);
    let written = serde_json::to_string(&text).ok()?;
    let plain = std::str::from_utf8(body).ok().map(|body| body.replace(&written, "\"\""));
    let is_gone = |plain: &String| json(plain.as_bytes()).is_some_and(|plain| plain == whole);
    match plain.filter(is_gone) {
        Some(plain) => Some(plain.into_bytes()),
        None => serde_json::to_vec(&whole).ok(),
    }
}

/// Empties every string that is this token. The depth of the document is bounded.
fn blank(value: &mut Value, token: &TokenSecret) {
    match value {
        Value::String(text) if token_in(text).is_some_and(|it| it.is(token)) => text.clear(),
        Value::Array(items) => items.iter_mut().for_each(|item| blank(item, token)),
        Value::Object(fields) => fields.values_mut().for_each(|field| blank(field, token)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A path without its token, as an upstream may see it; `None` if it has none.
pub(crate) fn path_without_token(row: &Row, path: &CanonicalPath) -> Option<CanonicalPath> {
    let Some(TokenPlace::Path(group)) = &row.otp().param else { return None };
    let caught = row.params(path).into_iter().find(|(name, _)| name == group);
    token_in(&caught?.1)?;
    row.without_group(path, group)
}

/// The bytes that are in none of these ranges, which are in their order.
fn without(bytes: &[u8], ranges: impl Iterator<Item = Range<usize>>) -> Vec<u8> {
    let (mut kept, mut from) = (Vec::with_capacity(bytes.len()), 0);
    for range in ranges {
        kept.extend_from_slice(bytes.get(from..range.start).unwrap_or_default());
        from = range.end;
    }
    kept.extend_from_slice(bytes.get(from..).unwrap_or_default());
    kept
}
