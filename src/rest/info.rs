//! What callgate tells about itself and the session of the request
//! (developer.4d.com/docs/REST/info).

use serde_json::Value;
use serde_json::json;

use crate::base::Digest;
use crate::base::text::hex;
use crate::http::CallPermit;
use crate::http::Handler;
use crate::http::HandlerError;
use crate::http::HandlerFuture;
use crate::http::IncomingMessage;
use crate::http::OutgoingMessage;
use crate::http::Reply;
use crate::http::Session;

/// The id and the name that a guest has (developer.4d.com/docs/REST/info).
const GUEST_ID: &str = "00000000000000000000000000000000";
const GUEST_NAME: &str = "default guest";

/// `GET /rest/$catalog`: there are no data classes here.
pub(super) struct Catalog;

/// `GET /rest/$info`: the session of the request. 4D lists all sessions; here another one's name
/// and user are not this client's business.
pub(super) struct Info;

impl Handler for Catalog {
    fn call(&self, _: IncomingMessage, _: Session, _: CallPermit) -> HandlerFuture {
        Box::pin(async { Ok(object(json!({ "dataClasses": [] }))) })
    }
}

impl Handler for Info {
    fn call(&self, _: IncomingMessage, session: Session, _: CallPermit) -> HandlerFuture {
        Box::pin(async move {
            let answer = json!({
                "cacheSize": 0,
                "usedCache": 0,
                "entitySetCount": 0,
                "entitySet": [],
                "ProgressInfo": [],
                "sessionInfo": [of_session(&session)],
            });
            Ok::<_, HandlerError>(object(answer))
        })
    }
}

fn object(value: Value) -> Reply {
    Reply::Message(OutgoingMessage::new().with_body(value))
}

fn of_session(session: &Session) -> Value {
    let guest = session.is_guest();
    let name = if guest { GUEST_NAME.to_owned() } else { session.user_name() };
    json!({
        "sessionID": session.id().to_string(),
        "userID": user_id(session),
        "userName": name,
        "lifeTime": u64::from(session.idle_timeout()) * 60,
        "expiration": session.expiration_date().to_string(),
    })
}

/// The id of the account that is signed in; for a user whose name an application has set, an id that
/// is the same for every session of that user.
pub(super) fn user_id(session: &Session) -> String {
    if let Some(account) = session.account() {
        return account.to_string();
    }
    let name = session.user_name();
    if session.is_guest() || name.is_empty() {
        return GUEST_ID.to_owned();
    }
    let digest = Digest::of_content("user", name.as_bytes());
    let mut id = hex::upper(digest.bytes().as_slice());
    id.truncate(GUEST_ID.len());
    id
}
