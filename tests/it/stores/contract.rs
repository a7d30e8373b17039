//! Every store keeps the promises, and the suite notices stores that do not.

use std::sync::Arc;

use callgate::store::Store;
use callgate::store::contract;
use callgate::store::embedded::EmbeddedStore;
use callgate::store::live::Config;
use callgate::store::memory::MemoryStore;
use callgate::store::shared::SharedStore;
use callgate::store::shared::map::MapEngine;

use crate::stores::broken::Broken;
use crate::stores::broken::Defect;
use crate::stores::disk::Disk;
use crate::stores::kit::START;
use crate::support::log::Log;
use crate::support::size;

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn embedded() -> Arc<dyn Store> {
    Arc::new(EmbeddedStore::open_on(Disk::new(), Config::default()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_store_keeps_every_promise() {
    let kept = contract::run(START, || async { memory() }).await;
    assert!(kept.as_ref().is_ok_and(|promises| *promises >= 35), "{kept:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_embedded_store_keeps_every_promise() {
    let kept = contract::run(START, || async { embedded() }).await;
    assert!(kept.as_ref().is_ok_and(|promises| *promises >= 35), "{kept:#?}");
}

fn shared() -> Arc<dyn Store> {
    SharedStore::new(Arc::new(MapEngine::default()))
}

/// What a node does by itself to keep the promises on a database, without one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shared_store_keeps_every_promise() {
    let kept = contract::run(START, || async { shared() }).await;
    assert!(kept.as_ref().is_ok_and(|promises| *promises >= 35), "{kept:#?}");
}

/// A store so small that guests fill it.
const SMALL: Config = Config { sessions_max: 60, answer_bytes_max: 64 * 1024, guest_percent: 50 };

#[tokio::test]
async fn guests_have_their_share_of_the_memory_store() {
    let (log, _capture) = Log::capture();
    let store = Arc::new(MemoryStore::with(SMALL));
    contract::guests_have_their_share(START, store, (SMALL, 0)).await.unwrap();
    log.has(&["session.guests_displaced"]);
}

#[tokio::test]
async fn guests_have_their_share_of_the_embedded_store() {
    let store = Arc::new(EmbeddedStore::open_on(Disk::new(), SMALL).unwrap());
    contract::guests_have_their_share(START, store, (SMALL, 0)).await.unwrap();
}

#[tokio::test]
async fn guests_have_their_share_of_a_shared_store() {
    let store = SharedStore::with(Arc::new(MapEngine::default()), SMALL);
    contract::guests_have_their_share(START, store, (SMALL, 0)).await.unwrap();
}

/// Figures of the two test sizes: tokens, and claimers of each.
fn contest() -> (usize, usize) {
    size((200, 64), (10_000, 64))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_many_tokens_has_one_winner_in_memory() {
    let (tokens, claimers) = contest();
    contract::race(START, memory(), tokens, claimers).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_many_tokens_has_one_winner_on_disk() {
    let (tokens, claimers) = contest();
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(EmbeddedStore::open(dir.path()).unwrap());
    contract::race(START, store, tokens, claimers).await.unwrap();
}

/// Runs the whole suite on a store with this defect; the promises that were broken.
async fn caught(defect: Defect) -> Vec<&'static str> {
    let fresh = || async { Arc::new(Broken::new(memory(), defect)) as Arc<dyn Store> };
    match contract::run(START, fresh).await {
        Ok(_) => Vec::new(),
        Err(breaches) => breaches.iter().map(|breach| breach.promise).collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_suite_catches_each_of_these_defects() {
    let expected = [
        (Defect::LooksThenTakes, "of_many_claimers_exactly_one_wins"),
        (Defect::PatchCreates, "a_patch_creates_nothing"),
        (Defect::ForgetsClaimIds, "the_winner_is_told_the_same_again"),
        (Defect::LastWriterWins, "writers_of_one_key_lose_no_update"),
        (Defect::LastWriterWins, "a_patch_that_expects_other_privileges_is_a_conflict"),
        (Defect::IgnoresTime, "a_token_is_refused_from_its_last_moment_on"),
        (Defect::LogoutIsLater, "an_ended_session_is_closed_to_every_verb"),
        (Defect::AnyHandler, "a_wrong_handler_changes_nothing"),
        (Defect::RotationAddsOnly, "a_rotation_ends_the_other_browsers_and_tokens"),
        (Defect::LookingIsUse, "use_prolongs_a_session_and_looking_does_not"),
        (Defect::MintIsTwoSteps, "a_mint_whose_patch_is_refused_mints_nothing"),
        (Defect::ContextJoins, "a_context_lets_nobody_in"),
        (Defect::AnybodyPatches, "under_a_right_that_has_ended_no_verb_does_anything"),
        (Defect::AnybodyPatches, "an_old_right_sees_nothing_of_a_rotation_that_it_races"),
        (Defect::AnybodyMints, "under_a_right_that_has_ended_no_verb_does_anything"),
        (Defect::AnybodyDetaches, "under_a_right_that_has_ended_no_verb_does_anything"),
        (Defect::AnybodyEnds, "under_a_right_that_has_ended_no_verb_does_anything"),
        (Defect::AnybodyLooks, "under_a_right_that_has_ended_no_verb_does_anything"),
        (Defect::ConflictFirst, "under_a_right_that_has_ended_no_verb_does_anything"),
        (Defect::RotationAddsOnly, "under_a_right_that_has_ended_no_verb_does_anything"),
        (Defect::NeverAsks, "asking_changes_nothing"),
        (Defect::NeverAsks, "who_is_signed_in_elsewhere_is_asked_before_he_is_moved"),
        (Defect::AskingSpends, "asking_changes_nothing"),
        (Defect::AskingSpends, "asking_is_no_use_of_the_session"),
        (Defect::ForgetsBindings, "the_stricter_of_row_and_mint_is_asked_for"),
        (Defect::OnlyTheRowAsks, "the_stricter_of_row_and_mint_is_asked_for"),
        (Defect::ForgetsBindings, "a_token_comes_back_as_it_was_minted"),
        (Defect::ForgetsAnswers, "a_concluded_run_answers_its_repeats"),
        (Defect::FreesEveryRun, "a_concluded_run_answers_its_repeats"),
        (Defect::FreesEveryRun, "a_run_whose_time_is_over_was_interrupted"),
        (Defect::AnyBodyRepeats, "another_body_is_told_so"),
        (Defect::ForgetsClaimIds, "of_many_repeats_one_takes_over"),
        (Defect::IgnoresTime, "an_answer_is_kept_until_the_window_is_over"),
        (Defect::SweepsAll, "a_sweep_is_bounded_and_comes_to_an_end"),
    ];
    for (defect, promise) in expected {
        let caught = caught(defect).await;
        assert!(caught.contains(&promise), "{defect:?} broke only {caught:?}");
    }
}
