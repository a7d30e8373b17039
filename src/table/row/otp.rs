//! How a row treats the token of a request.

use crate::base::Confirm;
use crate::base::RestoreMode;
use crate::base::limits::QUERY_NAME_BYTES_MAX;
use crate::base::text::query::stays_on_this_site;
use crate::table::check::Diagnostics;
use crate::table::fields::Fields;
use crate::table::fields::wrong_type;
use crate::table::pattern::Pattern;
use crate::table::problem::Flaw;
use crate::table::problem::one_of;
use crate::table::raw::SpannedValue;
use crate::table::raw::ValueKind;
use crate::table::row::verbs::Verbs;

const PROPERTIES: [&str; 5] = ["param", "mode", "confirm", "strip", "onRefused"];

/// The property `otp` of a row (docs/CONTRACT.md §6.2, §6.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OtpRule {
    /// Where a token is read from, besides `$4DSID`.
    pub param: Option<TokenPlace>,
    /// How far a redeemed token lets its bearer in, unless the mint said otherwise.
    pub mode: RestoreMode,
    /// Whether a link that is opened with a GET needs a confirmation, unless the mint was stricter.
    pub confirm: Confirm,
    /// Whether the response to a redemption is a 303 to the same URL without the token.
    pub strip: bool,
    /// What happens when the token is refused.
    pub on_refused: OnRefused,
    /// Whether the handler runs despite a refused token if the browser is signed in: then another
    /// tab has already reached the page of the link.
    pub unless_signed_in: bool,
}

/// Where a row reads a token from, besides `$4DSID` (docs/CONTRACT.md §6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenPlace {
    /// A parameter of the query or of a form, such as `state`.
    Param(String),
    /// `path:token`: a named group of the row's `regexPattern`.
    Path(String),
    /// `header:X-State`: a header field, in lower case.
    Header(String),
    /// `json:/metadata/token`: a string in a JSON body (RFC 6901).
    Json(String),
}

/// The response to a request whose token is used, expired, unknown or for another row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OnRefused {
    /// The handler runs all the same, in the session of the request's cookie.
    #[default]
    Continue,
    /// This status, from 400 to 599.
    Status(u16),
    /// A 303 to this path of the same origin.
    Redirect(String),
}

/// Reads the property `otp`. Invalid values are reported and left at their defaults.
pub(crate) fn read(notes: &mut Diagnostics<'_>, value: SpannedValue<'_>) -> OtpRule {
    let span = value.span.clone();
    let Some(mut fields) = notes.keep(&span, Fields::of(value, "otp")) else {
        return OtpRule::default();
    };
    let mut rule = OtpRule::default();
    if let Some(value) = fields.take("param") {
        rule.param = notes.keep(&value.span, param(&value));
    }
    if let Some(value) = fields.take("mode") {
        rule.mode = notes.keep(&value.span, mode(&value)).unwrap_or_default();
    }
    if let Some(value) = fields.take("confirm") {
        rule.confirm = notes.keep(&value.span, confirm(&value)).unwrap_or_default();
    }
    if let Some(value) = fields.take("strip") {
        rule.strip = notes.keep(&value.span, value.flag("otp.strip")).unwrap_or_default();
    }
    if let Some(value) = fields.take("onRefused") {
        (rule.on_refused, rule.unless_signed_in) = on_refused(notes, value);
    }
    notes.unknown(fields, "otp.", &PROPERTIES);
    rule
}

fn param(value: &SpannedValue<'_>) -> Result<TokenPlace, Flaw> {
    let text = value.text("otp.param")?;
    let bad = |what: String, fix: &str| Flaw::new("bad-otp-param", what, fix);
    if text.len() > QUERY_NAME_BYTES_MAX {
        let what =
            format!("otp.param has {} bytes and may have {QUERY_NAME_BYTES_MAX}", text.len());
        return Err(bad(what, "choose a shorter name, such as \"state\""));
    }
    match text.split_once(':') {
        Some(("path", group)) if is_group(group) => Ok(TokenPlace::Path(group.to_owned())),
        Some(("path", _)) => Err(bad(
            format!("otp.param {text:?} names no group of a regexPattern"),
            "write \"path:\" and the name of the group, such as \"path:token\" for (?<token>[^/]+)",
        )),
        Some(("header", name)) => header(name).map(TokenPlace::Header),
        Some(("json", pointer)) if is_pointer(pointer) => Ok(TokenPlace::Json(pointer.to_owned())),
        Some(("json", _)) => Err(bad(
            format!("otp.param {text:?} is no JSON pointer (RFC 6901)"),
            "begin it with a slash, such as \"json:/metadata/token\"",
        )),
        Some((kind, rest))
            if ["path", "header", "json"].iter().any(|it| it.eq_ignore_ascii_case(kind.trim())) =>
        {
            let kind = kind.trim().to_ascii_lowercase();
            let fix = format!("write \"{kind}:{}\"", rest.trim());
            Err(bad(format!("otp.param {text:?} is misspelt"), &fix))
        }
        _ => parameter(text).map(TokenPlace::Param),
    }
}

/// The name of a query or form parameter.
fn parameter(name: &str) -> Result<String, Flaw> {
    // $4DSID is always read. As a row's own parameter it would be read twice.
    if name.eq_ignore_ascii_case("$4DSID") {
        return Err(Flaw::new(
            "bad-otp-param",
            format!("otp.param {name:?} is always looked for"),
            "leave param out, or name another parameter such as \"state\"",
        ));
    }
    let plain = |b: u8| b.is_ascii_graphic() && !b"&=+%#?'\"<>\\".contains(&b);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(Flaw::new(
            "bad-otp-param",
            format!("otp.param {name:?} is not the name of a query parameter"),
            "write the name alone, such as \"state\"",
        ));
    }
    Ok(name.to_owned())
}

/// The name of a header field that can carry a token: an application's own, not one that HTTP
/// defines.
fn header(name: &str) -> Result<String, Flaw> {
    const TAKEN: [&str; 16] = [
        "accept",
        "accept-encoding",
        "accept-language",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "date",
        "expect",
        "forwarded",
        "host",
        "origin",
        "referer",
        "transfer-encoding",
        "user-agent",
    ];
    let lower = name.to_ascii_lowercase();
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let is_own = lower.starts_with("sec-") || lower.starts_with("x-callgate-");
    if name.is_empty() || !name.bytes().all(is_token) || is_own || TAKEN.contains(&&*lower) {
        return Err(Flaw::new(
            "bad-otp-param",
            format!("otp.param \"header:{name}\" names no header that can bring a token"),
            "name a header of the sender's own, such as \"header:X-State\"",
        ));
    }
    Ok(lower)
}

fn is_group(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether the text is a JSON pointer to something within the body (RFC 6901 §3).
fn is_pointer(text: &str) -> bool {
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.starts_with('/') && escapes && !text.chars().any(char::is_control)
}

/// Warns about a row that asks for confirmation and takes forms as well: a form is submitted
/// without one.
pub(crate) fn unasked_posts(rule: &OtpRule, verbs: &Verbs) -> Option<Flaw> {
    (rule.confirm > Confirm::Never && verbs.allows("POST")).then(|| {
        Flaw::new(
            "confirm-post",
            "otp.confirm asks nobody about a POST, which this row takes too",
            "write \"verbs\": \"GET\", and give POST a row of its own if it is needed",
        )
    })
}

/// Reports a group that the pattern does not have; `None` if it does.
pub(crate) fn missing_group(rule: &OtpRule, pattern: &Pattern) -> Option<Flaw> {
    let Some(TokenPlace::Path(group)) = &rule.param else { return None };
    (!pattern.has_group(group)).then(|| {
        Flaw::new(
            "bad-otp-param",
            format!("otp.param \"path:{group}\" names a group that the pattern does not have"),
            format!("write a regexPattern with it, such as \"^/paid/(?<{group}>[^/]+)$\""),
        )
    })
}

fn mode(value: &SpannedValue<'_>) -> Result<RestoreMode, Flaw> {
    let name = value.text("otp.mode")?;
    name.parse().map_err(|_| {
        let names = RestoreMode::NAMES.map(|(name, _)| name);
        Flaw::new(
            "unknown-mode",
            format!("unknown restore mode {name:?}"),
            format!("use {}", one_of(&names)),
        )
    })
}

fn confirm(value: &SpannedValue<'_>) -> Result<Confirm, Flaw> {
    let name = value.text("otp.confirm")?;
    name.parse().map_err(|_| {
        let names = Confirm::NAMES.map(|(name, _)| name);
        Flaw::new(
            "unknown-confirm",
            format!("unknown otp.confirm {name:?}"),
            format!("use {}", one_of(&names)),
        )
    })
}

fn on_refused(notes: &mut Diagnostics<'_>, value: SpannedValue<'_>) -> (OnRefused, bool) {
    const SHAPES: &str = "write \"continue\", {\"status\": 403} or {\"redirect\": \"/expired\"}";
    let span = value.span.clone();
    if let ValueKind::Text(text) = &value.kind {
        if text != "continue" {
            let what = format!("unknown otp.onRefused {text:?}");
            notes.error(&span, Flaw::new("bad-on-refused", what, SHAPES));
        }
        return (OnRefused::Continue, false);
    }
    if !matches!(value.kind, ValueKind::Object(_)) {
        let flaw = wrong_type("otp.onRefused", SHAPES, &value.kind);
        notes.error(&span, Flaw { fix: SHAPES.to_owned(), ..flaw });
        return (OnRefused::Continue, false);
    }
    let Some(mut fields) = notes.keep(&span, Fields::of(value, "otp.onRefused")) else {
        return (OnRefused::Continue, false);
    };
    let status = fields.take("status");
    let redirect = fields.take("redirect");
    let unless_signed_in = fields
        .take("unlessSignedIn")
        .and_then(|value| notes.keep(&value.span, value.flag("otp.onRefused.unlessSignedIn")));
    notes.unknown(fields, "otp.onRefused.", &["status", "redirect", "unlessSignedIn"]);
    let on_refused = match (status, redirect) {
        (Some(value), None) => notes.keep(&value.span, self::status(&value)).unwrap_or_default(),
        (None, Some(value)) => notes.keep(&value.span, self::redirect(&value)).unwrap_or_default(),
        (Some(_), Some(_)) => {
            let what = "otp.onRefused has both \"status\" and \"redirect\"";
            notes.error(&span, Flaw::new("bad-on-refused", what, "keep one of the two"));
            OnRefused::Continue
        }
        (None, None) => {
            let what = "otp.onRefused has neither \"status\" nor \"redirect\"";
            notes.error(&span, Flaw::new("bad-on-refused", what, SHAPES));
            OnRefused::Continue
        }
    };
    (on_refused, unless_signed_in.unwrap_or_default())
}

fn status(value: &SpannedValue<'_>) -> Result<OnRefused, Flaw> {
    let status = value.integer("otp.onRefused.status", 400, 599)?;
    Ok(OnRefused::Status(u16::try_from(status).unwrap_or(403)))
}

fn redirect(value: &SpannedValue<'_>) -> Result<OnRefused, Flaw> {
    let path = path_of_this_site("otp.onRefused.redirect", value)?;
    Ok(OnRefused::Redirect(path.to_owned()))
}

/// A path of the same origin.
pub(crate) fn path_of_this_site<'v>(
    property: &str,
    value: &'v SpannedValue<'_>,
) -> Result<&'v str, Flaw> {
    let path = value.text(property)?;
    if stays_on_this_site(path) {
        return Ok(path);
    }
    Err(Flaw::new(
        "bad-redirect",
        format!("{property} {path:?} is not a path of this site"),
        "begin it with one slash and percent-encode blanks and letters beyond ASCII",
    ))
}
