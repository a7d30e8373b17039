//! The parameters of a claim and a commit to PostgreSQL.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::store::error::StoreError;
use crate::store::shared::engine::Change;
use crate::store::shared::engine::ClaimOrder;
use crate::store::shared::engine::Commit;
use crate::store::shared::engine::Committed;
use crate::store::shared::engine::Expect;
use crate::store::shared::engine::SessionRow;
use crate::store::shared::engine::TokenRow;

use super::ask::Params;
use super::rows;

/// The parameters of `claim_v1`, after the application.
pub(super) fn claim<'a>(params: Params<'a>, fence: bool, order: &'a ClaimOrder) -> Params<'a> {
    let (run, until) = match &order.run {
        Some((run, until)) => (Some(run.as_slice()), Some(rows::millis(*until))),
        None => (None, None),
    };
    let (current, credential) = match &order.current {
        Some((id, digest)) => (Some(id.bytes().as_slice()), Some(digest.bytes().as_slice())),
        None => (None, None),
    };
    let asks = &order.asks;
    params
        .with(fence, Type::BOOL)
        .with(rows::millis(order.now), Type::INT8)
        .with(order.token.bytes().as_slice(), Type::BYTEA)
        .with(order.id.bytes().as_slice(), Type::BYTEA)
        .with(order.handler.as_str(), Type::TEXT)
        .with(rows::mode(order.row_mode), Type::INT2)
        .with(order.auto_shares, Type::BOOL)
        .with(asks.click.map(i16::from), Type::INT2)
        .with(asks.browser.as_ref().map(|digest| digest.bytes().as_slice()), Type::BYTEA)
        .with(asks.signed_in.as_ref().map(|id| id.bytes().as_slice()), Type::BYTEA)
        .with(current, Type::BYTEA)
        .with(credential, Type::BYTEA)
        .with(order.newcomer_digest.bytes().as_slice(), Type::BYTEA)
        .with(order.newcomer.as_slice(), Type::BYTEA)
        .with(run, Type::BYTEA)
        .with(until, Type::INT8)
        .with(i32::try_from(order.devices_max).unwrap_or(i32::MAX), Type::INT4)
        .with(rows::signed(order.next), Type::INT8)
}

/// The parts of a commit that are assembled before it is sent.
#[derive(Debug, Default)]
pub(super) struct Packed<'c> {
    devices: Vec<u8>,
    unspent: Vec<u8>,
    answers: Vec<u8>,
    claimed: Vec<&'c [u8]>,
    claims: Vec<Option<&'c [u8]>>,
    claims_at: Vec<Option<i64>>,
    claims_until: Vec<Option<i64>>,
    ran: Vec<&'c [u8]>,
    runs: Vec<&'c [u8]>,
    run_answers: Vec<&'c [u8]>,
    runs_until: Vec<i64>,
    unanswered: Vec<&'c [u8]>,
    voided: Vec<&'c [u8]>,
    dropped: Vec<&'c [u8]>,
}

impl<'c> Packed<'c> {
    pub(super) fn new(commit: &'c Commit) -> Self {
        let mut packed = Self::default();
        if let Some(session) = &commit.session {
            packed.devices = rows::devices(&session.devices);
            packed.unspent = rows::unspent(&session.unspent);
            packed.answers = rows::answers(&session.answers);
        }
        for mark in &commit.marks {
            let digest = mark.digest.bytes().as_slice();
            match &mark.change {
                Change::Claim { id, at, forget_at } => {
                    packed.claimed.push(digest);
                    packed.claims.push(Some(id.bytes()));
                    packed.claims_at.push(Some(rows::millis(*at)));
                    packed.claims_until.push(forget_at.map(rows::millis));
                }
                Change::Run { run, answer, forget_at } => {
                    packed.ran.push(digest);
                    packed.runs.push(run);
                    packed.run_answers.push(answer);
                    packed.runs_until.push(rows::millis(*forget_at));
                }
                Change::Unclaim { forget_at } => {
                    packed.claimed.push(digest);
                    packed.claims.push(None);
                    packed.claims_at.push(None);
                    // The row takes the earlier of two times here, and the later one with a run.
                    packed.claims_until.push(Some(rows::millis(*forget_at)));
                    packed.ran.push(digest);
                    packed.runs.push(&[]);
                    packed.run_answers.push(&[]);
                    packed.runs_until.push(rows::millis(*forget_at));
                }
                Change::Unanswered => packed.unanswered.push(digest),
                Change::Void => packed.voided.push(digest),
            }
        }
        packed.dropped = commit.drops.iter().map(|digest| digest.bytes().as_slice()).collect();
        packed
    }
}

/// The parameters of `commit_v1`, after the application.
pub(super) fn commit<'a>(
    params: Params<'a>,
    fence: bool,
    commit: &'a Commit,
    packed: &'a Packed<'a>,
) -> Params<'a> {
    let expect = match commit.expect {
        Expect::Absent => 0,
        Expect::Version(version) => rows::signed(version),
    };
    let fenced = commit.expect_fence.as_ref().map(|digest| digest.bytes().as_slice());
    let params = params
        .with(fence, Type::BOOL)
        .with(commit.id.bytes().as_slice(), Type::BYTEA)
        .with(expect, Type::INT8)
        .with(rows::signed(commit.next), Type::INT8)
        .with(commit.expect_seen.map(rows::millis), Type::INT8)
        .with(fenced, Type::BYTEA);
    let params = session(params, commit, commit.session.as_ref(), packed);
    let params = mint(params, commit.mint.as_ref());
    params
        .with(packed.claimed.as_slice(), Type::BYTEA_ARRAY)
        .with(packed.claims.as_slice(), Type::BYTEA_ARRAY)
        .with(packed.claims_at.as_slice(), Type::INT8_ARRAY)
        .with(packed.claims_until.as_slice(), Type::INT8_ARRAY)
        .with(packed.ran.as_slice(), Type::BYTEA_ARRAY)
        .with(packed.runs.as_slice(), Type::BYTEA_ARRAY)
        .with(packed.run_answers.as_slice(), Type::BYTEA_ARRAY)
        .with(packed.runs_until.as_slice(), Type::INT8_ARRAY)
        .with(packed.unanswered.as_slice(), Type::BYTEA_ARRAY)
        .with(packed.voided.as_slice(), Type::BYTEA_ARRAY)
        .with(packed.dropped.as_slice(), Type::BYTEA_ARRAY)
}

fn session<'a>(
    params: Params<'a>,
    commit: &Commit,
    row: Option<&'a SessionRow>,
    packed: &'a Packed<'a>,
) -> Params<'a> {
    params
        .with(row.map(|row| rows::millis(row.seen_at)), Type::INT8)
        .with(row.map(|row| rows::span(row.idle_ms)), Type::INT8)
        .with(row.map(|row| rows::millis(row.absolute_at)), Type::INT8)
        .with(row.and_then(|row| row.ended_at).map(rows::millis), Type::INT8)
        .with(rows::millis(commit.due_at), Type::INT8)
        .with(row.map(|row| row.doc.as_slice()), Type::BYTEA)
        .with(row.map(|row| row.joined.as_slice()), Type::BYTEA_ARRAY)
        .with(packed.devices.as_slice(), Type::BYTEA)
        .with(packed.unspent.as_slice(), Type::BYTEA)
        .with(packed.answers.as_slice(), Type::BYTEA)
        .with(commit.guest, Type::BOOL)
}

fn mint<'a>(params: Params<'a>, token: Option<&'a TokenRow>) -> Params<'a> {
    let claim = token.and_then(|token| token.claim.as_ref());
    let binding = token.and_then(|token| token.binding.as_ref());
    params
        .with(token.map(|token| token.digest.bytes().as_slice()), Type::BYTEA)
        .with(token.map(|token| token.id.bytes().as_slice()), Type::BYTEA)
        .with(token.map(|token| rows::millis(token.expires_at)), Type::INT8)
        .with(token.map(|token| rows::millis(token.forget_at)), Type::INT8)
        .with(token.map(|token| token.handlers.as_slice()), Type::TEXT_ARRAY)
        .with(token.and_then(|token| token.mode).map(rows::mode), Type::INT2)
        .with(token.map(|token| i16::from(token.confirm)), Type::INT2)
        .with(binding.map(|digest| digest.bytes().as_slice()), Type::BYTEA)
        .with(claim.map(|(id, _)| id.bytes().as_slice()), Type::BYTEA)
        .with(claim.map(|(_, at)| rows::millis(*at)), Type::INT8)
        .with(token.map(|token| token.run.as_slice()), Type::BYTEA)
        .with(token.map(|token| token.answer.as_slice()), Type::BYTEA)
        .with(token.map(|token| token.doc.as_slice()), Type::BYTEA)
}

/// The result of `commit_v1`.
pub(super) fn outcome(row: &Row) -> Result<Committed, StoreError> {
    Ok(match rows::read::<i32>(row, 0)? {
        0 => Committed::Done,
        1 => Committed::Stale(rows::session(row, 1)?),
        2 => Committed::TokenExists,
        _ => Committed::Unfenced,
    })
}
