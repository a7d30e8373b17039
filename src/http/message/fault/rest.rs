//! Failures of function calls (docs/CONTRACT.md §10), with the codes of 4D where it documents them
//! (developer.4d.com/docs/REST/ClassFunctions).

use hyper::StatusCode;

use super::Fault;

impl Fault {
    /// Nothing below `/rest` or `/4DACTION` has this name, or it is not exposed: which of the two
    /// is not said.
    pub(crate) fn not_exposed() -> Self {
        let text = "No function of this name is exposed here.";
        let fault = Self::new(StatusCode::NOT_FOUND, "not_exposed", text);
        Self {
            stack: &[
                (1500, "No function of this name is exposed here."),
                (1804, "The request names nothing that can be called."),
            ],
            ..fault
        }
    }

    /// The session may not call this function.
    pub(crate) fn not_permitted() -> Self {
        let text = "No permission to execute this function.";
        let fault = Self::new(StatusCode::UNAUTHORIZED, "not_permitted", text);
        Self { stack: &[(1561, "No permission to execute this function.")], ..fault }
    }

    /// A sign-in where there can be none, because the setting `sessions` is `"off"`.
    pub(crate) fn no_sessions() -> Self {
        let text = "There are no sessions here, so that no user can sign in.";
        Self::new(StatusCode::NOT_IMPLEMENTED, "no_sessions", text)
    }

    /// The header of a sign-in does not say who signs in.
    pub(crate) fn bad_login(public: &'static str) -> Self {
        Self::bad_request("bad_login", public)
    }

    /// The parameters of a call cannot be read.
    pub(crate) fn bad_arguments(public: &'static str) -> Self {
        Self::bad_request("bad_arguments", public)
    }
}
