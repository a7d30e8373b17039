//! Promises about the lease of a run: it continues while its holder renews it, and ends otherwise.

use std::time::Duration;

use crate::base::ClaimId;
use crate::base::secret::entropy::OsEntropy;
use crate::store::contract::Kept;
use crate::store::contract::Stage;
use crate::store::contract::callbacks::repeats::OVER;
use crate::store::contract::callbacks::repeats::RUN;
use crate::store::contract::callbacks::repeats::again;
use crate::store::contract::callbacks::repeats::answer;
use crate::store::contract::callbacks::repeats::once;
use crate::store::contract::stage::ensure_is;
use crate::store::port::Claim;
use crate::store::port::Concluded;
use crate::store::port::Ending;
use crate::store::port::Redeemed;
use crate::token::Repeat;
use crate::token::Token;

/// The maximum number of nodes of a store whose operations go to each of them in turn.
const NODES_MAX: usize = 4;

impl Stage {
    /// Checks that a run counts as in progress, on every node.
    async fn is_under_way(&self, token: &Token) -> Kept {
        for _ in 0..NODES_MAX {
            let told = self.try_again(token, again()).await?;
            ensure_is!(told, Redeemed::Repeats(_, Repeat::Running));
        }
        Ok(())
    }
}

pub(crate) async fn a_run_goes_on_as_long_as_it_is_renewed(stage: Stage) -> Kept {
    let (token, claim) = stage.running().await?;
    let mut at = stage.clone();
    while at.now < stage.now.after(OVER * 3) {
        at = at.later(RUN.saturating_sub(Duration::from_millis(1)));
        ensure_is!(at.ended(&claim, Ending::Running).await?, Concluded::Renewed);
        at.is_under_way(&token).await?;
    }
    let late = at.later(OVER);
    let told = late.try_again(&token, once()).await?;
    ensure_is!(told, Redeemed::Repeats(_, Repeat::Interrupted));
    // It was cut off from its store, and is not dead.
    ensure_is!(late.ended(&claim, Ending::Running).await?, Concluded::Renewed);
    late.is_under_way(&token).await?;
    ensure_is!(late.ended(&claim, answer(b"first")).await?, Concluded::Kept);
    late.answers(&token, b"first").await
}

pub(crate) async fn a_run_is_renewed_by_its_holder_and_until_it_ends(stage: Stage) -> Kept {
    let (token, claim) = stage.running().await?;
    stage.is_under_way(&token).await?;
    let other = Claim { id: ClaimId::random(&OsEntropy::new())?, ..claim.clone() };
    let last = stage.later(RUN.saturating_sub(Duration::from_millis(1)));
    ensure_is!(last.ended(&other, Ending::Running).await?, Concluded::Late);
    let unclaimed = stage.callback(&stage.minted(token.session).await?, once())?;
    ensure_is!(last.ended(&unclaimed, Ending::Running).await?, Concluded::Forgotten);
    let late = stage.later(OVER);
    let heir = late.callback(&token, again())?;
    ensure_is!(late.redeem(late.now, heir.clone()).await?, Redeemed::TakenOver(_));
    // A holder that has lost the lease does not renew it for the present holder.
    late.is_under_way(&token).await?;
    let last = late.later(RUN.saturating_sub(Duration::from_millis(1)));
    ensure_is!(last.ended(&claim, Ending::Running).await?, Concluded::Late);
    let told = late.later(OVER).try_again(&token, once()).await?;
    ensure_is!(told, Redeemed::Repeats(_, Repeat::Interrupted));
    ensure_is!(late.ended(&heir, answer(b"heir")).await?, Concluded::Kept);
    ensure_is!(late.ended(&heir, Ending::Running).await?, Concluded::Kept);
    late.answers(&token, b"heir").await?;
    for (ending, told) in
        [(Ending::Interrupted, Repeat::Interrupted), (Ending::TooLarge, Repeat::NotKept)]
    {
        let (token, claim) = late.running().await?;
        ensure_is!(late.ended(&claim, ending).await?, Concluded::NotKept);
        ensure_is!(late.ended(&claim, Ending::Running).await?, Concluded::NotKept);
        let heard = late.try_again(&token, once()).await?;
        ensure_is!(heard, Redeemed::Repeats(_, heard) if heard == told);
    }
    Ok(())
}
