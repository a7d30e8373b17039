//! What becomes of a request through the token it brings, before its handler runs.

use hyper::Method;

use crate::http::exchange::run::Run;
use crate::http::message::fault::Fault;
use crate::http::message::reply::OutgoingMessage;
use crate::http::message::token_place::Brought;
use crate::http::session::Redemption;
use crate::http::session::Session;
use crate::table::OnRefused;
use crate::table::Row;
use crate::token::Outcome;

/// Redeems what the request brings.
pub(crate) async fn redeem(session: &Session, brought: &Brought) -> Result<Redemption, Fault> {
    Ok(match brought {
        Brought::Token(secret) => session.redeem_brought(Some(secret), None).await?,
        Brought::Garbage => session.redeem_brought(None, None).await?,
        // Nobody has tried a token: it does not count against a platform that calls back often.
        Brought::Other => Redemption::Ended(Outcome::Unknown),
        Brought::Nothing | Brought::Several => Redemption::Ended(Outcome::Absent),
    })
}

/// Checks what the row requires, after the redemption: it may have brought the privilege.
pub(crate) fn admit(row: &Row, session: &Session) -> Result<(), Fault> {
    let required = row.requires();
    if required.is_empty() || required.iter().any(|name| session.has_privilege(name)) {
        return Ok(());
    }
    Err(if session.is_guest() { Fault::sign_in_first() } else { Fault::not_allowed() })
}

/// What the row wants answered about a token, if that is not the handler's to say.
pub(crate) fn answer(
    run: &Run,
    row: &Row,
    otp: Outcome,
    session: &Session,
) -> Result<Option<OutgoingMessage>, Fault> {
    let rule = row.otp();
    // Who got no cookie would come back as a stranger, and a form cannot be sent again.
    let strips = rule.strip && run.head.method == Method::GET && !session.is_mute();
    let is_spared = rule.unless_signed_in && !session.is_guest();
    let is_told = !is_spared && !session.was_let_in_again();
    let is_refused = otp.is_refused() && is_told;
    let location = match (otp.is_restored(), &rule.on_refused) {
        (true, _) if strips => run.target_without_token(rule),
        (false, OnRefused::Redirect(path)) if is_refused => {
            format!("{}{path}", session.base_path())
        }
        (false, OnRefused::Status(status)) if is_refused => {
            return Err(Fault::token_refused(*status));
        }
        _ => return Ok(None),
    };
    OutgoingMessage::redirect(&location).map(Some).map_err(Fault::internal)
}
