//! A run of random verbs on a store, and what must be true of it after a crash.

use callgate::session::Patch;
use callgate::session::Record;
use callgate::session::Right;
use callgate::store::Store;
use callgate::store::StoreError;
use callgate::store::port::Claim;
use callgate::store::port::Founding;
use callgate::store::port::Minted;
use callgate::store::port::Patched;
use callgate::store::port::Redeemed;
use callgate::store::port::Resumed;
use callgate::token::Token;
use serde_json::Value;
use serde_json::json;

use crate::stores::kit::START;
use crate::stores::kit::claim;
use crate::stores::kit::founding;
use crate::stores::kit::set;
use crate::stores::kit::token;
use crate::stores::kit::value;
use crate::support::dice::Dice;

/// Sessions in use at once, so that verbs meet.
const SESSIONS: usize = 6;

/// What has been asked of a store so far, and what it has answered.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    dice: Dice,
    places: Vec<Place>,
    slips: Vec<Slip>,
    writes: u64,
    /// Verbs that were answered.
    pub(crate) answered: usize,
}

/// Something that was asked for: nobody knows before the answer, and everybody after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    No,
    Perhaps,
    Yes,
}

/// A session.
#[derive(Debug, Clone)]
struct Place {
    record: Record,
    founded: Known,
    ended: Known,
    /// What may be found under the key `n`: one value, or two while nobody knows.
    values: Vec<Value>,
    bytes: usize,
}

/// A token.
#[derive(Debug, Clone)]
struct Slip {
    token: Token,
    place: usize,
    minted: Known,
    /// The one attempt to redeem it.
    claim: Option<(Claim, Known)>,
    revoked: Known,
}

/// What is asked next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Found,
    Write(usize),
    Mint(usize),
    Redeem(usize),
    Revoke(usize),
    End(usize),
}

impl Trace {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            places: Vec::new(),
            slips: Vec::new(),
            writes: 0,
            answered: 0,
        }
    }

    /// Decides what is asked next; from now on it may have happened.
    pub(crate) fn begin(&mut self) -> Begun {
        let living = indices(&self.places, |place| place.ended == Known::No);
        let unspent = indices(&self.slips, |slip| {
            slip.is_unspent() && self.places[slip.place].ended == Known::No
        });
        let step = if living.len() < SESSIONS {
            Step::Found
        } else {
            let place = living[self.dice.below(living.len())];
            let slip = (!unspent.is_empty()).then(|| unspent[self.dice.below(unspent.len())]);
            let full = indices(&self.slips, |slip| slip.is_unspent() && slip.place == place);
            match (self.dice.below(100), slip) {
                (0..25, _) if full.len() < 12 => Step::Mint(place),
                (25..50, Some(slip)) => Step::Redeem(slip),
                (50..55, Some(slip)) => Step::Revoke(slip),
                (55..60, _) => Step::End(place),
                _ => Step::Write(place),
            }
        };
        self.note(step);
        Begun(step)
    }

    fn note(&mut self, step: Step) {
        match step {
            Step::Found => {
                let record = founding().record;
                let values = vec![Value::Null];
                let (founded, ended) = (Known::Perhaps, Known::No);
                self.places.push(Place { record, founded, ended, values, bytes: 0 });
            }
            Step::Write(place) => {
                self.writes += 1;
                let place = &mut self.places[place];
                place.values.push(json!(self.writes));
                place.bytes = self.dice.below(9_000);
            }
            Step::Mint(place) => self.slips.push(Slip {
                token: token(self.places[place].record.id),
                place,
                minted: Known::Perhaps,
                claim: None,
                revoked: Known::No,
            }),
            Step::Redeem(slip) => {
                let slip = &mut self.slips[slip];
                slip.claim = Some((claim(&slip.token), Known::Perhaps));
            }
            Step::Revoke(slip) => self.slips[slip].revoked = Known::Perhaps,
            Step::End(place) => self.places[place].ended = Known::Perhaps,
        }
    }

    /// Asks; what is answered is certain.
    pub(crate) async fn finish(
        &mut self,
        Begun(step): Begun,
        store: &dyn Store,
    ) -> Result<(), StoreError> {
        match step {
            Step::Found => {
                let place = self.places.last_mut().unwrap();
                let record = place.record.clone();
                let founding = Founding { record, patch: Patch::default(), token: None };
                store.create(START, founding).await?;
                place.founded = Known::Yes;
            }
            Step::Write(place) => {
                let place = &mut self.places[place];
                let mut patch = set("n", place.values.last().unwrap());
                patch.entries.extend(set("text", &json!("x".repeat(place.bytes))).entries);
                let patched = store.patch(START, place.record.id, Right::Operator, patch).await?;
                assert!(matches!(patched, Patched::Done(_)), "{patched:?}");
                place.values.drain(..place.values.len() - 1);
            }
            Step::Mint(_) => {
                let slip = self.slips.last_mut().unwrap();
                let minted = store
                    .mint(START, Right::Operator, Patch::default(), slip.token.clone())
                    .await?;
                assert!(matches!(minted, Minted::Done(_)), "{minted:?}");
                slip.minted = Known::Yes;
            }
            Step::Redeem(slip) => {
                let (claim, known) = self.slips[slip].claim.as_mut().unwrap();
                let redeemed = store.redeem(START, claim.clone()).await?;
                assert!(matches!(redeemed, Redeemed::Granted(_)), "{redeemed:?}");
                *known = Known::Yes;
            }
            Step::Revoke(slip) => {
                assert!(store.revoke(START, self.slips[slip].token.id).await?);
                self.slips[slip].revoked = Known::Yes;
            }
            Step::End(place) => {
                assert!(
                    store
                        .end(START, self.places[place].record.id, Right::Operator)
                        .await?
                        .done()
                        .is_some()
                );
                self.places[place].ended = Known::Yes;
            }
        }
        self.answered += 1;
        Ok(())
    }

    /// Checks what a store says that was opened after a crash.
    pub(crate) async fn verify(&self, store: &dyn Store) {
        for place in &self.places {
            let credential = place.record.devices[0].digest;
            let resumed = store.resume(START, place.record.id, credential).await.unwrap();
            match resumed {
                Resumed::Open(_) => {
                    assert_ne!(place.ended, Known::Yes, "a session came back: {place:?}");
                    let found = value(store, place.record.id, "n").await;
                    assert!(place.values.contains(&found), "{found} in {place:?}");
                }
                Resumed::Closed | Resumed::Replaced { .. } => {
                    assert_ne!(place.ended, Known::No, "a session is lost");
                }
                Resumed::Unheard => assert_eq!(place.founded, Known::Perhaps, "a session is lost"),
            }
        }
        let unspent = store.tokens(START, None, usize::MAX).await.unwrap();
        for slip in &self.slips {
            let is_unspent = unspent.iter().any(|token| token.digest == slip.token.digest);
            self.verify_token(store, slip, is_unspent).await;
        }
    }

    async fn verify_token(&self, store: &dyn Store, slip: &Slip, is_unspent: bool) {
        if slip.is_unspent() && slip.minted == Known::Yes {
            assert!(is_unspent || self.places[slip.place].ended != Known::No, "lost: {slip:?}");
            return;
        }
        let Some((first, known)) = &slip.claim else {
            assert!(!(is_unspent && slip.revoked == Known::Yes), "a revoke is undone: {slip:?}");
            return;
        };
        let other = store.redeem(START, claim(&slip.token)).await.unwrap();
        let again = store.redeem(START, first.clone()).await.unwrap();
        let grants = [&other, &again].map(|it| matches!(it, Redeemed::Granted(_)));
        let gone = matches!(again, Redeemed::SessionGone);
        assert!(gone || grants == [true, false] || grants == [false, true], "{other:?} {again:?}");
        let undone = *known == Known::Yes && grants == [true, false];
        assert!(!undone, "a redemption is undone: {slip:?}");
    }
}

/// A verb that is decided on and not yet asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun(Step);

impl Slip {
    fn is_unspent(&self) -> bool {
        self.claim.is_none() && self.revoked == Known::No
    }
}

fn indices<T>(all: &[T], wanted: impl Fn(&T) -> bool) -> Vec<usize> {
    all.iter().enumerate().filter(|(_, it)| wanted(it)).map(|(at, _)| at).collect()
}
