//! Who mints and who brings a token in the random runs, and when he must be asked first.

use callgate::base::Confirm;
use callgate::base::Digest;
use callgate::token::Consent;
use callgate::token::Question;
use proptest::option::of;
use proptest::prelude::*;

use crate::stores::model::Number;
use crate::stores::property::bytes;
use crate::stores::property::session_id;

/// What is asked of a token as it is minted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) lifespan_secs: u64,
    pub(crate) confirm: Option<Confirm>,
    /// The browser that it is bound to.
    pub(crate) browser: Option<Number>,
}

/// Who brings a token, and what he has agreed to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bearer {
    pub(crate) agreed: Agreed,
    pub(crate) row: Confirm,
    pub(crate) browser: Option<Number>,
    /// The session that he is signed in to.
    pub(crate) signed_in: Option<Number>,
    /// Whether he gets a credential, or works in the session without one (`context`).
    pub(crate) joins: bool,
}

/// How far somebody has agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreed {
    Opened,
    Clicked,
    Given,
}

impl Bearer {
    /// What must be asked before he may have a token of this session.
    pub(crate) fn question(self, wish: Wish, session: Number) -> Option<Question> {
        let is_own = wish.browser.is_some() && wish.browser == self.browser;
        let wants = |wish| wish == Confirm::Always || (wish == Confirm::Foreign && !is_own);
        let clicks = wants(self.row) || wish.confirm.is_some_and(wants);
        let leaves = self.joins && self.signed_in.is_some_and(|id| id != session);
        match self.agreed {
            Agreed::Given => None,
            _ if leaves => Some(Question::Switch),
            Agreed::Opened if clicks => Some(Question::Click),
            _ => None,
        }
    }

    /// The same for a store.
    pub(crate) fn consent(self) -> Consent {
        let (browser, signed_in) = (self.browser.map(browser), self.signed_in.map(session_id));
        match self.agreed {
            Agreed::Opened => Consent::Open { row: self.row, browser, signed_in },
            Agreed::Clicked => Consent::Clicked { signed_in },
            Agreed::Given => Consent::Given,
        }
    }
}

/// What tokens hold of a browser.
pub(crate) fn browser(number: Number) -> Digest {
    Digest::from_bytes(bytes(number))
}

pub(crate) fn wish() -> impl Strategy<Value = Wish> {
    let lifespan_secs = prop_oneof![10..700_u64, Just(7_200)];
    (lifespan_secs, of(confirm()), any_browser())
        .prop_map(|(lifespan_secs, confirm, browser)| Wish { lifespan_secs, confirm, browser })
}

pub(crate) fn bearer() -> impl Strategy<Value = Bearer> {
    let agreed = prop_oneof![3 => Just(Agreed::Opened), 1 => Just(Agreed::Clicked), 2 => Just(Agreed::Given)];
    (agreed, confirm(), any_browser(), of(0..1_000_usize), any::<bool>()).prop_map(
        |(agreed, row, browser, signed_in, joins)| Bearer {
            agreed,
            row,
            browser,
            signed_in,
            joins,
        },
    )
}

fn confirm() -> impl Strategy<Value = Confirm> {
    prop_oneof![3 => Just(Confirm::Never), 1 => Just(Confirm::Foreign), 1 => Just(Confirm::Always)]
}

/// One of so few that a bearer often is the one who minted.
fn any_browser() -> impl Strategy<Value = Option<Number>> {
    of(0..2_usize)
}
