//! The promises of the port as a suite that any store can run.
//!
//! ```no_run
//! # async fn example(my_store: fn() -> std::sync::Arc<dyn callgate::store::Store>) {
//! use callgate::base::Timestamp;
//!
//! let start = Timestamp::from_millis(1_900_000_000_000);
//! let kept = callgate::store::contract::run(start, || async { my_store() }).await;
//! assert!(kept.is_ok(), "{kept:#?}");
//! # }
//! ```
//!
//! Run it on a runtime with several threads, or the races do not happen.

mod callbacks;
mod ends;
mod expiry;
mod faults;
mod guests;
mod records;
mod rights;
mod sessions;
mod stage;
mod tokens;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::base::Timestamp;
use crate::store::port::Store;

use callbacks::{consent, leases, races, redemption, repeats, take_over};
pub use guests::guests_have_their_share;

pub use callbacks::races::race;
pub use stage::{Broken, Stage};

/// Whether a promise was kept.
pub type Kept = Result<(), Broken>;

/// One promise of the port.
#[derive(Clone, Copy)]
pub struct Promise {
    /// The promise, as a sentence with underscores.
    pub name: &'static str,
    keep: fn(Stage) -> Pin<Box<dyn Future<Output = Kept> + Send>>,
}

impl Promise {
    /// Checks that a store keeps it. The store must be fresh, because some promises go far into
    /// the future.
    pub async fn check(&self, start: Timestamp, store: Arc<dyn Store>) -> Kept {
        (self.keep)(Stage::new(start, store)).await
    }
}

impl fmt::Debug for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A promise that a store broke.
#[derive(Debug)]
pub struct Breach {
    /// Which one.
    pub promise: &'static str,
    /// How.
    pub how: Broken,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.how)
    }
}

/// Checks every promise on a fresh store each. Returns the number of promises, or all that were
/// broken.
///
/// `start` is where the clock of the suite begins. For a store with a clock of its own it must be
/// ahead of that clock.
pub async fn run<F, Fut>(start: Timestamp, fresh: F) -> Result<usize, Vec<Breach>>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn Store>>,
{
    let mut breaches = Vec::new();
    for promise in PROMISES {
        if let Err(how) = promise.check(start, fresh().await).await {
            breaches.push(Breach { promise: promise.name, how });
        }
    }
    if breaches.is_empty() { Ok(PROMISES.len()) } else { Err(breaches) }
}

macro_rules! promises {
    ($($module:ident: $($name:ident)*;)*) => {
        /// Every promise.
        pub const PROMISES: &[Promise] = &[
            $($(Promise {
                name: stringify!($name),
                keep: |stage| Box::pin($module::$name(stage)),
            },)*)*
        ];
    };
}

promises! {
    sessions:
        a_founded_session_opens_for_its_browser_only
        a_session_nobody_founded_is_unheard_of
        a_founding_brings_its_writes_and_its_token
        a_browser_that_founds_twice_meets_its_session
        another_browser_cannot_found_a_session_that_exists
        a_rotation_at_the_founding_replaces_the_first_browser
        a_founding_that_is_too_large_founds_nothing
        a_patch_creates_nothing
        patches_of_different_keys_both_stay
        a_patch_of_a_key_that_changed_is_a_conflict
        a_patch_that_expects_other_privileges_is_a_conflict
        values_are_kept_up_to_the_limit_and_refused_beyond
        odd_keys_and_values_come_back_as_they_were
        privileges_and_timeouts_come_back_as_they_were
        detaching_a_browser_ends_its_right_and_no_other
        an_ended_session_is_closed_to_every_verb
        an_ended_id_never_comes_back
        a_rotation_ends_the_other_browsers_and_tokens
        a_rotation_and_a_patch_in_any_order_keep_both
        a_logout_and_a_patch_in_any_order_end_the_session
        pages_show_every_living_session_once_and_in_order
        a_closed_store_refuses_every_verb;
    tokens:
        a_mint_publishes_its_patch
        a_mint_whose_patch_is_refused_mints_nothing
        a_session_holds_sixteen_unspent_tokens
        a_revoked_token_is_unknown
        a_token_that_a_rotation_ended_says_so_as_long_as_it_would_have_lived
        a_token_that_a_rotation_ended_counts_for_nothing
        a_spent_token_cannot_be_revoked
        a_token_of_an_ended_session_is_spent_on_nothing
        an_ended_session_mints_nothing
        a_secret_of_one_application_is_unknown_in_another
        pages_show_every_unspent_token_once_and_in_order;
    redemption:
        a_token_is_redeemed_once
        the_winner_is_told_the_same_again
        a_winner_that_asks_after_the_end_of_the_session_is_told_so
        a_wrong_handler_changes_nothing
        a_share_lets_the_newcomer_in
        a_context_lets_nobody_in
        a_transfer_leaves_the_newcomer_alone
        a_transfer_to_a_browser_of_the_session_leaves_that_one
        a_browser_of_the_session_keeps_its_credential
        a_credential_that_was_ended_is_no_membership
        a_credential_for_another_session_is_no_membership
        the_mint_decides_the_mode_before_the_row
        the_browser_that_was_unused_longest_makes_room;
    repeats:
        a_run_that_is_under_way_has_repeats_that_wait
        a_concluded_run_answers_its_repeats
        an_answer_is_given_as_long_as_its_right_holds
        a_run_is_concluded_once_and_by_its_holder
        another_call_is_no_repeat
        another_body_is_told_so
        an_answer_is_kept_until_the_window_is_over
        a_run_whose_time_is_over_was_interrupted
        a_dead_session_begins_no_run
        an_answer_that_is_not_kept_is_named_so
        the_oldest_answers_of_a_session_make_room
        of_many_callbacks_one_runs;
    take_over:
        an_interrupted_run_is_taken_over_by_one
        a_refused_run_is_taken_over_on_any_row
        who_takes_over_in_his_own_session_stays_in_it
        a_browser_that_lost_its_redemption_takes_over_in_its_own_mode
        a_take_over_is_judged_like_a_redemption
        of_many_repeats_one_takes_over
        nobody_takes_over_a_run_after_others_were_put_out;
    leases:
        a_run_goes_on_as_long_as_it_is_renewed
        a_run_is_renewed_by_its_holder_and_until_it_ends;
    rights:
        a_right_that_holds_does_what_its_verb_does
        under_a_right_that_has_ended_no_verb_does_anything
        a_browser_that_was_put_out_joins_by_a_token_as_a_newcomer
        a_winner_that_was_put_out_is_shown_nothing_again
        a_grant_says_whether_anybody_asked_for_its_context
        what_keeps_others_ends_no_right
        an_old_right_sees_nothing_of_a_rotation_that_it_races;
    consent:
        asking_changes_nothing
        asking_is_no_use_of_the_session
        the_stricter_of_row_and_mint_is_asked_for
        a_token_that_is_bound_to_no_browser_is_foreign_to_all
        who_is_signed_in_elsewhere_is_asked_before_he_is_moved
        nobody_is_asked_about_a_token_that_leads_nowhere
        a_token_comes_back_as_it_was_minted;
    expiry:
        a_token_is_refused_from_its_last_moment_on
        a_session_is_closed_from_its_last_moment_on
        use_prolongs_a_session_and_looking_does_not
        a_redemption_counts_as_use
        the_absolute_limit_ends_a_busy_session
        a_shorter_timeout_counts_at_once
        an_unspent_token_keeps_its_session
        the_absolute_limit_ends_a_session_with_unspent_tokens
        a_session_that_has_lost_its_token_ends_like_any_other
        a_clock_that_steps_back_revives_nothing
        a_used_token_is_remembered_until_its_grace_is_over
        an_expired_session_is_closed_to_every_verb
        a_sweep_is_bounded_and_comes_to_an_end
        a_sweep_takes_nothing_that_lives;
    races:
        of_many_claimers_exactly_one_wins
        many_repeats_of_one_claim_are_one_redemption
        writers_of_different_keys_lose_nothing
        writers_of_one_key_lose_no_update
        a_logout_racing_patches_stands
        a_logout_racing_a_redemption_stands
        a_revocation_racing_a_redemption_has_one_winner
        a_rotation_racing_a_patch_loses_neither
        founders_in_parallel_found_one_session
        minters_in_parallel_keep_to_the_limit
        a_sweep_racing_claims_takes_none_of_them;
    faults:
        a_claim_whose_reply_was_lost_can_be_asked_again
        a_claim_whose_request_was_lost_has_not_happened
        a_claim_that_was_given_up_is_done_or_not_done
        a_patch_whose_reply_was_lost_shows_in_its_revision;
    records:
        records_come_back_as_they_were_written
        a_write_of_records_happens_completely_or_not_at_all
        of_many_writers_of_a_new_record_one_wins
        counters_in_records_lose_no_count
        pages_show_every_record_of_a_prefix_once_and_in_order
        a_write_whose_reply_was_lost_has_happened;
}
