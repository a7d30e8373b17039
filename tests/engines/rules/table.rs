//! The generated table of cases: the engine grants what the node would grant, with the same effect.

use std::sync::Arc;

use callgate::base::ClaimId;
use callgate::store::Store;
use callgate::store::port::Claim;
use callgate::store::port::Redeemed;
use callgate::store::shared::Engine;
use callgate::store::shared::SharedStore;
use callgate::store::shared::cases;
use callgate::store::shared::cases::Extent;
use callgate::store::shared::engine::Found;
use callgate::store::shared::engine::TokenKey;

use crate::size;

pub(crate) async fn decides_as_the_node_does(engine: Arc<dyn Engine>) {
    let cases = cases::table(size(Extent::Short, Extent::Full)).unwrap();
    let all = cases.len();
    let granted = cases::hold(&engine, cases).await.unwrap_or_else(|how| panic!("{how}"));
    assert!(granted > all / 16 && granted < all / 2, "{granted} of {all} are plain");
}

/// The token is as it was before, and no device has joined.
pub(crate) async fn undoes_a_wrong_grant(engine: Arc<dyn Engine>) {
    let misled = cases::mislead(&*engine).await.unwrap();
    let name = TokenKey::Name(misled.token);
    let before = engine.find(name).await.unwrap().unwrap();
    let claims = SharedStore::new(Arc::clone(&engine));
    let refused = claims.redeem(misled.now, misled.wrong).await.unwrap();
    assert!(matches!(refused, Redeemed::WrongHandler), "{refused:?}");
    let after = engine.find(name).await.unwrap().unwrap();
    assert_eq!(after.token, before.token);
    let devices = |found: &Found| found.session.as_ref().unwrap().devices.clone();
    assert_eq!(devices(&after), devices(&before));
    let granted = claims.redeem(misled.now, misled.right.clone()).await.unwrap();
    assert!(matches!(granted, Redeemed::Granted(_)), "{granted:?}");
    let again = Claim { id: ClaimId::from_bytes([9; 16]), repeat: None, ..misled.right };
    let again = claims.redeem(misled.now, again).await.unwrap();
    assert!(matches!(again, Redeemed::Used(..)), "{again:?}");
}
