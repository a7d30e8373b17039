//! The one retry of an operation whose reply was lost.

use crate::base::limits::CLAIM_RETRY_WINDOW;
use crate::store::StoreError;

/// Calls the store, and once more if no reply arrives. Only for operations that the store
/// recognizes when they are repeated, so that the second call has no second effect.
pub(crate) async fn retry_lost<T, F>(call: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    match call().await {
        Err(StoreError::Unreachable(cause)) => {
            match tokio::time::timeout(CLAIM_RETRY_WINDOW, call()).await {
                Ok(Ok(reply)) => Ok(reply),
                // A second call that was refused says nothing about the first one.
                Ok(Err(_)) | Err(_) => Err(StoreError::Unreachable(cause)),
            }
        }
        replied => replied,
    }
}
