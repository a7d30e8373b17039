//! Runs the contract suite of stores on a custom store. Run: `cargo run --example own_store`
//! (in your own `Cargo.toml`, the suite comes with the feature `testing`)
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use callgate::base::Timestamp;
use callgate::store::contract;
use callgate::store::memory::MemoryStore;
use callgate::store::port::{Operation, Pending, Store, StoreReply};

static ATTEMPTS: AtomicUsize = AtomicUsize::new(0);

/// Counts attempts to redeem and delegates everything to another store.
#[derive(Debug)]
struct Counting(MemoryStore);

impl Store for Counting {
    fn run(&self, now: Timestamp, operation: Operation) -> Pending<'_, StoreReply> {
        Box::pin(async move {
            if matches!(operation, Operation::Redeem { .. }) {
                ATTEMPTS.fetch_add(1, Ordering::Relaxed);
            }
            self.0.run(now, operation).await
        })
    }
}

#[tokio::main]
async fn main() {
    let fresh = || async { Arc::new(Counting(MemoryStore::default())) as Arc<dyn Store> };
    let kept = contract::run(Timestamp::from_millis(1_900_000_000_000), fresh).await;
    let kept = kept.expect("a store that keeps every promise");
    println!("{kept} promises kept, {ATTEMPTS:?} attempts to redeem");
}
