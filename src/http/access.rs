//! One line in the log for each request, without a query and without secrets.

use std::borrow::Cow;

use hyper::Method;
use hyper::StatusCode;

use crate::base::RequestId;
use crate::base::SessionId;
use crate::base::clock::Stopwatch;
use crate::http::fault::Fault;
use crate::token::Outcome;

/// Longest path that is logged; a longer one is cut.
const PATH_BYTES_MAX: usize = 256;
/// This many hex digits in a row may be a token that somebody put into a path.
const TOKEN_DIGITS: usize = 32;
/// This many letters in a row may be a cookie's value: it has 94, and words in paths have fewer.
const CREDENTIAL_LETTERS: usize = 64;

/// What is known of a request once it has been answered.
#[derive(Debug)]
pub(crate) struct AccessLine {
    pub(crate) id: RequestId,
    started: Stopwatch,
    method: Method,
    path: String,
    pub(crate) row: Option<usize>,
    pub(crate) session: Option<SessionId>,
    pub(crate) otp: Outcome,
}

impl AccessLine {
    pub(crate) fn start(id: RequestId, method: &Method, path: &str) -> Self {
        Self {
            id,
            started: Stopwatch::start(),
            method: method.clone(),
            path: masked(path).into_owned(),
            row: None,
            session: None,
            otp: Outcome::Absent,
        }
    }

    /// Writes the line. A fault on our side is an error with what it was; any other is an
    /// ordinary answer with its code.
    pub(crate) fn finish(&self, status: StatusCode, fault: Option<&Fault>) {
        let ms = self.started.elapsed().as_secs_f64() * 1000.0;
        let ms = (ms * 1000.0).round() / 1000.0;
        let session = self.session.map(tracing::field::display);
        let code = fault.map(Fault::code);
        let cause = fault.and_then(Fault::inside);
        // A method may be any word.
        let method = &*masked(self.method.as_str());
        let (id, path, row) = (self.id, &self.path, self.row);
        let (status, otp) = (status.as_u16(), self.otp.name());
        if status >= 500 {
            tracing::error!(target: "callgate::access", %id, method, path, status, ms, row, session, otp, code, cause, "request");
        } else {
            tracing::info!(target: "callgate::access", %id, method, path, status, ms, row, session, otp, code, "request");
        }
    }
}

/// A path as it may be logged: control characters escaped, what may be a secret hidden.
fn masked(path: &str) -> Cow<'_, str> {
    // Hides first and cuts then: a cut through a secret would leave a part too short to be known
    // for one.
    let ahead = PATH_BYTES_MAX + CREDENTIAL_LETTERS;
    let path = path.get(..path.floor_char_boundary(ahead)).unwrap_or(path);
    let has_secret = path.split(|c| !is_letter(c)).any(may_be_secret);
    let has_control = path.chars().any(char::is_control);
    if !has_secret && !has_control {
        let cut = path.floor_char_boundary(PATH_BYTES_MAX);
        return Cow::Borrowed(path.get(..cut).unwrap_or(path));
    }
    let mut text = String::with_capacity(path.len());
    for part in path.split_inclusive(|c| !is_letter(c)) {
        let word = part.trim_end_matches(|c| !is_letter(c));
        let rest = part.chars().skip(word.len());
        text.push_str(if may_be_secret(word) { "*" } else { word });
        text.extend(rest.map(|c| if c.is_control() { '\u{fffd}' } else { c }));
    }
    text.truncate(text.floor_char_boundary(PATH_BYTES_MAX));
    Cow::Owned(text)
}

/// A letter of base64url, and so of hex.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn may_be_secret(word: &str) -> bool {
    let mut runs = word.split(|c: char| !c.is_ascii_hexdigit());
    word.len() >= CREDENTIAL_LETTERS || runs.any(|run| run.len() >= TOKEN_DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_a_path_is_hidden() {
        let token = "2E5D0D57751D471DB29FD110D2DCE253";
        assert_eq!(masked(&format!("/pay/{token}/done")), "/pay/*/done");
        assert_eq!(masked(&format!("/{token}{token}")), "/*");
        assert_eq!(masked("/orders/123/abc"), "/orders/123/abc");
        assert_eq!(masked("/a\u{1b}[31m"), "/a\u{fffd}[31m");
        assert_eq!(masked(&format!("/{}", "é".repeat(300))).len(), 255);
    }

    #[test]
    fn a_token_is_hidden_where_a_long_path_is_cut() {
        let token = "2E5D0D57751D471DB29FD110D2DCE253";
        for length in 200..260 {
            let path = format!("/{}/{token}/done", "é".repeat(length / 2));
            assert!(!masked(&path).contains("2E5D"), "{}", masked(&path));
        }
    }

    #[test]
    fn a_cookie_in_a_path_is_hidden() {
        let value = "Rk5fQ0-".repeat(14);
        assert_eq!(masked(&format!("/pay/{value}/done")), "/pay/*/done");
        assert_eq!(
            masked("/how-to-bring-a-callback-back-home"),
            "/how-to-bring-a-callback-back-home"
        );
    }
}
