//! Promises about the share of guests: a suite of its own, for a store that is made small.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::base::SessionId;
use crate::base::Timestamp;
use crate::session::AccessChange;
use crate::session::Patch;
use crate::session::Record;
use crate::store::contract::Broken;
use crate::store::contract::Kept;
use crate::store::contract::Stage;
use crate::store::contract::stage::ensure;
use crate::store::contract::stage::ensure_is;
use crate::store::contract::stage::founder;
use crate::store::contract::stage::set;
use crate::store::live::Config;
use crate::store::port::Founding;
use crate::store::port::Redeemed;
use crate::store::port::Resumed;
use crate::store::port::Store;

/// Checks that guests have their share of a fresh store of this size and no more, that the one
/// that was idle longest is evicted, and that no signed-in session is. A store that distributes
/// its guests over parts may exceed the share by `slack` of them.
///
/// The store must hold 40 sessions at least.
pub async fn guests_have_their_share(
    start: Timestamp,
    store: Arc<dyn Store>,
    (config, slack): (Config, usize),
) -> Kept {
    let stage = Stage::new(start, store);
    let most = config.guests_max() + slack;
    let mut signed_in = Vec::new();
    for _ in 0..10 {
        signed_in.push(sign_in(&stage).await?);
    }
    let (used, holder, idle) =
        (stage.session().await?, stage.session().await?, stage.session().await?);
    let (token, lost) = (stage.minted(holder.id).await?, stage.session().await?);
    for n in 0..2 * most {
        let then = stage.later(Duration::from_secs(u64::try_from(n).unwrap_or_default()));
        ensure!(then.opens(used.id, founder(&used)?).await?, "a guest in use made room at {n}");
        // Nodes share uses every few seconds, and before a sweep.
        then.sweep(then.now, 1).await?;
        then.session().await?;
        let guests = guests(&then).await?;
        ensure!(guests <= most, "{guests} guests, and {most} may be");
    }
    let late = stage.later(Duration::from_secs(u64::try_from(2 * most).unwrap_or_default()));
    for session in [&idle, &lost] {
        let resumed = late.resume(late.now, session.id, founder(session)?.digest).await?;
        ensure_is!(resumed, Resumed::Unheard);
    }
    let grant = late.redeem(late.now, late.claim(&token)?).await?;
    ensure_is!(grant, Redeemed::Granted(_));
    large_guests_are_fewer(&late, config).await?;
    for session in &signed_in {
        ensure!(late.opens(session.id, founder(session)?).await?, "a guest displaced somebody");
    }
    Ok(())
}

/// Guests that store as much as ten others each.
async fn large_guests_are_fewer(stage: &Stage, config: Config) -> Kept {
    let large = "x".repeat(config.guest_bytes_max() / 5);
    for n in 0..config.guests_max() {
        let then = stage.later(Duration::from_secs(u64::try_from(n).unwrap_or_default()));
        let guest = then.session().await?;
        then.patched(guest.id, set("large", &json!(large))).await?;
        then.sweep(then.now, 1).await?;
        let seen = then.seen(guest.id).await?;
        ensure!(seen.storage.bytes() >= large.len(), "what was stored is gone");
        let (sum, most) = (bytes(&then).await?, config.guest_bytes_max());
        ensure!(sum <= most, "guests store {sum} bytes, and may {most}");
    }
    Ok(())
}

async fn sign_in(stage: &Stage) -> Result<Record, Broken> {
    let access =
        Some(AccessChange { grant: vec!["member".into()], known: true, ..AccessChange::default() });
    let founding = stage.founding()?;
    let record = founding.record.clone();
    let patch = Patch { access, ..Patch::default() };
    stage.found(Founding { patch, ..founding }).await?;
    Ok(record)
}

/// Every living guest.
async fn all(stage: &Stage) -> Result<Vec<Arc<Record>>, Broken> {
    let mut all = Vec::new();
    let mut after: Option<SessionId> = None;
    loop {
        let page = stage.sessions(stage.now, after, 100).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = Some(last.record.id);
        let guests = page.into_iter().map(|opened| opened.record);
        all.extend(guests.filter(|record| !record.access.known));
    }
}

async fn guests(stage: &Stage) -> Result<usize, Broken> {
    all(stage).await.map(|guests| guests.len())
}

async fn bytes(stage: &Stage) -> Result<usize, Broken> {
    all(stage).await.map(|guests| guests.iter().map(|record| record.storage.bytes()).sum())
}
