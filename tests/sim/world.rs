//! What the clients of the simulated nodes do, what they share, and the record of what they heard.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use callgate::Gate;
use callgate::gate::Answer;
use callgate::gate::Call;
use callgate::gate::Client;

use crate::checker;
use crate::checker::Act;
use crate::checker::Ending;
use crate::checker::Number;
use crate::checker::Operation;
use crate::checker::Redemption;
use crate::dice::Dice;
use crate::turning::Turnings;

/// Storage keys that clients write in each session, so that they meet.
const KEYS: usize = 3;
/// Sessions in use at once; a client founds one when there are fewer.
const SESSIONS: usize = 6;
/// Tokens minted of one session in all: below what a session may hold unspent.
const MINTS: usize = 14;

/// What all clients share.
pub(crate) struct World {
    cookie_name: String,
    /// The sessions whose rights end all the time.
    pub(crate) turnings: Turnings,
    /// The one clock of the record.
    moment: AtomicU64,
    value: AtomicU64,
    minted: AtomicUsize,
    history: Mutex<Vec<Operation>>,
    sessions: Mutex<Vec<Arc<Place>>>,
    open: Mutex<Vec<Arc<Place>>>,
    unspent: Mutex<Vec<Arc<Slip>>>,
    tried: Mutex<Vec<Arc<Slip>>>,
    /// The network is whole again, and clients do no more than look.
    pub(crate) healed: AtomicBool,
    /// Nodes whose look at everything is over.
    pub(crate) looked: AtomicUsize,
}

/// A session.
pub(crate) struct Place {
    number: Number,
    id: String,
    cookie: String,
    mints: AtomicUsize,
}

/// A token.
struct Slip {
    number: Number,
    session: Number,
    text: String,
}

/// An operation that has begun. If its client dies with its node, nobody knows how it ended.
struct Begun<'w> {
    world: &'w World,
    began: u64,
    act: Option<Act>,
}

impl Begun<'_> {
    /// Notes how it ended, and perhaps something else than was begun.
    fn ended(mut self, act: Act, ending: Ending) {
        self.act = None;
        self.world.note(self.began, act, ending);
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let Some(act) = self.act.take() {
            self.world.note(self.began, act, Ending::Info);
        }
    }
}

impl World {
    pub(crate) fn new(cookie_name: String) -> Self {
        Self {
            turnings: Turnings::new(cookie_name.clone()),
            cookie_name,
            moment: AtomicU64::new(1),
            value: AtomicU64::new(1),
            minted: AtomicUsize::new(0),
            history: Mutex::default(),
            sessions: Mutex::default(),
            open: Mutex::default(),
            unspent: Mutex::default(),
            tried: Mutex::default(),
            healed: AtomicBool::new(false),
            looked: AtomicUsize::new(0),
        }
    }

    pub(crate) fn history(&self) -> Vec<Operation> {
        self.history.lock().unwrap().clone()
    }

    fn tick(&self) -> u64 {
        self.moment.fetch_add(1, Ordering::SeqCst)
    }

    fn note(&self, began: u64, act: Act, ending: Ending) {
        let ended = self.tick();
        self.history.lock().unwrap().push(Operation { act, began, ended, ending });
    }

    fn begin(&self, act: Act) -> Begun<'_> {
        Begun { world: self, began: self.tick(), act: Some(act) }
    }

    fn visitor(&self, gate: &Gate, place: Option<&Place>) -> Client {
        let client = gate.client();
        if let Some(place) = place {
            client.plant(&self.cookie_name, &place.cookie);
        }
        client
    }

    /// One operation on this node.
    pub(crate) async fn step(&self, gate: &Gate, dice: &mut Dice) {
        if dice.below(3) == 0 {
            return self.turnings.step(gate, dice).await;
        }
        let Some(place) = self.pick(dice) else { return self.found(gate, dice).await };
        match dice.below(100) {
            0..35 => self.write(gate, &place, dice.below(KEYS)).await,
            35..60 => self.mint(gate, &place).await,
            60..90 => match self.slip(dice) {
                Some(slip) => self.redeem(gate, &slip, dice.below(2) == 0).await,
                None => self.mint(gate, &place).await,
            },
            90..93 => self.log_out(gate, &place).await,
            _ => self.read(gate, &place).await,
        }
    }

    fn pick(&self, dice: &mut Dice) -> Option<Arc<Place>> {
        let open = self.open.lock().unwrap();
        (open.len() >= SESSIONS).then(|| Arc::clone(&open[dice.below(open.len())]))
    }

    /// One of few, so that clients meet at the same token; now and then one that was tried.
    fn slip(&self, dice: &mut Dice) -> Option<Arc<Slip>> {
        let from = if dice.below(4) == 0 { &self.tried } else { &self.unspent };
        let slips = from.lock().unwrap();
        let few = slips.len().min(4);
        (few > 0).then(|| Arc::clone(&slips[slips.len() - 1 - dice.below(few)]))
    }

    /// Founds a session by its first write. One that was not acknowledged nobody can ever use.
    async fn found(&self, gate: &Gate, dice: &mut Dice) {
        let visitor = self.visitor(gate, None);
        let (key, value) = (dice.below(KEYS), self.value.fetch_add(1, Ordering::SeqCst));
        let began = self.tick();
        let Some(answer) = heard(visitor.get(&write(key, value))).await else { return };
        let place = {
            let mut sessions = self.sessions.lock().unwrap();
            let place = Arc::new(Place {
                number: sessions.len(),
                id: answer.json()["result"].as_str().unwrap().to_owned(),
                cookie: visitor.cookie(&self.cookie_name).unwrap(),
                mints: AtomicUsize::new(0),
            });
            sessions.push(Arc::clone(&place));
            place
        };
        self.note(began, Act::Write { session: place.number, key, value }, Ending::Ok);
        self.open.lock().unwrap().push(place);
    }

    async fn write(&self, gate: &Gate, place: &Place, key: Number) {
        let value = self.value.fetch_add(1, Ordering::SeqCst);
        let act = Act::Write { session: place.number, key, value };
        let begun = self.begin(act.clone());
        let visitor = self.visitor(gate, Some(place));
        let Some(answer) = heard(visitor.get(&write(key, value))).await else { return };
        if answer.json()["result"] == place.id.as_str() {
            begun.ended(act, Ending::Ok);
        } else {
            begun.ended(act, Ending::Fail);
            self.close(place);
        }
    }

    async fn mint(&self, gate: &Gate, place: &Place) {
        if place.mints.fetch_add(1, Ordering::SeqCst) >= MINTS {
            return self.read(gate, place).await;
        }
        let visitor = self.visitor(gate, Some(place));
        let began = self.tick();
        // A token that was not heard of nobody can ever redeem.
        let Some(answer) = heard(visitor.get("/mint")).await else { return };
        if answer.status != 200 || visitor.cookie(&self.cookie_name).as_ref() != Some(&place.cookie)
        {
            return self.close(place);
        }
        let number = self.minted.fetch_add(1, Ordering::SeqCst);
        self.note(began, Act::Mint { session: place.number, token: number }, Ending::Ok);
        let slip = Slip { number, session: place.number, text: answer.text() };
        self.unspent.lock().unwrap().push(Arc::new(slip));
    }

    async fn redeem(&self, gate: &Gate, slip: &Arc<Slip>, joins: bool) {
        let row = if joins { "share" } else { "context" };
        let token = slip.number;
        let begun = self.begin(Act::Redeem { token, saw: Redemption::Unheard });
        let visitor = self.visitor(gate, None);
        let call = visitor.get(&format!("/{row}?$4DSID={}", slip.text)).as_browser();
        let answer = heard(call).await;
        self.unspent.lock().unwrap().retain(|other| !Arc::ptr_eq(other, slip));
        let mut tried = self.tried.lock().unwrap();
        tried.retain(|other| !Arc::ptr_eq(other, slip));
        tried.push(Arc::clone(slip));
        drop(tried);
        let Some(answer) = answer else { return };
        if answer.header("x-outcome") == "sessionGone" {
            let gone = Act::Read { session: slip.session, saw: None };
            self.note(begun.began, gone, Ending::Ok);
        }
        begun.ended(Act::Redeem { token, saw: self.redemption(&answer) }, Ending::Ok);
    }

    fn redemption(&self, answer: &Answer) -> Redemption {
        match answer.header("x-outcome") {
            "restored" => {
                let id = answer.json()["id"].as_str().unwrap().to_owned();
                let sessions = self.sessions.lock().unwrap();
                let place = sessions.iter().find(|place| place.id == id);
                Redemption::Granted(place.map_or(Number::MAX, |place| place.number))
            }
            "used" => Redemption::Refused("used"),
            "unknown" => Redemption::Refused("unknown"),
            "expired" => Redemption::Refused("expired"),
            "sessionGone" => Redemption::Refused(checker::SESSION_GONE),
            other => panic!("no such outcome was to be expected: {other:?}"),
        }
    }

    async fn log_out(&self, gate: &Gate, place: &Place) {
        let act = Act::Logout { session: place.number };
        let begun = self.begin(act.clone());
        self.close(place);
        let visitor = self.visitor(gate, Some(place));
        if heard(visitor.get("/logout")).await.is_some() {
            begun.ended(act, Ending::Ok);
        }
    }

    async fn read(&self, gate: &Gate, place: &Place) {
        let visitor = self.visitor(gate, Some(place));
        let began = self.tick();
        let Some(answer) = heard(visitor.get("/whoami")).await else { return };
        let session = place.number;
        if answer.json()["id"] != place.id.as_str() {
            self.note(began, Act::Read { session, saw: None }, Ending::Ok);
            return self.close(place);
        }
        let storage = answer.json()["storage"].take();
        let number = |text: &str| text.parse().unwrap();
        let values = storage.as_object().unwrap().iter();
        let values: BTreeMap<Number, u64> = values
            .map(|(key, value)| (key.parse().unwrap(), number(value.as_str().unwrap())))
            .collect();
        self.note(began, Act::Read { session, saw: Some(values) }, Ending::Ok);
    }

    fn close(&self, place: &Place) {
        self.open.lock().unwrap().retain(|other| other.number != place.number);
    }

    /// Whether this node mints a fresh token and redeems it, once.
    pub(crate) async fn is_in_service(&self, gate: &Gate) -> bool {
        let visitor = gate.client();
        let Some(minted) = heard(visitor.get("/mint")).await else { return false };
        let target = format!("/share?$4DSID={}", minted.text());
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            match heard(gate.client().get(&target).as_browser()).await {
                Some(answer) => outcomes.push(answer.header("x-outcome").to_owned()),
                None => return false,
            }
        }
        outcomes == ["restored", "used"]
    }

    /// Looks at every session and at every token once more.
    pub(crate) async fn look_at_everything(&self, gate: &Gate) {
        let sessions = self.sessions.lock().unwrap().clone();
        for place in &sessions {
            self.read(gate, place).await;
        }
        let mut slips = self.tried.lock().unwrap().clone();
        slips.extend(self.unspent.lock().unwrap().iter().cloned());
        for slip in &slips {
            self.redeem(gate, slip, false).await;
        }
        self.turnings.look_at_everything(gate).await;
    }
}

fn write(key: Number, value: u64) -> String {
    format!("/write?key={key}&value={value}")
}

/// The answer, unless it says that there is none.
pub(crate) async fn heard(call: Call) -> Option<Answer> {
    let answer = call.send().await;
    (answer.status < 500).then_some(answer)
}
