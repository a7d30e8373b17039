//! Explains, row by row, how the table handles a request.

use std::fmt;

use serde::Serialize;

use super::Lookup;
use super::Table;
use super::path::BadPath;
use super::path::BasePath;
use super::path::CanonicalPath;
use super::path::Reserved;
use super::pattern::Pattern;
use super::row::Row;
use crate::table::row::target::Target;
use crate::table::row::verbs::is_implemented;
use crate::table::row::verbs::is_token;

/// The outcome of one row for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The row, counted from 1.
    pub row: usize,
    /// Whether pattern and verb both match. The first hit handles the request.
    pub hit: bool,
    /// The reason, as a sentence without a full stop.
    pub why: String,
}

/// How a request is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Resolution {
    /// By a row.
    Row,
    /// 404: no pattern matches, or the path lies outside the base path.
    NotFound,
    /// 405: patterns match, but no row has the verb. `OPTIONS` gets 204 instead.
    MethodNotAllowed,
    /// 400: the path is ambiguous.
    BadPath,
    /// By a built-in part of callgate; the table is not consulted.
    Reserved,
    /// 501: callgate does not pass on the method, such as `TRACE` or `get`.
    NotImplemented,
    /// 414: path and query are longer than the settings allow.
    TargetTooLong,
    /// 400: the method is not one of HTTP, or the query has several tokens or too many parameters.
    BadRequest,
}

/// How one request is handled, and the steps of the decision.
///
/// Serialized it has the shape of docs/CONTRACT.md §2; `Display` is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// How the request is handled.
    pub answer: Resolution,
    /// The row that handles it, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<usize>,
    /// The class of that row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The method of that row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The base URL that the row forwards to, instead of class and method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<String>,
    /// The verbs of the header `Allow`, for [`Resolution::MethodNotAllowed`] only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// Every row of the table. Where the table is not consulted, each step says why.
    pub rows: Vec<Step>,
    /// The verb of the request.
    #[serde(skip)]
    pub verb: String,
    /// What was matched, or why nothing was.
    #[serde(skip)]
    pub reason: String,
}

/// Explains how the server would handle a request.
///
/// `target` may be absolute, such as `http://host/x?y`, or a path with or without query. Query and
/// fragment do not take part in matching.
pub fn explain(table: &Table, verb: &str, target: &str, base_path: &BasePath) -> Explanation {
    if !is_token(verb) {
        let reason = format!("{verb:?} is no method of HTTP");
        return not_asked(table, verb, (Resolution::BadRequest, reason));
    }
    if !is_implemented(verb) {
        return not_asked(table, verb, (Resolution::NotImplemented, not_implemented(verb)));
    }
    if verb == "OPTIONS" && target == "*" {
        let reason = "OPTIONS * asks about the server as a whole and is answered 204".to_owned();
        return not_asked(table, verb, (Resolution::Reserved, reason));
    }
    match CanonicalPath::of(path_of(target), base_path) {
        Err(BadPath::OutsideMount) => {
            let reason = format!("the path lies outside the base path {:?}", base_path.as_str());
            not_asked(table, verb, (Resolution::NotFound, reason))
        }
        Err(bad) => not_asked(table, verb, (Resolution::BadPath, bad.to_string())),
        Ok(path) => match path.reserved() {
            Some(part) => not_asked(table, verb, (Resolution::Reserved, reserved(part))),
            None => asked(table, verb, &path),
        },
    }
}

fn not_implemented(verb: &str) -> String {
    let upper = verb.to_ascii_uppercase();
    if upper != verb && is_implemented(&upper) {
        return format!("methods are upper case ({upper}); callgate answers {verb} with 501");
    }
    format!("callgate hands {verb} on to no row")
}

impl Explanation {
    /// The same request, handled before any row is found: no row counts as a hit any more.
    #[must_use]
    pub fn refused(self, answer: Resolution, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        let step = |step: Step| Step { hit: false, why: reason.clone(), ..step };
        let rows = self.rows.into_iter().map(step).collect();
        Self { rows, reason, ..empty(answer, &self.verb) }
    }
}

/// The path of a request target or URL, not decoded.
fn path_of(target: &str) -> &str {
    let lower = target.get(..8).unwrap_or(target).to_ascii_lowercase();
    let scheme = ["http://", "https://"].into_iter().find(|scheme| lower.starts_with(scheme));
    let local = match scheme {
        None => target,
        Some(scheme) => {
            let rest = target.get(scheme.len()..).unwrap_or_default();
            let path = rest.find(['/', '?', '#']).and_then(|at| rest.get(at..)).unwrap_or_default();
            // The path of `http://host` and `http://host?x` is `/` (RFC 9112 §3.2.1).
            if path.starts_with('/') { path } else { "/" }
        }
    };
    local.split(['?', '#']).next().unwrap_or_default()
}

fn reserved(part: Reserved) -> String {
    format!("callgate answers {part} itself; such paths never reach the table")
}

fn not_asked(table: &Table, verb: &str, (answer, reason): (Resolution, String)) -> Explanation {
    let step = |row: &Row| Step { row: row.number(), hit: false, why: reason.clone() };
    let rows = table.rows().iter().map(step).collect();
    Explanation { rows, reason, ..empty(answer, verb) }
}

fn asked(table: &Table, verb: &str, path: &CanonicalPath) -> Explanation {
    let found = table.find(verb, path);
    let answer = match &found {
        Lookup::Row(_) => Resolution::Row,
        Lookup::NoSuchPath => Resolution::NotFound,
        Lookup::VerbNotAllowed(_) => Resolution::MethodNotAllowed,
    };
    let mut explanation = empty(answer, verb);
    match &found {
        Lookup::Row(row) => {
            explanation.row = Some(row.number());
            match row.target() {
                Target::Function { class, method } => {
                    explanation.class = Some(class.to_string());
                    explanation.method = Some(method.to_string());
                }
                Target::Upstream(_) => explanation.forward = Some(row.name().to_owned()),
            }
        }
        Lookup::VerbNotAllowed(allow) => {
            explanation.allow = Some(allow.iter().map(str::to_owned).collect());
        }
        Lookup::NoSuchPath => {}
    }
    explanation.rows = steps(table, verb, path);
    explanation.reason = format!("matched path {:?}", path.as_str());
    explanation
}

fn empty(answer: Resolution, verb: &str) -> Explanation {
    Explanation {
        answer,
        row: None,
        class: None,
        method: None,
        forward: None,
        allow: None,
        rows: Vec::new(),
        verb: verb.to_owned(),
        reason: String::new(),
    }
}

/// One step per row, each row matched by itself.
pub(super) fn steps(table: &Table, verb: &str, path: &CanonicalPath) -> Vec<Step> {
    let mut first_hit = None;
    let step = |row: &Row| {
        let pattern = row.pattern();
        let (hit, why) = if !pattern.fits(path) {
            (false, format!("{pattern} does not fit{}", near_miss(pattern, path)))
        } else if !row.verbs().allows(verb) {
            (false, format!("{pattern} fits, but the verbs are {}", row.verbs()))
        } else {
            let verbs = if row.verbs().is_all() { "every verb is" } else { "the verb is" };
            let first = *first_hit.get_or_insert(row.number());
            let later = if first < row.number() {
                format!("; row {first} comes first")
            } else {
                String::new()
            };
            (true, format!("{pattern} fits and {verbs} allowed{later}"))
        };
        Step { row: row.number(), hit, why }
    };
    table.rows().iter().map(step).collect()
}

/// A hint for an author who expected the pattern to match.
fn near_miss(pattern: &Pattern, path: &CanonicalPath) -> String {
    let text = path.as_str();
    let fits =
        |other: &str| CanonicalPath::of_decoded(other).is_some_and(|other| pattern.fits(&other));
    let unbounded = text.strip_prefix('/').is_some_and(|rest| rest.starts_with(pattern.as_str()));
    if !pattern.is_regex() && unbounded {
        return format!(": the path goes on without a slash after \"/{}\"", pattern.as_str());
    }
    if fits(&text.to_lowercase()) {
        return ": the case of letters differs".to_owned();
    }
    let inner = text.match_indices('/').skip(1).filter_map(|(at, _)| text.get(at..));
    if inner.into_iter().any(fits) {
        return ": it fits only further inside the path, and matching begins at the start"
            .to_owned();
    }
    String::new()
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.len().to_string().len();
        for Step { row, hit, why } in &self.rows {
            let hit = if *hit { "hit " } else { "miss" };
            writeln!(f, "row {row:>width$}  {hit}  {why}")?;
        }
        writeln!(f, "{}", self.reason)?;
        let class = self.class.as_deref().unwrap_or_default();
        let method = self.method.as_deref().unwrap_or_default();
        let by = match &self.forward {
            Some(upstream) => format!("forwarded to {upstream}"),
            None => format!("{class}.{method}"),
        };
        let allow = self.allow.as_deref().unwrap_or_default().join(", ");
        match self.answer {
            Resolution::Row => {
                write!(f, "answer: row {}, {by}", self.row.unwrap_or_default())
            }
            Resolution::NotFound => f.write_str("answer: 404 not found"),
            Resolution::MethodNotAllowed if self.verb.eq_ignore_ascii_case("OPTIONS") => {
                write!(f, "answer: 204 no content, Allow: {allow}")
            }
            Resolution::MethodNotAllowed => {
                write!(f, "answer: 405 method not allowed, Allow: {allow}")
            }
            Resolution::BadPath | Resolution::BadRequest => f.write_str("answer: 400 bad request"),
            Resolution::Reserved => f.write_str("answer: callgate itself"),
            Resolution::NotImplemented => f.write_str("answer: 501 not implemented"),
            Resolution::TargetTooLong => f.write_str("answer: 414 URI too long"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let text = r#"[
            { "class": "A", "method": "a", "pattern": "info", "verbs": "GET" },
            { "class": "B.C", "method": "b", "regexPattern": "/info", "verbs": "PUT, get" },
            { "class": "D", "method": "d", "regexPattern": "/all" }
        ]"#;
        Table::read("handlers.json", text).unwrap().table
    }

    fn of(verb: &str, target: &str) -> Explanation {
        explain(&table(), verb, target, &BasePath::none())
    }

    #[test]
    fn the_json_has_the_shape_of_the_contract() {
        assert_eq!(
            serde_json::to_string(&of("GET", "/info")).unwrap(),
            concat!(
                r#"{"answer":"row","row":1,"class":"A","method":"a","rows":["#,
                r#"{"row":1,"hit":true,"why":"pattern \"info\" fits and the verb is allowed"},"#,
                r#"{"row":2,"hit":true,"why":"regexPattern \"/info\" fits and the verb is allowed; row 1 comes first"},"#,
                r#"{"row":3,"hit":false,"why":"regexPattern \"/all\" does not fit"}]}"#
            )
        );
        let refused = serde_json::to_value(of("POST", "/info")).unwrap();
        assert_eq!(refused["answer"], "methodNotAllowed");
        assert_eq!(refused["allow"], serde_json::json!(["GET", "PUT"]));
        assert!(refused.get("row").is_none() && refused.get("class").is_none());
    }

    #[test]
    fn every_answer_names_every_row() {
        for (verb, target, answer) in [
            ("GET", "/x", Resolution::NotFound),
            ("PUT", "/info", Resolution::Row),
            ("DELETE", "/info", Resolution::MethodNotAllowed),
            ("GET", "/info/..", Resolution::BadPath),
            ("GET", "info", Resolution::BadPath),
            ("GET", "/REST/x", Resolution::Reserved),
            ("TRACE", "/info", Resolution::NotImplemented),
            ("CONNECT", "host:443", Resolution::NotImplemented),
            ("Get", "/info", Resolution::NotImplemented),
            ("G ET", "/info", Resolution::BadRequest),
            ("OPTIONS", "*", Resolution::Reserved),
            ("GET", "*", Resolution::BadPath),
            ("BREW", "/info", Resolution::MethodNotAllowed),
        ] {
            let explanation = of(verb, target);
            assert_eq!(explanation.answer, answer, "{target}");
            assert_eq!(explanation.rows.len(), 3, "{target}");
        }
        assert_eq!(of("GET", "/info/..").rows[1].why, "the path has a dot segment");
    }

    #[test]
    fn a_url_is_reduced_to_its_path() {
        for (target, path) in [
            ("http://h/x?y", "/x"),
            ("HTTPS://h:8/x#f", "/x"),
            ("http://h", "/"),
            ("http://h?/x", "/"),
            ("/x?http://h/y", "/x"),
            ("/x", "/x"),
            ("//x/y", "//x/y"),
            ("x", "x"),
            ("?", ""),
        ] {
            assert_eq!(path_of(target), path, "{target}");
        }
    }

    #[test]
    fn a_near_miss_says_what_was_overlooked() {
        assert!(of("GET", "/infox").rows[0].why.ends_with("without a slash after \"/info\""));
        assert!(of("GET", "/ALL").rows[2].why.ends_with("the case of letters differs"));
        assert!(of("GET", "/tools/all").rows[2].why.contains("further inside"));
    }

    #[test]
    fn the_text_for_people_ends_with_the_answer() {
        let base = BasePath::parse("/tools").unwrap();
        let last = |e: Explanation| e.to_string().lines().last().map(str::to_owned).unwrap();
        assert_eq!(last(of("GET", "/info")), "answer: row 1, A.a");
        assert_eq!(last(of("get", "/info")), "answer: 501 not implemented");
        assert_eq!(last(of("POST", "/info")), "answer: 405 method not allowed, Allow: GET, PUT");
        assert_eq!(last(of("OPTIONS", "/info")), "answer: 204 no content, Allow: GET, PUT");
        assert_eq!(last(explain(&table(), "GET", "/x", &base)), "answer: 404 not found");
    }
}
