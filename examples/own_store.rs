//! Runs the contract suite of stores on a custom store. Run: `cargo run --example own_store`
//! (in your own `Cargo.toml`, the suite comes with the feature `testing`)
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::sync::{Arc, atomic::AtomicUsize, atomic::Ordering};

use callgate::base::{DeviceId, Digest, SessionId, Timestamp, TokenId};
use callgate::session::{Patch, Right};
use callgate::store::contract;
use callgate::store::memory::MemoryStore;
use callgate::store::port::{Checked, Claim, Concluded, Conclusion, Created, Founding, Guarantees};
use callgate::store::port::{Minted, Opened, Patched, Pending, Records, Redeemed, Resumed, Store};
use callgate::token::Token;

static ATTEMPTS: AtomicUsize = AtomicUsize::new(0);

/// Counts attempts to redeem and delegates everything to another store.
#[derive(Debug)]
struct Counting(MemoryStore);

/// Operations that are delegated unchanged.
macro_rules! delegate {
    ($($verb:ident($($word:ident: $kind:ty),*) -> $output:ty;)*) => {
        fn records(&self) -> &dyn Records { self.0.records() }
        $(fn $verb(&self, $($word: $kind),*) -> Pending<'_, $output> { self.0.$verb($($word),*) })*
    };
}

impl Store for Counting {
    fn redeem(&self, now: Timestamp, claim: Claim) -> Pending<'_, Redeemed> {
        Box::pin(async move {
            ATTEMPTS.fetch_add(1, Ordering::Relaxed);
            self.0.redeem(now, claim).await
        })
    }
    delegate! {
        resume(now: Timestamp, id: SessionId, credential: Digest) -> Resumed;
        create(now: Timestamp, founding: Founding) -> Created;
        patch(now: Timestamp, id: SessionId, right: Right, patch: Patch) -> Patched;
        mint(now: Timestamp, right: Right, patch: Patch, token: Token) -> Minted;
        conclude(now: Timestamp, conclusion: Conclusion) -> Concluded;
        detach(now: Timestamp, id: SessionId, right: Right, device: DeviceId) -> Checked<bool>;
        end(now: Timestamp, id: SessionId, right: Right) -> Checked<()>;
        revoke(now: Timestamp, token: TokenId) -> bool;
        look(now: Timestamp, id: SessionId, right: Right) -> Checked<Opened>;
        sessions(now: Timestamp, after: Option<SessionId>, at_most: usize) -> Vec<Opened>;
        tokens(now: Timestamp, after: Option<TokenId>, at_most: usize) -> Vec<Token>;
        sweep(now: Timestamp, at_most: usize) -> usize;
        self_check() -> Guarantees;
        close() -> ();
    }
}

#[tokio::main]
async fn main() {
    let fresh = || async { Arc::new(Counting(MemoryStore::default())) as Arc<dyn Store> };
    let kept = contract::run(Timestamp::from_millis(1_900_000_000_000), fresh).await;
    let kept = kept.expect("a store that keeps every promise");
    println!("{kept} promises kept, {ATTEMPTS:?} attempts to redeem");
}
