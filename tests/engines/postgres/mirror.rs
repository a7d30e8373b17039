//! Whatever is asked of it, the database answers as the engine in memory does: the same random
//! steps are taken on both, and their answers compared.

use callgate::base::Digest;
use callgate::base::RestoreMode;
use callgate::base::SessionId;
use callgate::base::Timestamp;
use callgate::base::limits::TOMBSTONE;
use callgate::store::shared::engine::Asks;
use callgate::store::shared::engine::ClaimOrder;
use callgate::store::shared::engine::Commit;
use callgate::store::shared::engine::Engine;
use callgate::store::shared::engine::Expect;
use callgate::store::shared::engine::KeptAnswer;
use callgate::store::shared::engine::Mark;
use callgate::store::shared::engine::NEVER;
use callgate::store::shared::engine::SessionRow;
use callgate::store::shared::engine::TokenChange;
use callgate::store::shared::engine::TokenKey;
use callgate::store::shared::engine::TokenRow;
use callgate::store::shared::engine::Unspent;
use callgate::store::shared::map::MapEngine;

use crate::dice::Dice;
use crate::size;

use super::kit;
use super::kit::NOW;
use super::kit::digest;

const SESSIONS: usize = 3;
const TOKENS: usize = 6;
const MINUTE_MS: u64 = 60_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_answers_as_the_engine_in_memory_does() {
    let Some(url) = kit::url() else { return };
    let (runs, steps) = size((8, 150), (200, 200));
    let mut granted = 0;
    for seed in 0..runs {
        let database = kit::open(&format!("{url}?pool=1")).await;
        let memory = MapEngine::default();
        let mut player = Player { dice: Dice::new(seed), now: NOW, memory, granted: 0 };
        for step in 0..steps {
            player.step(&*database, &format!("seed {seed}, step {step}")).await;
        }
        database.close().await.unwrap();
        granted += player.granted;
    }
    assert!(granted >= 4 * usize::try_from(runs).unwrap(), "only {granted} claims were granted");
}

struct Player {
    dice: Dice,
    now: Timestamp,
    memory: MapEngine,
    granted: usize,
}

macro_rules! both {
    ($self:ident, $database:ident, $place:ident, $operation:ident($($argument:expr),*)) => {{
        let there = $database.$operation($($argument.clone()),*).await.unwrap();
        let here = $self.memory.$operation($($argument.clone()),*).await.unwrap();
        assert_eq!(there, here, "{}: {}{:?}", $place, stringify!($operation), ($(&$argument,)*));
    }};
}

impl Player {
    async fn step(&mut self, database: &dyn Engine, place: &str) {
        self.now = self.later(MINUTE_MS);
        match self.dice.below(16) {
            0..=5 => {
                let commit = self.commit().await;
                both!(self, database, place, commit(commit));
            }
            6..=11 => {
                let order = self.order().await;
                let there = database.claim(order.clone()).await.unwrap();
                self.granted += usize::from(there.granted);
                let here = self.memory.claim(order.clone()).await.unwrap();
                assert_eq!(there, here, "{place}: {order:?}");
            }
            12 => {
                let uses = vec![
                    (self.session(), self.sometime()),
                    (self.session(), self.sometime()),
                    (self.session(), self.sometime()),
                ];
                both!(self, database, place, touch(uses));
            }
            13 => both!(self, database, place, sweep(self.now, 1_000_usize)),
            14 => {
                let after = self.chance(2).then(|| self.session());
                both!(self, database, place, sessions(after, 1 + self.dice.clone().below(3)));
                let after = self.chance(2).then(|| kit::token(self.seed(), self.session()).id);
                both!(self, database, place, tokens(after, 1 + self.dice.clone().below(4)));
            }
            _ => {}
        }
        for seed in 0..SESSIONS {
            both!(self, database, place, read(kit::session_id(seed_of(seed))));
        }
        let key = TokenKey::Digest(digest(self.seed()));
        both!(self, database, place, find(key));
        let key = TokenKey::Name(kit::token(self.seed(), self.session()).id);
        both!(self, database, place, find(key));
    }

    async fn commit(&mut self) -> Commit {
        let id = self.session();
        let there = self.memory.read(id).await.unwrap();
        let expect = match &there {
            _ if self.chance(8) => Expect::Version(1 + self.dice.below(3) as u64),
            Some(row) if !self.chance(8) => Expect::Version(row.version),
            _ => Expect::Absent,
        };
        let seen_at = there.as_ref().map(|row| row.seen_at);
        let expect_seen = if self.chance(6) { Some(self.sometime()) } else { seen_at };
        let session =
            if expect == Expect::Absent || self.chance(2) { Some(self.row()) } else { None };
        let mint = self.chance(2).then(|| self.token(id));
        let mut session = session;
        if let (Some(row), Some(mint)) = (&mut session, &mint)
            && row.ended_at.is_none()
        {
            row.unspent.retain(|slip| slip.digest != mint.digest);
            row.unspent.push(kit::unspent(mint));
        }
        let due_at = match &session {
            Some(SessionRow { ended_at: Some(at), .. }) => at.after(TOMBSTONE),
            Some(row) => {
                Timestamp::from_millis(row.seen_at.millis() + row.idle_ms).min(row.absolute_at)
            }
            None => self.now,
        };
        Commit {
            id,
            expect,
            next: self.version(),
            expect_seen: expect_seen.filter(|_| self.chance(3)),
            expect_fence: self.chance(5).then(|| digest(self.seed())),
            guest: session.as_ref().is_some_and(|row| row.ended_at.is_none()),
            session,
            mint,
            marks: self.marks(),
            drops: self.drops().await,
            due_at,
        }
    }

    /// Only unclaimed tokens are taken back.
    async fn drops(&mut self) -> Vec<Digest> {
        let digest = digest(self.seed());
        let found = self.memory.find(TokenKey::Digest(digest)).await.unwrap();
        let is_open = found.is_none_or(|found| found.token.claim.is_none());
        if is_open && self.chance(6) { vec![digest] } else { Vec::new() }
    }

    /// At most one change of each token, as operations make them.
    fn marks(&mut self) -> Vec<Mark> {
        if !self.chance(3) {
            return Vec::new();
        }
        let first = self.dice.below(TOKENS);
        let mut marks = Vec::new();
        for number in 0..self.dice.below(3) {
            let change = match self.dice.below(4) {
                0 => {
                    let at = self.now;
                    let forget_at = at.millis().is_multiple_of(3).then(|| at.after_secs(600));
                    TokenChange::Claim { id: kit::claim_id(7), at, forget_at }
                }
                1 => TokenChange::Run {
                    run: b"run \0".to_vec(),
                    answer: if self.chance(2) { b"sealed".to_vec() } else { Vec::new() },
                    forget_at: self.within_the_hour(),
                },
                2 => TokenChange::Unanswered,
                _ => TokenChange::Void,
            };
            marks.push(Mark { digest: digest(seed_of((first + number) % TOKENS)), change });
        }
        marks
    }

    fn row(&mut self) -> SessionRow {
        if self.chance(20) {
            let answers = self.answers();
            return SessionRow { ended_at: Some(self.now), answers, ..SessionRow::default() };
        }
        // Each token once, as operations have it.
        let first = self.dice.below(TOKENS);
        let unspent = (0..self.dice.below(4)).map(|number| Unspent {
            digest: digest(seed_of((first + number) % TOKENS)),
            id: kit::token(9, kit::session_id(0)).id,
            expires_at: self.now,
        });
        let unspent = unspent.collect();
        let devices = (0..=self.small(3)).map(|seed| digest(0xd0 + seed)).collect();
        let joined = if self.chance(2) { vec![b"a".to_vec(), Vec::new()] } else { Vec::new() };
        let absolute_at = if self.chance(4) { self.within_the_hour() } else { NEVER };
        SessionRow {
            version: 99,
            seen_at: self.sometime(),
            idle_ms: (1 + self.dice.below(30) as u64) * MINUTE_MS,
            absolute_at,
            devices,
            joined,
            unspent,
            answers: self.answers(),
            ..kit::row()
        }
    }

    fn answers(&mut self) -> Vec<KeptAnswer> {
        let small = self.small(3);
        let kept = |seed| KeptAnswer { digest: digest(seed), at: self.now, bytes: u32::MAX };
        (1..=small).map(kept).collect()
    }

    fn token(&mut self, session: SessionId) -> TokenRow {
        let modes = [
            None,
            Some(RestoreMode::Auto),
            Some(RestoreMode::Share),
            Some(RestoreMode::Context),
            Some(RestoreMode::Transfer),
        ];
        TokenRow {
            expires_at: self.later(40 * MINUTE_MS),
            forget_at: self.within_the_hour(),
            handlers: match self.dice.below(8) {
                0 | 1 => vec!["Pay.done".to_owned(), "Other.éß".to_owned()],
                2 => vec!["Other.x".to_owned()],
                _ => Vec::new(),
            },
            mode: modes[self.dice.below(modes.len())],
            confirm: [0, 0, 0, 0, 1, 2][self.dice.below(6)],
            binding: self.chance(2).then(|| digest(0xb1)),
            claim: self.chance(20).then(|| (kit::claim_id(3), self.now)),
            run: if self.chance(4) { b"run".to_vec() } else { Vec::new() },
            answer: if self.chance(4) { b"\0\0".to_vec() } else { Vec::new() },
            ..kit::token(self.seed(), session)
        }
    }

    async fn order(&mut self) -> ClaimOrder {
        let mut seed = self.seed();
        // Mostly one that is there: a claim that finds nothing tells little.
        for _ in 0..12 {
            let key = TokenKey::Digest(digest(seed));
            match self.memory.find(key).await.unwrap() {
                Some(found) if found.token.claim.is_none() && found.session.is_some() => break,
                _ => seed = self.seed(),
            }
        }
        let click = [None, None, None, Some(0), Some(1), Some(2)][self.dice.below(6)];
        let modes = RestoreMode::NAMES.map(|(_, mode)| mode);
        ClaimOrder {
            now: self.now,
            id: kit::claim_id(1 + self.small(2)),
            row_mode: modes[self.dice.below(modes.len())],
            auto_shares: self.chance(2),
            asks: Asks {
                click,
                browser: [None, Some(digest(0xb1)), Some(digest(0xb2))][self.dice.below(3)],
                signed_in: self.chance(6).then(|| self.session()),
            },
            current: self.chance(3).then(|| (self.session(), digest(0xd0 + self.small(3)))),
            newcomer_digest: digest(0xd0 + self.small(8)),
            run: self.chance(4).then(|| (b"won".to_vec(), self.within_the_hour())),
            devices_max: 2 + self.dice.below(8),
            next: self.version(),
            ..kit::order(digest(seed))
        }
    }

    fn small(&mut self, end: usize) -> u8 {
        u8::try_from(self.dice.below(end)).unwrap()
    }

    fn version(&mut self) -> u64 {
        1 + self.dice.below(1 << 62) as u64
    }

    fn chance(&mut self, of: usize) -> bool {
        self.dice.below(of) == 0
    }

    fn seed(&mut self) -> u8 {
        seed_of(self.dice.below(TOKENS))
    }

    fn session(&mut self) -> SessionId {
        kit::session_id(seed_of(self.dice.below(SESSIONS)))
    }

    /// Within this span from now.
    fn later(&mut self, span_ms: u64) -> Timestamp {
        let millis = self.dice.below(usize::try_from(span_ms).unwrap()) as u64;
        Timestamp::from_millis(self.now.millis() + millis)
    }

    fn within_the_hour(&mut self) -> Timestamp {
        self.later(60 * MINUTE_MS)
    }

    /// A little before or after now.
    fn sometime(&mut self) -> Timestamp {
        let ahead = self.later(10 * MINUTE_MS);
        Timestamp::from_millis(ahead.millis() - 5 * MINUTE_MS)
    }
}

fn seed_of(number: usize) -> u8 {
    1 + u8::try_from(number).unwrap()
}
