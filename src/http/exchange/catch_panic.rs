//! A panic in a handler as the end of that request and of nothing else.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::pin::pin;
use std::task::Poll;

/// A future panicked while it was polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Waiters a future to its end, or to its panic.
///
/// What the future shares with others may be left as the panic found it: locks are poisoned, and
/// whoever takes one decides what that means.
pub(crate) async fn catch_panic<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(Ok),
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_after_a_wait_is_caught_and_a_value_is_passed_on() {
        let falls = async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        };
        assert_eq!(catch_panic::<_>(falls).await, Err::<(), _>(Panicked));
        assert_eq!(catch_panic(async { 7 }).await, Ok(7));
    }
}
