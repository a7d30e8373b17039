//! The rules of `Engine` as tests that any engine can run.

mod claims;
mod commits;
mod kit;
mod pages;
mod sweeps;
pub(crate) mod table;

use std::sync::Arc;

use callgate::store::shared::Engine;

/// Holds an engine to every rule, each time a fresh one, which gets the name of the rule.
pub(crate) async fn hold<F, Fut>(fresh: F)
where
    F: Fn(&'static str) -> Fut,
    Fut: Future<Output = Arc<dyn Engine>>,
{
    macro_rules! rules {
        ($($module:ident::$rule:ident,)+) => {
            $($module::$rule(fresh(stringify!($rule)).await).await;)+
        };
    }
    rules! {
        commits::a_session_reads_back_as_it_was_written,
        commits::only_an_absent_session_is_founded,
        commits::a_commit_under_another_version_writes_nothing,
        commits::a_commit_without_a_row_moves_the_version,
        commits::the_last_use_never_goes_back,
        commits::an_end_for_want_of_use_needs_that_use_to_be_the_last,
        commits::a_token_is_minted_once,
        commits::a_token_is_found_by_digest_and_by_name,
        commits::marks_change_a_token,
        commits::a_void_fence_holds_no_more,
        commits::a_token_that_is_taken_back_is_gone,
        commits::an_ended_session_has_no_content,
        commits::a_claim_may_be_marked_on_a_forgotten_session,
        commits::of_many_commits_under_one_version_one_is_done,
        claims::a_plain_claim_is_granted_in_one_step,
        claims::each_case_is_plain_or_not,
        claims::a_run_begins_with_its_claim,
        claims::nobody_joins_a_context_or_his_own_session,
        claims::an_unknown_token_is_not_found,
        claims::of_many_claims_one_is_granted,
        sweeps::uses_move_forward_alone,
        sweeps::a_sweep_ends_what_is_over,
        sweeps::a_session_that_was_used_is_due_later,
        sweeps::a_sweep_drops_tokens_at_their_time,
        sweeps::a_sweep_does_as_much_as_it_may,
        pages::sessions_come_in_the_order_of_their_ids,
        pages::tokens_come_in_the_order_of_their_names,
    }
}
