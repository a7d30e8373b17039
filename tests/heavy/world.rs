//! What the clients of a killed server share: what they may use, what they do, and the record.

use std::collections::BTreeMap;
use std::io;
use std::io::ErrorKind;
use std::mem;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use tokio::sync::Semaphore;

use crate::checker;
use crate::checker::Act;
use crate::checker::Ending;
use crate::checker::NEVER;
use crate::checker::Number;
use crate::checker::Operation;
use crate::checker::Redemption;
use crate::support::Ask;
use crate::support::Connection;
use crate::support::Dice;
use crate::support::Reply;
use crate::support::Server;
use crate::support::figure;
use crate::support::median;

/// Storage keys that clients write in each session, so that they meet.
const KEYS: usize = 4;
/// Sessions in use at once; a client founds one when there are fewer.
const SESSIONS: usize = 24;
/// Tokens minted of one session in all: below what a session may hold unspent.
const MINTS: usize = 14;

/// Looks that a world of many nodes may be refused in all.
const REFUSED_MAX: usize = 1_000;

/// What all clients share: what they may use, and the record.
pub(crate) struct World {
    /// The one clock of the record.
    moment: AtomicU64,
    value: AtomicU64,
    history: Mutex<Vec<Operation>>,
    /// Every session there ever was, by number.
    pub(crate) sessions: Mutex<Vec<Arc<Place>>>,
    /// Those in use.
    open: Mutex<Vec<Arc<Place>>>,
    /// Those whose end was begun since the last look.
    pub(crate) closed: Mutex<Vec<Arc<Place>>>,
    /// Tokens that were minted and that nobody has tried yet, as far as is known.
    unspent: Mutex<Vec<Arc<Slip>>>,
    /// Tokens that somebody tried since the last look.
    tried: Mutex<Vec<Arc<Slip>>>,
    minted: AtomicUsize,
    /// The server is being killed: connections may break from now on.
    pub(crate) killed: AtomicBool,
    /// One permit for each answered operation of this cycle.
    pub(crate) answered: Semaphore,
    /// Seconds from the start of the process to its first answer.
    pub(crate) restarts: Mutex<Vec<f64>>,
    /// Whether a server may say that it cannot answer; then nobody knows what it did.
    lenient: bool,
    /// Whether what was not answered may still happen, because a database outlives its nodes.
    shared: bool,
    /// Whether sessions may be gone, or be as they were, after the database was killed.
    forgetful: bool,
    /// Looks that were refused because the database was away.
    refused: AtomicUsize,
}

/// A session.
pub(crate) struct Place {
    number: Number,
    id: String,
    cookie: String,
    mints: AtomicUsize,
    /// Somebody has begun to log out.
    closing: AtomicBool,
}

/// A token.
struct Slip {
    number: Number,
    text: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            moment: AtomicU64::new(1),
            value: AtomicU64::new(1),
            history: Mutex::default(),
            sessions: Mutex::default(),
            open: Mutex::default(),
            closed: Mutex::default(),
            unspent: Mutex::default(),
            tried: Mutex::default(),
            minted: AtomicUsize::new(0),
            killed: AtomicBool::new(false),
            answered: Semaphore::new(0),
            restarts: Mutex::default(),
            lenient: false,
            shared: false,
            forgetful: false,
            refused: AtomicUsize::new(0),
        }
    }

    /// A world in which requests may fail.
    pub(crate) fn lenient() -> Self {
        Self { lenient: true, ..Self::new() }
    }

    /// A world of many nodes on one database, in which requests may fail.
    pub(crate) fn shared() -> Self {
        Self { shared: true, ..Self::lenient() }
    }

    /// A world of many nodes on a database that may lose what it has acknowledged.
    pub(crate) fn forgetful() -> Self {
        Self { forgetful: true, ..Self::shared() }
    }

    /// Asks. Where requests may fail, a failure is no answer.
    async fn ask(&self, by: &mut Connection, ask: &Ask) -> io::Result<Reply> {
        let reply = by.ask(ask).await?;
        // A database that is away is no failure of the node's own.
        let failed = if self.shared { reply.status == 503 } else { reply.status >= 500 };
        if self.lenient && failed {
            return Err(io::Error::other(reply.head));
        }
        Ok(reply)
    }

    fn tick(&self) -> u64 {
        self.moment.fetch_add(1, Ordering::SeqCst)
    }

    fn note(&self, began: u64, act: Act, ending: Ending) {
        let late = self.shared && ending == Ending::Info;
        let ended = if late { NEVER } else { self.tick() };
        self.history.lock().unwrap().push(Operation { act, began, ended, ending });
    }

    pub(crate) fn history(&self) -> Vec<Operation> {
        self.history.lock().unwrap().clone()
    }

    pub(crate) async fn first_answer(&self, server: &Server) -> Connection {
        let mut connection = server.connect().await;
        connection.ask(&Ask::get("/whoami")).await.unwrap().good();
        self.restarts.lock().unwrap().push(server.since_spawn.elapsed().as_secs_f64());
        connection
    }

    /// One operation, noted down however it ends.
    pub(crate) async fn step(
        &self,
        connection: &mut Connection,
        dice: &mut Dice,
    ) -> io::Result<()> {
        connection.renew().await?;
        let Some(place) = self.pick(dice) else {
            return self.found(connection, dice).await;
        };
        match dice.below(100) {
            0..40 => self.write(connection, &place, dice.below(KEYS)).await,
            40..60 => self.mint(connection, &place).await,
            60..90 => match self.slip(dice) {
                Some(slip) => self.redeem(connection, &slip, dice.below(2) == 0).await,
                None => self.mint(connection, &place).await,
            },
            90..94 => self.log_out(connection, &place).await,
            _ => self.read(connection, &place).await,
        }
    }

    fn pick(&self, dice: &mut Dice) -> Option<Arc<Place>> {
        let open = self.open.lock().unwrap();
        (open.len() >= SESSIONS).then(|| Arc::clone(&open[dice.below(open.len())]))
    }

    fn slip(&self, dice: &mut Dice) -> Option<Arc<Slip>> {
        let unspent = self.unspent.lock().unwrap();
        // Of few, so that clients meet at the same token.
        let few = unspent.len().min(8);
        (few > 0).then(|| Arc::clone(&unspent[dice.below(few)]))
    }

    /// Founds a session by its first write. One that was not acknowledged nobody can ever use.
    async fn found(&self, connection: &mut Connection, dice: &mut Dice) -> io::Result<()> {
        let (began, key) = (self.tick(), dice.below(KEYS));
        let value = self.value.fetch_add(1, Ordering::SeqCst);
        let reply =
            self.ask(connection, &Ask::get(&format!("/write?key={key}&value={value}"))).await?;
        let reply = reply.good();
        let place = {
            let mut sessions = self.sessions.lock().unwrap();
            let place = Arc::new(Place {
                number: sessions.len(),
                id: reply.result().as_str().unwrap().to_owned(),
                cookie: reply.cookie().unwrap().to_owned(),
                mints: AtomicUsize::new(0),
                closing: AtomicBool::new(false),
            });
            sessions.push(Arc::clone(&place));
            place
        };
        self.note(began, Act::Write { session: place.number, key, value }, Ending::Ok);
        self.open.lock().unwrap().push(place);
        Ok(())
    }

    async fn write(&self, by: &mut Connection, place: &Place, key: Number) -> io::Result<()> {
        let value = self.value.fetch_add(1, Ordering::SeqCst);
        let act = Act::Write { session: place.number, key, value };
        let ask = Ask::get(&format!("/write?key={key}&value={value}")).cookie(&place.cookie);
        let began = self.tick();
        match self.ask(by, &ask).await {
            Ok(reply) if reply.clone().good().result() == place.id => {
                self.note(began, act, Ending::Ok);
            }
            Ok(_) => {
                self.note(began, act, Ending::Fail);
                self.miss(began, place);
            }
            Err(error) => {
                self.note(began, act, Ending::Info);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn mint(&self, by: &mut Connection, place: &Place) -> io::Result<()> {
        if place.mints.fetch_add(1, Ordering::SeqCst) >= MINTS {
            return self.read(by, place).await;
        }
        let ask = Ask::get("/mint").cookie(&place.cookie);
        let began = self.tick();
        // A token that was not heard of nobody can ever redeem.
        let reply = self.ask(by, &ask).await?;
        if reply.status != 200 {
            // Its session ended while the handler ran.
            let ended = self.forgetful || place.closing.load(Ordering::SeqCst);
            assert!(ended, "{}{}", reply.head, reply.text());
        } else if reply.cookie().is_some() {
            // Its caller had become a stranger, who got a session and a token of his own.
            self.miss(began, place);
        } else {
            let number = self.minted.fetch_add(1, Ordering::SeqCst);
            let act = Act::Mint { session: place.number, token: number };
            self.note(began, act, Ending::Ok);
            let slip = Slip { number, text: reply.text() };
            self.unspent.lock().unwrap().push(Arc::new(slip));
        }
        Ok(())
    }

    async fn redeem(&self, by: &mut Connection, slip: &Arc<Slip>, joins: bool) -> io::Result<()> {
        let row = if joins { "share" } else { "context" };
        let ask = Ask::get(&format!("/{row}?$4DSID={}", slip.text)).browser();
        let began = self.tick();
        let reply = self.ask(by, &ask).await;
        self.unspent.lock().unwrap().retain(|other| !Arc::ptr_eq(other, slip));
        self.tried.lock().unwrap().push(Arc::clone(slip));
        let token = slip.number;
        match reply {
            Ok(reply) => {
                let saw = self.redemption(&reply.good());
                self.note(began, Act::Redeem { token, saw }, Ending::Ok);
                Ok(())
            }
            Err(error) => {
                let saw = Redemption::Unheard;
                self.note(began, Act::Redeem { token, saw }, Ending::Info);
                Err(error)
            }
        }
    }

    fn redemption(&self, reply: &Reply) -> Redemption {
        match reply.outcome() {
            "restored" => {
                let id = reply.session();
                let sessions = self.sessions.lock().unwrap();
                let place = sessions.iter().find(|place| place.id == id);
                Redemption::Granted(place.map_or(Number::MAX, |place| place.number))
            }
            "used" => Redemption::Refused("used"),
            "unknown" => Redemption::Refused("unknown"),
            "sessionGone" => Redemption::Refused(checker::SESSION_GONE),
            // By a database that has been replaced or restarted since it was minted.
            "expired" if self.shared => Redemption::Refused("expired"),
            other => panic!("no such outcome was to be expected: {other:?}"),
        }
    }

    async fn log_out(&self, by: &mut Connection, place: &Arc<Place>) -> io::Result<()> {
        let act = Act::Logout { session: place.number };
        place.closing.store(true, Ordering::SeqCst);
        self.open.lock().unwrap().retain(|other| !Arc::ptr_eq(other, place));
        self.closed.lock().unwrap().push(Arc::clone(place));
        let ask = Ask::get("/logout").cookie(&place.cookie);
        let began = self.tick();
        match self.ask(by, &ask).await {
            Ok(reply) => {
                reply.good();
                self.note(began, act, Ending::Ok);
                Ok(())
            }
            Err(error) => {
                self.note(began, act, Ending::Info);
                Err(error)
            }
        }
    }

    async fn read(&self, by: &mut Connection, place: &Place) -> io::Result<()> {
        let ask = Ask::get("/whoami").cookie(&place.cookie);
        let began = self.tick();
        let reply = self.ask(by, &ask).await?.good();
        if reply.session() == place.id {
            let storage = reply.json()["storage"].take();
            let values = storage.as_object().unwrap().iter();
            let number = |text: &str| text.parse().unwrap();
            let values: BTreeMap<Number, u64> = values
                .map(|(key, value)| (key.parse().unwrap(), number(value.as_str().unwrap())))
                .collect();
            let act = Act::Read { session: place.number, saw: Some(values) };
            self.note(began, act, Ending::Ok);
        } else {
            self.miss(began, place);
        }
        Ok(())
    }

    /// Notes that a session was not there, and uses it no more.
    fn miss(&self, began: u64, place: &Place) {
        self.note(began, Act::Read { session: place.number, saw: None }, Ending::Ok);
        self.open.lock().unwrap().retain(|other| other.number != place.number);
    }

    /// Looks at what a restart has left: all sessions in use or just closed, all tokens that
    /// were tried, and one of `share` that nobody tried.
    pub(crate) async fn verify(&self, connection: &mut Connection, dice: &mut Dice, share: usize) {
        let open = self.open.lock().unwrap().clone();
        let closed = mem::take(&mut *self.closed.lock().unwrap());
        for place in open.iter().chain(&closed) {
            connection.renew().await.unwrap();
            while let Err(error) = self.read(connection, place).await {
                self.forgive(&error);
            }
        }
        let tried = mem::take(&mut *self.tried.lock().unwrap());
        self.redeem_all(connection, &tried).await;
        // Those have been shown twice now. What is redeemed next is shown again after the next
        // restart.
        self.tried.lock().unwrap().clear();
        let mut unspent = self.unspent.lock().unwrap().clone();
        unspent.retain(|_| dice.below(share) == 0);
        self.redeem_all(connection, &unspent).await;
    }

    async fn redeem_all(&self, connection: &mut Connection, slips: &[Arc<Slip>]) {
        for slip in slips {
            connection.renew().await.unwrap();
            if let Err(error) = self.redeem(connection, slip, false).await {
                self.forgive(&error);
            }
        }
    }

    /// A node that has just been cut off finds one dead connection after the other.
    fn forgive(&self, error: &io::Error) {
        let refused = self.refused.fetch_add(1, Ordering::SeqCst);
        let forgivable = self.shared && error.kind() == ErrorKind::Other && refused < REFUSED_MAX;
        assert!(forgivable, "a look failed: {error}");
    }

    pub(crate) fn report(&self, name: &str, cycles: usize) {
        let history = self.history();
        let count = |kind: fn(&Operation) -> bool| history.iter().filter(|it| kind(it)).count();
        let granted = count(|it| matches!(it.act, Act::Redeem { saw: Redemption::Granted(_), .. }));
        let restarts = self.restarts.lock().unwrap().clone();
        let slowest = restarts.iter().copied().fold(0.0, f64::max);
        // Whoever never started a server after the first has nothing to tell of it.
        let restarted = (!restarts.is_empty()).then(|| {
            let (usual, slowest) = (median(restarts) * 1_000.0, slowest * 1_000.0);
            format!("; from start to first answer median {usual:.0} ms, slowest {slowest:.0} ms")
        });
        figure(
            name,
            format!(
                "{cycles} rounds, {} operations ({} without an answer), {} writes, {} tokens \
                 minted, {granted} granted, {} logouts, {} sessions{}",
                history.len(),
                count(|it| it.ending == Ending::Info),
                count(|it| matches!(it.act, Act::Write { .. })),
                self.minted.load(Ordering::SeqCst),
                count(|it| matches!(it.act, Act::Logout { .. })),
                self.sessions.lock().unwrap().len(),
                restarted.unwrap_or_default(),
            ),
        );
    }
}
