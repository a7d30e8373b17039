//! The target of a row: a function of a class, or an upstream that requests are forwarded to.

use std::ops::Range;

use url::Url;

use crate::base::limits::UPSTREAM_URL_BYTES_MAX;
use crate::table::advice;
use crate::table::check::Diagnostics;
use crate::table::fields::Fields;
use crate::table::problem::Flaw;

/// What handles the requests of a row (docs/CONTRACT.md §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A function of a singleton class.
    Function {
        /// The class; it may be dotted, such as `callgate.Accounts`.
        class: Box<str>,
        /// The function of the class. It has no dot.
        method: Box<str>,
    },
    /// An external program (docs/CONTRACT.md §7): the base URL under which requests are forwarded.
    /// Its scheme is `http` or `https`, and it has neither user, query nor fragment.
    Upstream(Box<Url>),
}

impl Target {
    /// The function of a name such as `DataStore.authentify`; the class may be dotted.
    pub(crate) fn of_name(name: &str) -> Self {
        let (class, method) = name.rsplit_once('.').unwrap_or(("", name));
        Self::Function { class: class.into(), method: method.into() }
    }

    /// Whether it is this function.
    pub(crate) fn is_function(&self, class: &str, function: &str) -> bool {
        match self {
            Self::Function { class: of, method } => **of == *class && **method == *function,
            Self::Upstream(_) => false,
        }
    }

    /// The name that tokens are bound to (`for`): `Class.method`, or the base URL as it is written
    /// in the table.
    pub(crate) fn name(&self, written: &str) -> Box<str> {
        match self {
            Self::Function { class, method } => format!("{class}.{method}").into(),
            Self::Upstream(_) => written.into(),
        }
    }
}

/// Reads the target of a row and its name.
pub(crate) fn read(
    notes: &mut Diagnostics<'_>,
    fields: &mut Fields<'_>,
    row: &Range<usize>,
) -> Option<(Target, Box<str>)> {
    let Some(value) = fields.take("forward") else {
        let target = function(notes, fields, row)?;
        let name = target.name("");
        return Some((target, name));
    };
    for name in ["class", "method"] {
        if let Some(value) = fields.take(name) {
            let what = format!("{name:?} beside \"forward\": only one of them can answer");
            notes.error(&value.span, Flaw::new("two-targets", what, "remove one of the two"));
        }
    }
    let read = value.text("forward").and_then(|text| Ok((upstream(text)?, text)));
    let (url, written) = notes.keep(&value.span, read)?;
    let target = Target::Upstream(Box::new(url));
    let name = target.name(written);
    Some((target, name))
}

fn function(
    notes: &mut Diagnostics<'_>,
    fields: &mut Fields<'_>,
    row: &Range<usize>,
) -> Option<Target> {
    let split = advice::missing_method(fields.peek("class"));
    let mut part = |name: &str, example: &str| {
        let Some(value) = fields.take(name) else {
            let what = format!("{name:?} is missing");
            let fix = format!("name what answers, such as \"{name}\": {example:?}");
            let fix = split.clone().filter(|_| name == "method").unwrap_or(fix);
            notes.error(row, Flaw::new("missing-property", what, fix));
            return None;
        };
        let read = value.text(name).and_then(|text| identifier(name, text));
        notes.keep(&value.span, read.map(Box::from))
    };
    let class = part("class", "RequestHandler");
    let method = part("method", "validateEmail");
    Some(Target::Function { class: class?, method: method? })
}

/// A class or method name. A class becomes a file name, so it must not contain a path.
pub(crate) fn identifier<'n>(property: &str, text: &'n str) -> Result<&'n str, Flaw> {
    let name = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'))
    };
    let dotted = property == "class";
    if name(text) || dotted && text.split('.').all(name) {
        return Ok(text);
    }
    let code = if dotted { "bad-class" } else { "bad-method" };
    let what = format!("{property} {text:?} is not a name");
    let bare = if dotted { advice::class_of_file(text) } else { advice::bare_name(text) };
    if let Some(bare) = bare {
        return Err(Flaw::new(code, what, format!("write the bare name: {bare:?}")));
    }
    let fix = match (text, dotted) {
        ("", true) => "write the name of the class",
        ("", false) => "write the name of the function",
        (_, true) => "use letters, digits, _ and $, with dots between the parts",
        (_, false) if text.split('.').all(name) => "write the part before the dot as \"class\"",
        (_, false) => "use letters, digits, _ and $",
    };
    Err(Flaw::new(code, what, fix))
}

/// The base URL of an upstream. Nothing of a request ever becomes part of its scheme, host or port
/// (docs/SECURITY.md T36).
fn upstream(text: &str) -> Result<Url, Flaw> {
    const SHAPE: &str = "write the base URL of the upstream, such as \"http://127.0.0.1:3000\"";
    let bad =
        |why: &str, fix: &str| Flaw::new("bad-forward", format!("forward {text:?} {why}"), fix);
    if text.len() > UPSTREAM_URL_BYTES_MAX {
        let what =
            format!("forward has {} bytes and may have {UPSTREAM_URL_BYTES_MAX}", text.len());
        return Err(Flaw::new("bad-forward", what, SHAPE));
    }
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let known = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    // The parser would ignore blanks, tabs and additional slashes, which a reader of the table
    // would not.
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if !plain || !known || rest.starts_with('/') {
        return Err(bad("is not an http or https URL", SHAPE));
    }
    let url = Url::parse(text).map_err(|error| bad(&format!("is not a URL: {error}"), SHAPE))?;
    if !url.username().is_empty() || url.password().is_some() {
        // The text is not quoted: it contains a password.
        let what = "forward has a user name or password in it".to_owned();
        return Err(Flaw::new(
            "bad-forward",
            what,
            "leave them out; who reads logs would see them",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("has a query or fragment", "end it with the path"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_a_plain_base_url() {
        for good in ["http://127.0.0.1:3000", "https://app.example/base/", "HTTP://[::1]:8/x%20y"] {
            assert!(upstream(good).is_ok(), "{good}");
        }
        let credentials = ["http://u@h/", "http://u:p@h/", "https://:p@h/"];
        for bad in credentials.into_iter().chain([
            "",
            "/x",
            "h:3000",
            "ftp://h/",
            "http://",
            "http:///x",
            "http:h",
            "http://h/?a",
            "http://h/#a",
            "http://h\\x",
            " http://h/",
            "http://h/ x",
            "http://h:99999/",
            "ht\ttp://h/",
            "javascript:x",
        ]) {
            assert_eq!(upstream(bad).unwrap_err().code, "bad-forward", "{bad}");
        }
        for text in credentials {
            assert!(!upstream(text).unwrap_err().what.contains('@'), "a password is not told");
        }
    }
}
