//! Whether a claim is a plain case, as an engine decides it.

use crate::base::RestoreMode;
use crate::store::shared::engine::Asks;
use crate::store::shared::engine::ClaimOrder;
use crate::store::shared::engine::Found;
use crate::store::shared::engine::TokenRow;

use super::expires_at;

/// A plain case, and whether its bearer joins the session.
pub(super) struct Joining(pub(super) bool);

pub(super) fn is_plain(found: &Found, order: &ClaimOrder) -> Option<Joining> {
    let Found { token, fenced, session } = found;
    let session = session.as_ref()?;
    let free = *fenced && token.claim.is_none() && order.now < token.expires_at;
    let mine = token.handlers.is_empty() || token.handlers.contains(&order.handler);
    let lives = session.ended_at.is_none() && order.now < expires_at(session);
    let mode = match token.mode.unwrap_or(order.row_mode) {
        RestoreMode::Auto if order.auto_shares => RestoreMode::Share,
        RestoreMode::Auto => RestoreMode::Context,
        mode => mode,
    };
    let is_plain = free
        && mine
        && lives
        && mode != RestoreMode::Transfer
        && !may_ask(token, mode, &order.asks);
    let own = order.current.is_some_and(|(id, credential)| {
        id == token.session && session.devices.contains(&credential)
    });
    let joins = mode != RestoreMode::Context && !own;
    (is_plain && (!joins || session.devices.len() < order.devices_max)).then_some(Joining(joins))
}

fn may_ask(token: &TokenRow, mode: RestoreMode, asks: &Asks) -> bool {
    let leaves = asks.signed_in.is_some_and(|id| id != token.session);
    let click = asks.click.is_some_and(|row| match row.max(token.confirm) {
        0 => false,
        1 => token.binding.is_none() || token.binding != asks.browser,
        _ => true,
    });
    click || leaves && mode != RestoreMode::Context
}
