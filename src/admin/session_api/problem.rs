//! The errors of the session API, with a stable code for each.

use hyper::StatusCode;

use crate::admin::guard::AccessDenied;
use crate::flow::mint::capability::NotOpened;
use crate::http::Fault;
use crate::http::SessionError;
use crate::token::MintRefused;

/// A status and the stable code of an error.
pub(super) type Code = (u16, &'static str);

/// The caller is not admitted.
pub(super) const ADMISSION: &[Code] = &[(403, "browser"), (403, "not_local"), (421, "wrong_host")];
/// The session of the capability is not available.
pub(super) const SESSION: &[Code] = &[
    (401, "capability"),
    (410, "session_ended"),
    (410, "sessionReplaced"),
    (500, "internal"),
    (503, "store_unavailable"),
];
/// The body is invalid.
pub(super) const BODY: &[Code] = &[
    (400, "bad_body"),
    (400, "bad_json"),
    (408, "body_too_slow"),
    (413, "body_too_large"),
    (415, "body_encoded"),
    (415, "media_type"),
    (422, "invalid"),
    (422, "too_deep"),
];
/// A write exceeds the limits of the session, or would create one guest session too many.
pub(super) const WRITE: &[Code] = &[(409, "session_full"), (503, "too_many_guests")];
/// A token cannot be minted.
pub(super) const MINT: &[Code] =
    &[(409, "too_many_tokens"), (409, "no_public_origin"), (429, "rate_limited")];
/// A token was not redeemed.
pub(super) const RESTORE: &[Code] = &[(409, "answer_begun"), (429, "rate_limited")];
/// Privileges cannot be added.
pub(super) const GRANT: &[Code] = &[(403, "contextMayNotGain"), (409, "answer_begun")];

/// No capability, or an invalid one.
pub(super) fn capability() -> Fault {
    let text = "Show the capability that came with the forwarded request; it opens the session \
                until that request ends, and for a minute more.";
    Fault::new(StatusCode::UNAUTHORIZED, "capability", text)
}

/// The session of the capability has ended.
fn session_ended() -> Fault {
    Fault::new(StatusCode::GONE, "session_ended", "The session has ended.")
}

/// The session exists, but is no longer the one of the forwarded request.
fn session_replaced() -> Fault {
    let text = "The session has been signed in to or taken over since this request began, or has \
                ended the access of its browser.";
    Fault::new(StatusCode::GONE, "sessionReplaced", text)
}

/// The response to the browser has begun, so it can no longer carry the cookie that is needed now.
pub(super) fn answer_begun() -> Fault {
    let text = "The answer to the browser has begun, so it cannot be given the cookie that this \
                needs. Do it before answering, or gain privileges with keepDevices.";
    Fault::new(StatusCode::CONFLICT, "answer_begun", text)
}

/// The body is not JSON.
pub(super) fn bad_json() -> Fault {
    Fault::bad_request("bad_json", "The body is not JSON.")
}

/// The body has another media type.
pub(super) fn media_type(text: &'static str) -> Fault {
    Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", text)
}

/// The body is JSON of another shape.
pub(super) fn invalid(text: &'static str) -> Fault {
    Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", text)
}

/// No row matches the URL that the token is for.
pub(super) fn no_path() -> Fault {
    invalid(
        "\"path\" is a path of this site that a row answers; it begins with a single slash and has \
         no spaces, no dot segments and no token. \"for\" names what answers a row, and \"param\" \
         is the otp.param of that row.",
    )
}

/// The body is nested too deep to be stored.
pub(super) fn too_deep() -> Fault {
    let text = "A value is nested more than 64 deep; store it flatter, or as a text.";
    Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "too_deep", text)
}

/// The session has no room for the body's values.
pub(super) fn session_full() -> Fault {
    let text = "The session would outgrow its limits: 256 keys of 256 bytes, 262,144 bytes in \
                all, a user name of 256 bytes, 128 privileges of 128 bytes.";
    Fault::new(StatusCode::CONFLICT, "session_full", text)
}

/// The caller is not admitted.
pub(super) fn refused(refused: AccessDenied) -> Fault {
    let (code, text) = match refused {
        AccessDenied::WrongHost => {
            let (status, code, text) = refused.answer();
            return Fault::new(status, code, text);
        }
        AccessDenied::Browser => ("browser", "The session API answers no browser."),
        _ => ("not_local", "The session API answers programs of this machine, by 127.0.0.1."),
    };
    Fault::new(StatusCode::FORBIDDEN, code, text)
}

/// A capability does not open a session.
pub(super) fn not_opened(why: NotOpened) -> Fault {
    match why {
        NotOpened::Unknown => capability(),
        NotOpened::Ended => session_ended(),
        NotOpened::Replaced => session_replaced(),
        NotOpened::Store(error) => error.into(),
    }
}

/// The operation failed in the session; `refused` is the error for a refusal that has a text of its
/// own.
pub(super) fn session(error: SessionError, refused: fn() -> Fault) -> Fault {
    match error {
        SessionError::Ended => session_ended(),
        SessionError::Replaced => session_replaced(),
        SessionError::ContextMayNotGain => Fault::context_may_not_gain(),
        SessionError::TooLarge => session_full(),
        SessionError::TooManyTokens => {
            let text = "The session has as many unspent tokens as it may.";
            Fault::new(StatusCode::CONFLICT, "too_many_tokens", text)
        }
        SessionError::NotJson(_) => too_deep(),
        SessionError::Refused(_) | SessionError::Mint(MintRefused::TooManyHandlers) => refused(),
        SessionError::NoPublicOrigin => {
            let text = "Callback URLs need the setting public_origin; mint without a path.";
            Fault::new(StatusCode::CONFLICT, "no_public_origin", text)
        }
        SessionError::Store(error) => error.into(),
        SessionError::TooOften(wait) => Fault::rate_limited(wait),
        SessionError::TooManyGuests(wait) => Fault::too_many_guests(wait),
        // No capability is granted where there are no sessions.
        error @ (SessionError::Contended
        | SessionError::Off
        | SessionError::OtherType { .. }
        | SessionError::Mint(MintRefused::NoEntropy)) => Fault::internal(error),
    }
}
