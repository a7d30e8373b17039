//! Patterns in the notation of another program: a URL, a pattern with a query, a glob, a
//! placeholder. Each warning shows how callgate writes it.

use crate::base::document::strays::is_invisible;
use crate::table::problem::Flaw;

/// Verbs that may be written in front of a path by mistake.
const VERBS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "ANY"];

/// Common names of path parameters in brackets, which an expression reads as a set of letters.
const PARAMETERS: [&str; 14] = [
    "id", "slug", "name", "token", "key", "uuid", "code", "user", "userId", "orderId", "order",
    "page", "path", "state",
];

/// Why a prefix does not mean what it says; the first reason found.
pub(crate) fn in_prefix(text: &str) -> Option<Flaw> {
    let named = |code, what: &str, fix: String| {
        Some(Flaw::new(code, format!("pattern {text:?} {what}"), fix))
    };
    if let Some(flaw) = in_any("pattern", text) {
        return Some(flaw);
    }
    if let Some((path, query)) = text.split_once('?') {
        let path = bare(path);
        let fix = match query {
            "" => format!("write {path:?}"),
            _ => format!("write {path:?}; {}", of_query(query)),
        };
        return named("pattern-query", "has a query, which patterns never see", fix);
    }
    if let Some(expression) = with_placeholders(text) {
        let fix = format!("write \"regexPattern\": {expression:?} instead");
        return named("pattern-placeholder", "has a placeholder, which is compared as text", fix);
    }
    if looks_like_an_expression(text) {
        let body = text.trim_start_matches('^').trim_start_matches('/');
        let fix = format!("write \"regexPattern\": {:?} instead", format!("/{body}"));
        return named("pattern-expression", "is compared as text, and no expression", fix);
    }
    if text.contains('*') {
        let stem = bare(text.split('*').next().unwrap_or_default());
        let ends = text.trim_end_matches('*').trim_end_matches('/').len() == stem.len();
        let fix = if ends && !stem.is_empty() && text.contains("/*") {
            format!("write {stem:?}: it fits everything below, too")
        } else {
            format!("write \"regexPattern\": {:?} instead", of_glob(text))
        };
        return named("pattern-glob", "has a \"*\", which is compared as text", fix);
    }
    let last = text.rsplit('/').find(|segment| !segment.is_empty()).unwrap_or_default();
    if let Some((stem, _)) = last.split_once(';') {
        let fix = format!("write {:?}", bare(&text.replacen(last, stem, 1)));
        let what = "has \";\", and parameters of the last segment are ignored for matching";
        return named("pattern-parameters", what, fix);
    }
    None
}

/// Why an expression does not mean what it says.
pub(crate) fn in_expression(text: &str) -> Option<Flaw> {
    let named = |code, what: &str, fix: String| {
        Some(Flaw::new(code, format!("regexPattern {text:?} {what}"), fix))
    };
    if let Some(flaw) = in_any("regexPattern", text) {
        return Some(flaw);
    }
    if let Some(inner) = delimited(text) {
        let fix = format!("write the expression alone: {inner:?}");
        return named("regex-delimited", "stands between slashes, as in JavaScript", fix);
    }
    if let Some((path, query)) = query_of(text) {
        let fix = format!("write {path:?}; {}", of_query(query));
        return named("pattern-query", "has a query, which patterns never see", fix);
    }
    if let Some(expression) = with_placeholders(text) {
        let fix = format!("write a named group: {expression:?}");
        return named("pattern-placeholder", "has a placeholder of another program", fix);
    }
    let star = text.match_indices("/*").find(|(at, _)| {
        let after = text.get(at + 2..).unwrap_or_default();
        !matches!(after, "$" | r"\z") && !after.starts_with('?') && !text[..*at].ends_with('\\')
    });
    if star.is_some() && !text.contains("**") {
        let fix = format!("write {:?}; this is an expression and no glob", of_glob(text));
        return named("regex-glob", "has \"/*\", which repeats the slash", fix);
    }
    let optional = text.strip_suffix('?').filter(|stem| {
        let last = stem.chars().next_back();
        let escaped = stem.get(..stem.len() - last.map_or(0, char::len_utf8));
        last.is_some_and(|c| c.is_alphanumeric() && c != 's')
            && !escaped.is_some_and(|text| text.ends_with('\\'))
    });
    if let Some(stem) = optional {
        let what = "ends with \"?\", which makes the letter before it optional";
        return named("pattern-query", what, format!("write {stem:?}"));
    }
    None
}

/// How to fix an expression that does not compile; none where the compiler's report is enough.
pub(crate) fn instead_of_invalid(text: &str) -> Option<String> {
    if let Some(inner) = delimited(text) {
        return Some(format!("write the expression alone: {inner:?}"));
    }
    if let Some(expression) = with_placeholders(text) {
        return Some(format!("write a named group: {expression:?}"));
    }
    let foreign = [
        (r"\Z", "write $ for the end of the path"),
        (r"\G", "leave it out: an expression begins where the path begins"),
        (r"\K", "name the part that you want: (?<part>…)"),
        (r"\h", r"write [ \\t] in JSON"),
        (r"\R", "leave it out: a path has no line ends"),
        (r"\Q", "put a backslash before each special character (two in JSON)"),
        ("(?>", "write (?:…): there is no backtracking that it would have to prevent"),
        ("(?|", "write (?:…|…)"),
        ("(?#", "leave the comment out; comments of the table begin with //"),
        ("(?'", "write (?<name>…) for a named group"),
        ("++", "write + alone: there is no backtracking that it would have to prevent"),
        ("*+", "write * alone: there is no backtracking that it would have to prevent"),
        ("?+", "write ? alone: there is no backtracking that it would have to prevent"),
    ];
    let found = foreign.iter().find(|(sign, _)| text.contains(sign));
    found.map(|(_, fix)| (*fix).to_owned())
}

/// What is wrong with either kind of pattern.
fn in_any(property: &str, text: &str) -> Option<Flaw> {
    let named = |code, what: String, fix: String| {
        Some(Flaw::new(code, format!("{property} {text:?} {what}"), fix))
    };
    if let Some((at, c)) = text.char_indices().find(|(_, c)| is_invisible(*c)) {
        let clean: String = text.chars().filter(|c| !is_invisible(*c)).collect();
        let what = format!("has an invisible character (U+{:04X})", u32::from(c));
        let flaw = named("pattern-invisible", what, format!("write {clean:?}"))?;
        return Some(Flaw { within: Some(at..at + c.len_utf8()), ..flaw });
    }
    if text.contains('\u{8}') {
        let fix = r"write \\b in JSON for the end of a word: \b alone is a backspace";
        return named("pattern-never-fits", "has a backspace".to_owned(), fix.to_owned());
    }
    let verb = text.split_once(' ').filter(|(verb, _)| VERBS.contains(verb));
    if let Some((verb, path)) = verb {
        let path = if property == "pattern" { bare(path.trim()) } else { path.trim() };
        let fix = format!("write {path:?}, and \"verbs\": {verb:?}");
        return named("pattern-verb", "begins with a verb".to_owned(), fix);
    }
    let flags =
        text.trim_start_matches('^').strip_prefix("(?").and_then(|rest| rest.split_once(')'));
    let flags = flags
        .map(|(flags, _)| flags)
        .filter(|flags| flags.bytes().all(|b| b.is_ascii_alphabetic()));
    let is_verbose = property == "regexPattern" && flags.is_some_and(|flags| flags.contains('x'));
    let trimmed = text.trim();
    let bare_ends = trimmed.trim_matches('/').trim();
    if is_verbose {
        // In verbose mode, blanks and text after # are ignored.
        return None;
    }
    if trimmed.len() < text.len() || bare_ends.len() < trimmed.trim_matches('/').len() {
        let clean = if property == "pattern" { bare_ends } else { trimmed };
        let fix = format!("write {clean:?}");
        return named("pattern-blanks", "has blanks at its ends".to_owned(), fix);
    }
    if let Some(path) = path_of_url(text) {
        let path = if property == "pattern" { bare(&path).to_owned() } else { path };
        let fix = format!("write the path alone: {path:?}");
        return named(
            "pattern-url",
            "is a whole URL, and patterns see the path only".to_owned(),
            fix,
        );
    }
    if let Some((path, _)) = text.split_once('#') {
        let fix = format!("write {path:?}: browsers never send what follows \"#\"");
        return named("pattern-fragment", "has a fragment".to_owned(), fix);
    }
    None
}

/// A path without slashes at its ends, as a prefix is written.
fn bare(path: &str) -> &str {
    path.trim_matches('/')
}

/// What to write instead of a query in a pattern.
fn of_query(query: &str) -> String {
    let name = query.split(['=', '&', '\\']).next().unwrap_or_default();
    let name = name.trim_start_matches(['(', '.', '*', '^']);
    if name.is_empty() || name.to_ascii_uppercase().contains("4DSID") {
        return "the token $4DSID is found in the query by itself".to_owned();
    }
    format!(
        "read {name} with request.urlQuery, or, if it brings the token, add \"otp\": {{ \"param\": \
         {name:?} }}"
    )
}

/// The path of a pattern that is a whole URL, or begins with a host and a port.
fn path_of_url(text: &str) -> Option<String> {
    let plain = text.trim_start_matches('^').replace(r"\.", ".").replace(r"\/", "/");
    let rest = ["https?://", "https://", "http://"].iter().find_map(|it| plain.strip_prefix(it));
    let after = if let Some(rest) = rest {
        rest.find('/').and_then(|at| rest.get(at..))
    } else {
        let (host, rest) = plain.split_once('/')?;
        let (name, port) = host.split_once(':')?;
        let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let in_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        if !is_port || name.is_empty() || !name.bytes().all(in_host) {
            return None;
        }
        plain.get(plain.len() - rest.len() - 1..)
    };
    let path = after.unwrap_or("/").split(['?', '#']).next().unwrap_or_default();
    Some(path.to_owned())
}

/// Whether a prefix is written as an expression.
fn looks_like_an_expression(text: &str) -> bool {
    let signs = [".*", ".+", r"\d", r"\w", r"\s", r"\.", "[^", "]+", "]*", ")?", "]{"];
    let is_choice = text.contains('(') && text.contains('|') && text.contains(')');
    text.starts_with('^')
        || text.ends_with('$')
        || is_choice
        || signs.iter().any(|sign| text.contains(sign))
}

/// The expression between slashes, without its flags; none without slashes.
fn delimited(text: &str) -> Option<String> {
    let inner = text.strip_prefix("/^")?;
    let (inner, flags) = match inner.rsplit_once('/') {
        Some((inner, flags)) if flags.bytes().all(|b| b"gimsuy".contains(&b)) => (inner, flags),
        _ => (inner, ""),
    };
    let inner = inner.replace(r"\/", "/");
    let case = if flags.contains('i') { "(?i)" } else { "" };
    Some(format!("{case}{inner}"))
}

/// The path and the query of an expression: after an escaped `?`, or after one that is followed by
/// a name and an equals sign.
fn query_of(text: &str) -> Option<(&str, &str)> {
    if let Some((path, query)) = text.split_once(r"\?") {
        return Some((path, query));
    }
    text.match_indices('?').find_map(|(at, _)| {
        let (path, query) = (text.get(..at)?, text.get(at + 1..)?);
        // (?i), (?:…), (?<name>…) and .*? are not queries.
        if path.is_empty() || path.ends_with(['(', '*', '+', '?', '}']) {
            return None;
        }
        let name = query.trim_start_matches('\\').split('=').next()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '-' | '%');
        let is_name = query.contains('=') && !name.is_empty() && name.chars().all(plain);
        is_name.then_some((path, query.trim_start_matches('\\')))
    })
}

/// The path as an expression with a named group for each placeholder of another program: `:id`,
/// `{id}`, `<id>`, `<int:id>`, `[id]`, `$id`. None without a placeholder.
fn with_placeholders(text: &str) -> Option<String> {
    let is_expression = text.starts_with(['/', '^']) && text.contains(['(', '\\', '+']);
    let mut found = false;
    let parts: Vec<String> = text
        .trim_start_matches('^')
        .trim_matches('/')
        .split('/')
        .enumerate()
        .map(|(at, segment)| match placeholder(segment, at) {
            Some((before, name, after)) => {
                found = true;
                let kept =
                    |part: &str| if is_expression { part.to_owned() } else { regex::escape(part) };
                format!("{}(?<{name}>[^/]+){}", kept(before), kept(after))
            }
            None if is_expression => segment.to_owned(),
            None => regex::escape(segment),
        })
        .collect();
    let end = if parts.last().is_some_and(|last| last.ends_with('$')) { "" } else { "$" };
    found.then(|| format!("/{}{end}", parts.join("/")))
}

/// The placeholder of a segment: the text before it, its name, and the text after it.
fn placeholder(segment: &str, at: usize) -> Option<(&str, String, &str)> {
    let word = |text: &str| {
        let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        first && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let enclosed = |open: char, close: char| {
        let (before, rest) = segment.split_once(open)?;
        let (inner, after) = rest.split_once(close)?;
        let inner = inner.trim_start_matches(['.', '*']).trim_end_matches(['?', '*']);
        // <int:id> and {id:int} include a type.
        let mut names = inner.split(':').filter(|part| word(part));
        let name = if open == '<' { names.next_back() } else { names.next() }?;
        Some((before, name.to_owned(), after))
    };
    if let Some(name) = segment.strip_prefix(':') {
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
        let (name, after) = name.split_at(end);
        let after = after.trim_start_matches(['?', '*', '+']);
        return word(name).then(|| ("", name.to_owned(), after));
    }
    if let Some(found) = enclosed('{', '}') {
        return Some(found);
    }
    // (?<name>…) is a group.
    if !segment.contains("(?")
        && let Some(found) = enclosed('<', '>')
    {
        return Some(found);
    }
    if let Some((before, name, after)) = enclosed('[', ']') {
        let spread = segment.contains("[...") || segment.starts_with("[[");
        if spread || before.is_empty() && after.is_empty() && PARAMETERS.contains(&&*name) {
            return Some((before.trim_end_matches('['), name, after.trim_start_matches(']')));
        }
    }
    // The first segment may be $lib, which belongs to 4D.
    let name = segment.strip_prefix('$').filter(|name| at > 0 && word(name))?;
    Some(("", name.to_owned(), ""))
}

/// A glob as an expression.
fn of_glob(text: &str) -> String {
    let text = text.trim_start_matches('^').trim_start_matches('/');
    let mut expression = String::from("/");
    let mut rest = text;
    while let Some(at) = rest.find('*') {
        let (before, after) = rest.split_at(at);
        expression.push_str(&escaped(before));
        let stars = after.len() - after.trim_start_matches('*').len();
        expression.push_str(if stars > 1 { ".+" } else { "[^/]+" });
        rest = after.get(stars..).unwrap_or_default();
    }
    expression.push_str(&escaped(rest.trim_end_matches('$')));
    if !rest.is_empty() || !expression.ends_with(".+") {
        expression.push('$');
    }
    expression
}

/// Escapes text of a pattern for an expression, whether or not its dots are escaped already.
fn escaped(text: &str) -> String {
    regex::escape(&text.replace(r"\.", ".").replace(r"\/", "/")).replace(r"\-", "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> (&'static str, String) {
        let flaw = in_prefix(text).unwrap_or_else(|| panic!("{text:?} is found to be fine"));
        (flaw.code, flaw.fix)
    }

    fn expression(text: &str) -> (&'static str, String) {
        let flaw = in_expression(text).unwrap_or_else(|| panic!("{text:?} is found to be fine"));
        (flaw.code, flaw.fix)
    }

    #[test]
    fn a_prefix_is_told_how_it_is_written_here() {
        for (text, code, way_out) in [
            ("paid?$4DSID=", "pattern-query", "\"paid\"; the token $4DSID is found"),
            ("paid?", "pattern-query", "write \"paid\""),
            ("/callback?state=x", "pattern-query", "{ \"param\": \"state\" }"),
            ("orders/:id", "pattern-placeholder", "\"/orders/(?<id>[^/]+)$\""),
            ("/orders/{id}/items/{item}", "pattern-placeholder", "items/(?<item>[^/]+)$"),
            ("orders/<int:id>", "pattern-placeholder", "(?<id>[^/]+)"),
            ("orders/[id]", "pattern-placeholder", "(?<id>[^/]+)"),
            ("docs/[...slug]", "pattern-placeholder", "(?<slug>[^/]+)"),
            ("posts/$postId", "pattern-placeholder", "(?<postId>[^/]+)"),
            ("orders/:id.json", "pattern-placeholder", r"(?<id>[^/]+)\\.json$"),
            ("/*.html", "pattern-glob", r#""/[^/]+\\.html$""#),
            ("docs/**", "pattern-glob", "write \"docs\""),
            ("docs/*", "pattern-glob", "write \"docs\""),
            ("docs/**/x", "pattern-glob", "\"/docs/.+/x$\""),
            ("paid ", "pattern-blanks", "write \"paid\""),
            (" /paid", "pattern-blanks", "write \"paid\""),
            ("/paid /", "pattern-blanks", "write \"paid\""),
            ("pa\u{200b}id", "pattern-invisible", "write \"paid\""),
            ("paid\u{a0}", "pattern-invisible", "write \"paid\""),
            ("\u{202e}paid", "pattern-invisible", "write \"paid\""),
            ("https://shop.example/paid", "pattern-url", "write the path alone: \"paid\""),
            ("localhost:8044/paid", "pattern-url", "\"paid\""),
            ("app/#/paid", "pattern-fragment", "never send"),
            ("^/paid$", "pattern-expression", "\"regexPattern\": \"/paid$\""),
            ("orders/[0-9]+", "pattern-expression", "\"/orders/[0-9]+\""),
            ("docs/.*", "pattern-expression", "\"/docs/.*\""),
            ("GET /paid", "pattern-verb", "\"paid\", and \"verbs\": \"GET\""),
            ("paid;jsessionid=1", "pattern-parameters", "write \"paid\""),
        ] {
            let (found, fix) = prefix(text);
            assert_eq!(found, code, "{text}: {fix}");
            assert!(fix.contains(way_out), "{text}: {fix}");
        }
    }

    #[test]
    fn an_expression_is_told_how_it_is_written_here() {
        for (text, code, way_out) in [
            ("/callback?state=.*", "pattern-query", "\"/callback\"; read state"),
            (r"/paid\?\$4DSID=.+", "pattern-query", "\"/paid\"; the token $4DSID"),
            (r"/paid?$4DSID=", "pattern-query", "\"/paid\""),
            ("/paid?", "pattern-query", "write \"/paid\""),
            ("/orders/:id", "pattern-placeholder", "\"/orders/(?<id>[^/]+)$\""),
            ("/orders/<id>", "pattern-placeholder", "(?<id>[^/]+)"),
            ("/orders/[id]", "pattern-placeholder", "(?<id>[^/]+)"),
            ("/*.html", "regex-glob", r#""/[^/]+\\.html$""#),
            ("/api/*", "regex-glob", "\"/api/[^/]+$\""),
            ("https://shop\\.example/paid", "pattern-url", "\"/paid\""),
            (r"/^\/paid$/i", "regex-delimited", "\"(?i)/paid$\""),
            ("/paid#top", "pattern-fragment", "\"/paid\""),
            (" /paid", "pattern-blanks", "\"/paid\""),
            ("/paid\u{feff}", "pattern-invisible", "\"/paid\""),
        ] {
            let (found, fix) = expression(text);
            assert_eq!(found, code, "{text}: {fix}");
            assert!(fix.contains(way_out), "{text}: {fix}");
        }
    }

    #[test]
    fn what_means_what_it_says_is_left_alone() {
        for text in [
            "paid",
            "docs/a b",
            "docs/invoices",
            "$lib/x",
            "a.b",
            "user@home",
            "100%",
            "v1:0",
            "a-b",
            "caf\u{e9}",
            ".well-known/x",
            "~user",
            "a+b",
            "matrix;v=1/x",
            "(draft)",
            "a[b",
        ] {
            assert_eq!(in_prefix(text), None, "{text}");
        }
        for text in [
            "/.*",
            "/.+",
            "/docs/.*?x",
            "^/sessions/?$",
            "/orders?",
            "/(?<id>[0-9]+)/x",
            "(?i)/a",
            "/a(?:b|c)?",
            "/[0-9a-f]{32}",
            "/a/*$",
            r"/\d+",
            "/[ab]",
            "/v:1",
            "(?x) /a # all\n",
            r"/orders/(?P<id>\w+)$",
            "/a{2}",
            "/user@x",
            "/a|/b",
        ] {
            assert_eq!(in_expression(text), None, "{text}");
        }
    }

    #[test]
    fn foreign_syntax_has_a_way_out() {
        for (text, way_out) in [
            ("/orders/{id}", "(?<id>[^/]+)"),
            (r"/paid\Z", "write $"),
            ("/(?>a)", "(?:…)"),
            ("/a++", "write + alone"),
            ("/(?'n'a)", "(?<name>…)"),
        ] {
            assert!(instead_of_invalid(text).unwrap().contains(way_out), "{text}");
        }
        assert_eq!(instead_of_invalid("/(?<!x)y"), None);
    }
}
