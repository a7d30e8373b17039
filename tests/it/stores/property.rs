//! Random runs of every verb, on each store and on a plain model (docs/SECURITY.md C-16): they must
//! answer alike, whatever the order, the clock and the restarts in between.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use callgate::base::ClaimId;
use callgate::base::DeviceId;
use callgate::base::Digest;
use callgate::base::RestoreMode;
use callgate::base::SessionId;
use callgate::base::TokenId;
use callgate::base::mode::Caller;
use callgate::session::Device;
use callgate::session::Lifetime;
use callgate::session::Patch;
use callgate::session::Record;
use callgate::session::Right;
use callgate::store::Store;
use callgate::store::embedded::EmbeddedStore;
use callgate::store::live::Config;
use callgate::store::memory::MemoryStore;
use callgate::store::port::Checked;
use callgate::store::port::Claim;
use callgate::store::port::Created;
use callgate::store::port::Founding;
use callgate::store::port::Minted;
use callgate::store::port::Patched;
use callgate::store::port::Redeemed;
use callgate::store::port::Resumed;
use callgate::store::shared::SharedStore;
use callgate::store::shared::map::MapEngine;
use callgate::token::Token;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRng;
use proptest::test_runner::TestRunner;
use serde_json::json;

use crate::stores::bearer::Bearer;
use crate::stores::bearer::Wish;
use crate::stores::bearer::bearer;
use crate::stores::bearer::browser;
use crate::stores::bearer::wish;
use crate::stores::disk::Disk;
use crate::stores::kit::START;
use crate::stores::kit::set;
use crate::stores::model::By;
use crate::stores::model::Ending;
use crate::stores::model::Model;
use crate::stores::model::Number;
use crate::support::size;

/// One verb. Numbers are folded into what there is, so that almost every step meets something.
#[derive(Debug, Clone)]
enum Step {
    Create,
    Resume {
        session: Number,
        device: Number,
    },
    Patch {
        session: Number,
        by: Number,
        key: usize,
    },
    Rotate {
        session: Number,
        by: Number,
    },
    Look {
        session: Number,
        by: Number,
    },
    Mint {
        session: Number,
        by: Number,
        wish: Wish,
    },
    Redeem {
        token: Number,
        bearer: Bearer,
    },
    /// The attempt that won asks again.
    Repeat {
        token: Number,
        bearer: Bearer,
    },
    Revoke {
        token: Number,
    },
    Detach {
        session: Number,
        by: Number,
        device: Number,
    },
    End {
        session: Number,
        by: Number,
    },
    Advance {
        secs: u64,
    },
    Sweep {
        at_most: usize,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0..1_000_usize;
    prop_oneof![
        4 => Just(Step::Create),
        6 => (number.clone(), number.clone()).prop_map(|(session, device)| Step::Resume { session, device }),
        6 => (number.clone(), number.clone(), 0..4_usize)
            .prop_map(|(session, by, key)| Step::Patch { session, by, key }),
        2 => (number.clone(), number.clone()).prop_map(|(session, by)| Step::Rotate { session, by }),
        2 => (number.clone(), number.clone()).prop_map(|(session, by)| Step::Look { session, by }),
        8 => (number.clone(), number.clone(), wish())
            .prop_map(|(session, by, wish)| Step::Mint { session, by, wish }),
        8 => (number.clone(), bearer()).prop_map(|(token, bearer)| Step::Redeem { token, bearer }),
        2 => (number.clone(), bearer()).prop_map(|(token, bearer)| Step::Repeat { token, bearer }),
        1 => number.clone().prop_map(|token| Step::Revoke { token }),
        1 => (number.clone(), number.clone(), number.clone())
            .prop_map(|(session, by, device)| Step::Detach { session, by, device }),
        1 => (number.clone(), number).prop_map(|(session, by)| Step::End { session, by }),
        3 => prop_oneof![4 => 0..60_u64, 2 => 300..900_u64, 1 => 1_000..5_000_u64]
            .prop_map(|secs| Step::Advance { secs }),
        1 => (1..50_usize).prop_map(|at_most| Step::Sweep { at_most }),
        1 => Just(Step::Reopen),
    ]
}

/// What a store is on.
pub(crate) enum Ground {
    Memory,
    Disk(Disk),
    /// A database, and how another node of it is made.
    Shared(Box<dyn Fn() -> Arc<dyn Store>>),
}

impl Ground {
    fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory => Arc::new(MemoryStore::new()),
            Self::Disk(disk) => {
                Arc::new(EmbeddedStore::open_on(disk.clone(), Config::default()).unwrap())
            }
            Self::Shared(node) => node(),
        }
    }
}

/// A store beside its model.
struct Pair {
    store: Arc<dyn Store>,
    ground: Ground,
    model: Model,
    next: Number,
    /// How often a person had to be asked.
    asked: usize,
}

pub(crate) fn bytes<const N: usize>(number: Number) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    bytes
}

fn device(number: Number) -> Device {
    let (id, digest) = (DeviceId::from_bytes(bytes(number)), Digest::from_bytes(bytes(number)));
    Device { id, digest, since: START, label: String::new() }
}

pub(crate) fn session_id(number: Number) -> SessionId {
    SessionId::from_bytes(bytes(number))
}

/// What a verb came to, without what it showed.
fn shape<T>(checked: &Checked<T>) -> Checked<()> {
    match checked {
        Checked::Done(_) => Checked::Done(()),
        Checked::Gone => Checked::Gone,
        Checked::Replaced => Checked::Replaced,
    }
}

/// One of the numbers there are.
fn fold<T>(all: &BTreeMap<Number, T>, number: Number) -> Number {
    all.keys().rev().nth(number % all.len().max(1)).copied().unwrap_or(number)
}

impl Pair {
    fn new(ground: Ground) -> Self {
        let store = ground.open();
        Self { store, ground, model: Model { now: START, ..Model::default() }, next: 1, asked: 0 }
    }

    fn fresh(&mut self) -> Number {
        self.next += 1;
        self.next
    }

    fn one_of_its_devices(&self, session: Number, device: Number) -> Number {
        let devices = self.model.sessions.get(&session).map_or(&[][..], |held| &held.devices);
        devices.get(device % devices.len().max(1)).copied().unwrap_or(device)
    }

    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Create => self.create().await,
            Step::Resume { session, device } => {
                self.resume(fold(&self.model.sessions, session), device).await;
            }
            Step::Patch { session, by, key } => self.patch(session, by, key, false).await,
            Step::Rotate { session, by } => self.patch(session, by, 0, true).await,
            Step::Look { session, by } => {
                let (session, by, right) = self.acting(session, by);
                let id = session_id(session);
                let looked = self.store.look(self.model.now, id, right).await.unwrap();
                assert_eq!(shape(&looked), self.model.under(session, by), "{looked:?}");
            }
            Step::Mint { session, by, wish } => self.mint(session, by, wish).await,
            Step::Redeem { token, bearer } => {
                let (token, attempt) = (fold(&self.model.tokens, token), self.fresh());
                self.redeem(token, attempt, bearer).await;
            }
            Step::Repeat { token, bearer } => {
                let token = fold(&self.model.tokens, token);
                let won = self.model.tokens.get(&token).and_then(|slip| slip.won);
                if let Some(won) = won {
                    self.redeem(token, won, bearer).await;
                }
            }
            Step::Revoke { token } => {
                let token = fold(&self.model.tokens, token);
                let name = TokenId::from_bytes(bytes(token));
                let revoked = self.store.revoke(self.model.now, name).await.unwrap();
                assert!(self.model.revoke(token).is_none_or(|expected| revoked == expected));
            }
            Step::Detach { session, by, device } => self.detach(session, by, device).await,
            Step::End { session, by } => {
                let (session, by, right) = self.acting(session, by);
                let id = session_id(session);
                let ended = self.store.end(self.model.now, id, right).await.unwrap();
                assert_eq!(ended, self.model.end(session, by));
            }
            Step::Advance { secs } => self.model.advance(secs * 1_000 + 1),
            Step::Sweep { at_most } => {
                let dropped = self.store.sweep(self.model.now, at_most).await.unwrap();
                assert!(dropped <= at_most);
            }
            Step::Reopen => self.reopen().await,
        }
    }

    async fn create(&mut self) {
        let (session, number) = (self.fresh(), self.fresh());
        let record =
            Record::new(session_id(session), self.model.now, Lifetime::default(), device(number));
        let founding = Founding { record, patch: Patch::default(), token: None };
        let created = self.store.create(self.model.now, founding).await.unwrap();
        assert!(matches!(created, Created::New(_)), "{created:?}");
        self.model.create(session, number);
    }

    async fn resume(&mut self, session: Number, number: Number) {
        let number = self.one_of_its_devices(session, number);
        let digest = device(number).digest;
        let resumed = self.store.resume(self.model.now, session_id(session), digest).await.unwrap();
        let matches = match self.model.resume(session, number) {
            Checked::Done(()) => matches!(resumed, Resumed::Open(_)),
            Checked::Gone => matches!(resumed, Resumed::Closed | Resumed::Unheard),
            Checked::Replaced => matches!(resumed, Resumed::Replaced { .. }),
        };
        assert!(matches, "{resumed:?}");
    }

    /// A session, and one of the rights that there are or were to it.
    fn acting(&self, session: Number, by: Number) -> (Number, By, Right) {
        let session = fold(&self.model.sessions, session);
        let by = self.model.right(session, by);
        let right = match by {
            By::Operator => Right::Operator,
            By::Device(number) => Right::Credential(device(number).digest),
            By::Grant(generation) => Right::Grant { generation },
        };
        (session, by, right)
    }

    async fn patch(&mut self, session: Number, by: Number, key: usize, rotates: bool) {
        let (session, by, right) = self.acting(session, by);
        let value = self.fresh();
        let rotate = rotates.then_some(value);
        let patch = Patch { rotate: rotate.map(device), ..set(&key.to_string(), &json!(value)) };
        let id = session_id(session);
        let patched = self.store.patch(self.model.now, id, right, patch).await.unwrap();
        let matches = match self.model.patch(session, by, (key, value as u64), rotate) {
            Checked::Done(()) => matches!(patched, Patched::Done(_)),
            Checked::Gone => matches!(patched, Patched::Gone),
            Checked::Replaced => matches!(patched, Patched::Replaced),
        };
        assert!(matches, "{patched:?}");
    }

    async fn mint(&mut self, session: Number, by: Number, wish: Wish) {
        let (session, by, right) = self.acting(session, by);
        let number = self.fresh();
        let now = self.model.now;
        let token = Token {
            digest: Digest::from_bytes(bytes(number)),
            id: TokenId::from_bytes(bytes(number)),
            session: session_id(session),
            minted_at: now,
            expires_at: now.after_secs(wish.lifespan_secs),
            handlers: Vec::new(),
            mode: None,
            confirm: wish.confirm,
            binding: wish.browser.map(browser),
            generation: 0,
            claim: None,
            run: None,
        };
        let minted = self.store.mint(now, right, Patch::default(), token).await.unwrap();
        let matches = match self.model.mint(session, by, number, wish) {
            Some(Checked::Done(())) => matches!(minted, Minted::Done(_)),
            Some(Checked::Gone) => matches!(minted, Minted::Gone),
            Some(Checked::Replaced) => matches!(minted, Minted::Replaced),
            None => matches!(minted, Minted::TooMany),
        };
        assert!(matches, "{minted:?}");
    }

    async fn redeem(&mut self, token: Number, attempt: Number, bearer: Bearer) {
        let signed_in = bearer.signed_in.map(|session| fold(&self.model.sessions, session));
        let bearer = Bearer { signed_in, ..bearer };
        let claim = Claim {
            token: Digest::from_bytes(bytes(token)),
            id: ClaimId::from_bytes(bytes(attempt)),
            handler: "Pay.done".into(),
            row_mode: if bearer.joins { RestoreMode::Share } else { RestoreMode::Context },
            caller: Caller::Browser,
            consent: bearer.consent(),
            current: None,
            newcomer: device(attempt),
            repeat: None,
        };
        let redeemed = self.store.redeem(self.model.now, claim).await.unwrap();
        let expected = self.model.redeem(token, attempt, bearer);
        self.asked += usize::from(matches!(redeemed, Redeemed::AskFirst(_)));
        let matches = match (&redeemed, expected) {
            (Redeemed::Granted(grant), Ending::Granted(session)) => {
                grant.opened.record.id == session_id(session)
            }
            (Redeemed::Used(..), Ending::Used)
            | (Redeemed::Expired, Ending::Expired)
            | (Redeemed::Unknown, Ending::Unknown)
            | (Redeemed::SessionGone, Ending::SessionGone)
            | (Redeemed::EndedBySignIn, Ending::EndedBySignIn) => true,
            (Redeemed::AskFirst(asked), Ending::Asks(question)) => *asked == question,
            (redeemed, Ending::Refused) => {
                !matches!(redeemed, Redeemed::Granted(_) | Redeemed::AskFirst(_))
            }
            _ => false,
        };
        assert!(matches, "token {token}: {redeemed:?}, where {expected:?} was to be expected");
    }

    async fn detach(&mut self, session: Number, by: Number, number: Number) {
        let (session, by, right) = self.acting(session, by);
        let number = self.one_of_its_devices(session, number);
        let id = device(number).id;
        let session_id = session_id(session);
        let detached = self.store.detach(self.model.now, session_id, right, id).await.unwrap();
        assert_eq!(detached, self.model.detach(session, by, number));
    }

    async fn reopen(&mut self) {
        match &self.ground {
            Ground::Memory => {}
            Ground::Disk(disk) => {
                let disk = disk.after_power_cut();
                self.cut_off(disk).await;
            }
            Ground::Shared(_) => {
                self.store.close().await.unwrap();
                self.store = self.ground.open();
            }
        }
    }

    /// Opens the store again, as after a power cut. That gives back the use that was not written
    /// down, so each session is used anew, or ended, once the difference is over.
    async fn cut_off(&mut self, disk: Disk) {
        self.ground = Ground::Disk(disk);
        self.store = self.ground.open();
        let lag = Lifetime::default().touch_lag();
        self.model.now = self.model.now.after(lag + Duration::from_millis(1));
        let numbers: Vec<Number> = self.model.sessions.keys().copied().collect();
        for session in numbers {
            if self.model.lives(session) && !self.model.sessions[&session].devices.is_empty() {
                self.resume(session, 0).await;
            } else {
                self.store.end(self.model.now, session_id(session), Right::Operator).await.unwrap();
                self.model.end(session, By::Operator);
            }
        }
    }

    /// Compares everything that can be seen.
    async fn compare(&mut self) {
        let numbers: Vec<Number> = self.model.sessions.keys().copied().collect();
        for session in numbers {
            let found = self
                .store
                .look(self.model.now, session_id(session), Right::Operator)
                .await
                .unwrap()
                .done();
            assert_eq!(found.is_some(), self.model.lives(session));
            let Some(opened) = found else { continue };
            let held = &self.model.sessions[&session];
            for (key, value) in &held.storage {
                let entry = opened.record.storage.find(&key.to_string()).unwrap();
                assert_eq!(entry.json.value(), json!(value));
            }
            assert_eq!(opened.record.storage.entries().len(), held.storage.len());
            let mut devices: Vec<DeviceId> = held.devices.iter().map(|it| device(*it).id).collect();
            let mut found: Vec<DeviceId> = opened.record.devices.iter().map(|it| it.id).collect();
            devices.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, devices);
        }
    }
}

/// Takes so many random walks of 200 steps, each on a ground of its own.
pub(crate) fn walk(cases: u32, ground: impl Fn() -> Ground) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = ProptestConfig {
        cases,
        // The walks are the same in every run, so there is nothing to be remembered.
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let algorithm = config.rng_algorithm;
    let (cases, asked) = (config.cases as usize, Cell::new(0));
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(algorithm));
    let done = runner.run(&vec(step(), 200), |steps| {
        runtime.block_on(async {
            let mut pair = Pair::new(ground());
            for step in &steps {
                pair.take(step).await;
            }
            pair.compare().await;
            asked.set(asked.get() + pair.asked);
        });
        Ok(())
    });
    done.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(asked.get() > cases, "{} questions in {cases} walks are too few", asked.get());
}

#[test]
fn the_memory_store_answers_as_the_model_does() {
    walk(size(64, 256), || Ground::Memory);
}

#[test]
fn the_embedded_store_answers_as_the_model_does_across_restarts() {
    walk(size(64, 256), || Ground::Disk(Disk::new()));
}

#[test]
fn a_shared_store_answers_as_the_model_does_from_node_to_node() {
    walk(size(64, 256), || {
        let engine = Arc::new(MapEngine::default());
        Ground::Shared(Box::new(move || SharedStore::new(Arc::clone(&engine) as _)))
    });
}
