//! The routes of the session API: methods, paths, and every way in which each can fail.

use crate::admin::session_api::problem::ADMISSION;
use crate::admin::session_api::problem::BODY;
use crate::admin::session_api::problem::Code;
use crate::admin::session_api::problem::GRANT;
use crate::admin::session_api::problem::MINT;
use crate::admin::session_api::problem::RESTORE;
use crate::admin::session_api::problem::SESSION;
use crate::admin::session_api::problem::WRITE;
use crate::http::Fault;

/// One method of one path.
pub(super) struct Route {
    method: &'static str,
    path: &'static str,
    pub(super) action: Action,
    /// The status of success. Only the tests of the description read it.
    #[cfg(test)]
    success: u16,
    /// Every way in which it can fail, in groups.
    failures: &'static [&'static [Code]],
}

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    View,
    Read,
    Write,
    Mint,
    Restore,
    Grant,
    End,
    Describe,
}

macro_rules! routes {
    ($($method:literal $path:literal $action:ident $success:literal [$($group:expr),*],)*) => {
        &[$(Route {
            method: $method,
            path: $path,
            action: Action::$action,
            #[cfg(test)]
            success: $success,
            failures: &[$($group),*],
        }),*]
    };
}

/// The whole API. `openapi.json` describes exactly these routes.
const ROUTES: &[Route] = routes![
    "GET" "/session" View 200 [ADMISSION, SESSION],
    "DELETE" "/session" End 204 [ADMISSION, SESSION],
    "GET" "/session/storage" Read 200 [ADMISSION, SESSION],
    "PATCH" "/session/storage" Write 204 [ADMISSION, SESSION, BODY, WRITE],
    "POST" "/session/otp" Mint 201 [ADMISSION, SESSION, BODY, WRITE, MINT],
    "POST" "/session/restore" Restore 200 [ADMISSION, SESSION, BODY, RESTORE],
    "PUT" "/session/privileges" Grant 200 [ADMISSION, SESSION, BODY, WRITE, GRANT],
    "GET" "/session/openapi.json" Describe 200 [ADMISSION],
];

impl Route {
    /// The route of a request; otherwise 404, or 405 with the methods of the path.
    pub(super) fn find(method: &str, path: &str) -> Result<&'static Self, Fault> {
        let of_path = || ROUTES.iter().filter(|route| route.path == path);
        if let Some(route) = of_path().find(|route| route.method == method) {
            return Ok(route);
        }
        let methods: Vec<&str> = of_path().map(|route| route.method).collect();
        if methods.is_empty() {
            return Err(Fault::not_found());
        }
        Err(Fault::method_not_allowed(methods.join(", ")))
    }

    /// Whether the route declares this error.
    pub(super) fn may_fail(&self, fault: &Fault) -> bool {
        let code = (fault.status().as_u16(), fault.code());
        self.failures.iter().any(|group| group.contains(&code))
    }
}

impl Action {
    /// Whether it reads a body.
    pub(super) fn takes_body(self) -> bool {
        matches!(self, Self::Write | Self::Mint | Self::Restore | Self::Grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::session_api::OPENAPI;
    use serde_json::Value;
    use std::collections::BTreeSet;

    /// Method, path and status, with the code of an error.
    type DeclaredResponse = (String, String, u16, String);

    /// Every response that the code declares.
    fn in_code() -> BTreeSet<DeclaredResponse> {
        let line = |route: &Route, status: u16, code: &str| -> DeclaredResponse {
            (route.method.to_ascii_lowercase(), route.path.to_owned(), status, code.to_owned())
        };
        let failures = |route: &'static Route| {
            let codes = route.failures.iter().copied().flatten();
            codes.map(move |(status, code)| line(route, *status, code))
        };
        let success = ROUTES.iter().map(|route| line(route, route.success, ""));
        success.chain(ROUTES.iter().flat_map(failures)).collect()
    }

    /// The codes that the description lists for an error.
    fn codes<'d>(document: &'d Value, answer: &'d Value) -> Vec<&'d str> {
        let answer = match answer["$ref"].as_str() {
            Some(place) => document.pointer(place.trim_start_matches('#')).unwrap(),
            None => answer,
        };
        let problem = &answer["content"]["application/problem+json"]["schema"];
        let codes = &problem["allOf"][1]["properties"]["code"]["enum"];
        codes.as_array().into_iter().flatten().map(|code| code.as_str().unwrap()).collect()
    }

    /// Every response that the description lists.
    fn described() -> BTreeSet<DeclaredResponse> {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let mut lines = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    let status: u16 = status.parse().unwrap();
                    let codes = codes(&document, answer);
                    assert_eq!(codes.is_empty(), status < 400, "{method} {path} {status}");
                    let codes = if codes.is_empty() { vec![""] } else { codes };
                    let line = |code: &str| (method.clone(), path.clone(), status, code.to_owned());
                    lines.extend(codes.into_iter().map(line));
                }
            }
        }
        lines
    }

    #[test]
    fn the_description_says_what_the_code_answers_and_nothing_else() {
        let (code, document) = (in_code(), described());
        let undescribed: Vec<&DeclaredResponse> = code.difference(&document).collect();
        let invented: Vec<&DeclaredResponse> = document.difference(&code).collect();
        assert!(undescribed.is_empty(), "not in openapi.json: {undescribed:#?}");
        assert!(invented.is_empty(), "in openapi.json only: {invented:#?}");
    }

    #[test]
    fn a_path_tells_its_methods() {
        assert_eq!(Route::find("GET", "/session").unwrap().action, Action::View);
        let fault = |method, path| Route::find(method, path).err().unwrap();
        assert_eq!(fault("GET", "/session/").code(), "not_found");
        assert_eq!(fault("PUT", "/session/storage").code(), "method_not_allowed");
    }
}
