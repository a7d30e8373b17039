//! An order that is paid elsewhere: the payment page calls back under `$4DSID`, through the
//! customer's browser or from its own server (4D §3.5, `completeOperation`).

use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use crate::backend::Singleton;
use crate::backend::demo::note::Note;
use crate::backend::demo::note::WayOn;
use crate::backend::demo::note::refused;
use crate::backend::demo::note::time_of_day;
use crate::backend::demo::page::Site;
use crate::backend::demo::page::encoded;
use crate::backend::demo::page::fill;
use crate::backend::demo::page::reads_html;
use crate::http::IncomingMessage;
use crate::http::OutgoingMessage;
use crate::http::Raised;
use crate::http::Session;
use crate::http::SessionError;
use crate::token::MintWish;
use crate::token::Outcome;

/// What the session remembers of its last order, under the key `order`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Order {
    number: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum State {
    Open,
    /// The customer's own browser brought the news.
    PaidThroughBrowser,
    /// The bank's server did.
    PaidByServer,
}

const PRICE: &str = "42.00 EUR";
const BACK: WayOn = ("/order", "Back to your order");

/// The class `Shop`.
pub(super) fn singleton() -> Singleton<()> {
    Singleton::new("Shop", ())
        .method("show", show)
        .method("checkOut", check_out)
        .method("paid", paid)
}

/// How far the order is, for the front page.
pub(super) fn state(session: &Session) -> String {
    match Order::of(session) {
        None => "not begun".to_owned(),
        Some(Order { number, state: State::Open }) => format!("order {number} is not paid"),
        Some(Order { number, .. }) => format!("order {number} is paid"),
    }
}

async fn show(_: Arc<()>, _: IncomingMessage, session: Session) -> Result<OutgoingMessage, Raised> {
    let order = Order::of(&session);
    let (title, template, how) = match order.map(|order| order.state) {
        None | Some(State::Open) => ("A seat to the Moon", include_str!("pages/order.html"), ""),
        Some(State::PaidThroughBrowser) => {
            ("Paid", include_str!("pages/order-paid.html"), "Your browser came back with the news.")
        }
        Some(State::PaidByServer) => {
            ("Paid", include_str!("pages/order-paid.html"), "The server of the bank told us.")
        }
    };
    let number = order.map_or(1, |order| order.number).to_string();
    let values = [("number", number.into()), ("price", PRICE.into()), ("how", how.into())];
    Site::Shop.page(&session, title, fill(template, &values))
}

/// Opens an order and sends the customer to the bank, with the address that the bank calls.
async fn check_out(
    _: Arc<()>,
    _: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, Raised> {
    let number = match Order::of(&session) {
        Some(Order { number, state: State::Open }) => number,
        Some(Order { number, .. }) => number.saturating_add(1),
        None => 1,
    };
    session.set("order", Order { number, state: State::Open })?;
    let path = format!("/order/paid?order={number}");
    let wish = MintWish {
        lifespan_secs: Some(15 * 60),
        handlers: vec!["Shop.paid".into()],
        ..MintWish::default()
    };
    let callback = match session.create_callback_url(&path, wish).await {
        Err(SessionError::TooManyTokens) => return too_many(&session),
        callback => encoded(&callback?),
    };
    let price = encoded(PRICE);
    Ok(OutgoingMessage::redirect(&format!("/bank?amount={price}&return={callback}"))?)
}

fn too_many(session: &Session) -> Result<OutgoingMessage, Raised> {
    let text = "You have been at the bank 16 times and have not paid. Wait a quarter of an hour.";
    Note { status: 429, title: "Enough visits for now", text, way_on: BACK }
        .page(Site::Shop, session)
}

/// What the bank calls. A token proves that the call comes from whoever was given the address; a
/// real shop asks the bank here whether the money has come as well.
async fn paid(
    _: Arc<()>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, Raised> {
    match request.otp() {
        Outcome::Restored => {}
        // A bank that lost our answer asks again, and must hear that all is well.
        Outcome::Used { at } => {
            let text = format!("This payment was already recorded at {}.", time_of_day(at));
            return already(&request, &session, &text);
        }
        Outcome::Absent => return Ok(OutgoingMessage::redirect("/order")?),
        outcome => return refused(&session, outcome, BACK),
    }
    let meant = request.url_query().find("order").and_then(|number| number.parse().ok());
    let open = Order::of(&session)
        .filter(|order| order.state == State::Open && meant == Some(order.number));
    let Some(Order { number, .. }) = open else {
        return already(&request, &session, "This order was paid before, from another page.");
    };
    let by_person = reads_html(&request);
    let state = if by_person { State::PaidThroughBrowser } else { State::PaidByServer };
    session.set("order", Order { number, state })?;
    if by_person {
        // On to an address without a token, which can be reloaded and shared.
        return Ok(OutgoingMessage::redirect("/order")?);
    }
    let text = format!("order {number} is paid: {PRICE}\n");
    Ok(OutgoingMessage::new().with_body(text))
}

/// Nothing happened this time, because it has happened before.
fn already(
    request: &IncomingMessage,
    session: &Session,
    text: &str,
) -> Result<OutgoingMessage, Raised> {
    if !reads_html(request) {
        return Ok(OutgoingMessage::new().with_body(format!("{text}\n")));
    }
    Note { status: 200, title: "Nothing was paid twice", text, way_on: BACK }
        .page(Site::Shop, session)
}

impl Order {
    fn of(session: &Session) -> Option<Self> {
        serde_json::from_value(session.get("order")?).ok()
    }
}
