//! Sessions whose rights end all the time: clients go on with every right that they ever had, and
//! none of them may see or change what the session has become since.
//!
//! Whoever ends the others' rights raises the `epoch` of the session in the same step. So what a
//! client is shown tells by which right it was let in, and a value that is written by the rights of
//! one epoch only stands still from the next one on.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use callgate::Gate;
use callgate::gate::Answer;
use callgate::gate::Client;
use serde_json::Value;

use crate::dice::Dice;
use crate::world::heard;

/// Sessions in use at once.
const SESSIONS: usize = 2;

/// All such sessions.
pub(crate) struct Turnings {
    cookie_name: String,
    all: Mutex<Vec<Arc<Turning>>>,
    wrong: Mutex<Vec<String>>,
    value: AtomicU64,
    turns: AtomicU64,
}

struct Turning {
    id: String,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    cookie: String,
    epoch: u64,
    /// Every cookie that there was, with its epoch.
    cookies: Vec<(String, u64)>,
    tokens: Vec<(String, u64)>,
    /// What the rights of each epoch wrote last, when the next one began.
    sealed: Vec<(u64, Value)>,
    /// Whether somebody is ending the others' rights.
    rises: bool,
    /// Whether meanwhile the right that is to end may have ended the session.
    leaves: bool,
    /// Whether nobody knows which cookie is good.
    lost: bool,
}

impl Turnings {
    pub(crate) fn new(cookie_name: String) -> Self {
        let (value, turns) = (AtomicU64::new(1), AtomicU64::new(0));
        Self { cookie_name, all: Mutex::default(), wrong: Mutex::default(), value, turns }
    }

    /// What an ended right has seen or done.
    pub(crate) fn wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap().clone()
    }

    /// How often rights were ended.
    pub(crate) fn turns(&self) -> u64 {
        self.turns.load(Ordering::SeqCst)
    }

    fn complain(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    fn visitor(&self, gate: &Gate, cookie: &str) -> Client {
        let client = gate.client();
        client.plant(&self.cookie_name, cookie);
        client
    }

    fn next(&self) -> u64 {
        self.value.fetch_add(1, Ordering::SeqCst)
    }

    /// One operation on this node.
    pub(crate) async fn step(&self, gate: &Gate, dice: &mut Dice) {
        let place = {
            let all = self.all.lock().unwrap();
            let open: Vec<_> = all.iter().filter(|it| !it.held.lock().unwrap().lost).collect();
            (open.len() >= SESSIONS).then(|| Arc::clone(open[dice.below(open.len())]))
        };
        let Some(place) = place else { return self.found(gate).await };
        match dice.below(16) {
            0..4 => self.poll(gate, &place, dice).await,
            4 => self.write(gate, &place, dice).await,
            5..8 => self.mint(gate, &place, dice).await,
            8..10 => self.poll_in_context(gate, &place, dice).await,
            10..12 => self.log_out(gate, &place, dice).await,
            12..15 => self.sign_in(gate, &place, dice).await,
            _ => self.transfer(gate, &place).await,
        }
    }

    async fn found(&self, gate: &Gate) {
        let visitor = gate.client();
        let Some(answer) = heard(visitor.get("/write?key=epoch&value=0")).await else { return };
        let Some(cookie) = visitor.cookie(&self.cookie_name) else { return };
        let id = answer.json()["result"].as_str().unwrap().to_owned();
        let cookies = vec![(cookie.clone(), 0)];
        let held = Mutex::new(Held { cookie, cookies, ..Held::default() });
        self.all.lock().unwrap().push(Arc::new(Turning { id, held }));
    }

    /// The request of a right from this epoch: what it is shown must not be from a later one.
    fn judge(&self, place: &Turning, answer: &Answer, epoch: u64) {
        let seen = answer.json();
        if seen["id"] == place.id.as_str() && epoch_of(&seen) > epoch {
            self.complain(format!("a right of epoch {epoch} was shown {seen}"));
        }
    }

    async fn poll(&self, gate: &Gate, place: &Turning, dice: &mut Dice) {
        let (cookie, epoch) = place.any_cookie(dice);
        let does = if dice.below(2) == 0 { "reload" } else { "stamp" };
        let (value, pause) = (self.next(), pause(dice));
        let target = format!("/act-at-once?do={does}&key=e{epoch}&value={value}{pause}");
        if let Some(answer) = heard(self.visitor(gate, &cookie).get(&target)).await {
            self.judge(place, &answer, epoch);
        }
    }

    async fn poll_in_context(&self, gate: &Gate, place: &Turning, dice: &mut Dice) {
        let Some((token, epoch)) = place.held.lock().unwrap().tokens.pop() else { return };
        let (value, pause) = (self.next(), pause(dice));
        let stamp = format!("do=stamp&key=e{epoch}&value={value}{pause}");
        let target = format!("/context-act-at-once?{stamp}&$4DSID={token}");
        if let Some(answer) = heard(gate.client().get(&target)).await {
            self.judge(place, &answer, epoch);
        }
    }

    async fn write(&self, gate: &Gate, place: &Turning, dice: &mut Dice) {
        let (cookie, epoch) = place.any_cookie(dice);
        let target = format!("/write?key=e{epoch}&value={}", self.next());
        heard(self.visitor(gate, &cookie).get(&target)).await;
    }

    async fn mint(&self, gate: &Gate, place: &Turning, dice: &mut Dice) {
        let (cookie, epoch) = place.any_cookie(dice);
        let visitor = self.visitor(gate, &cookie);
        let target = format!("/mint?a=b{}", pause(dice));
        let Some(answer) = heard(visitor.get(&target)).await else { return };
        // A client that was put out before is a guest by now, and its token is of another session.
        if answer.header("x-session") == place.id {
            place.held.lock().unwrap().tokens.push((answer.text(), epoch));
        }
    }

    /// Logs out by a right that has ended or is about to. If it ends first, the session goes on.
    async fn log_out(&self, gate: &Gate, place: &Turning, dice: &mut Dice) {
        let (old, old_epoch) = place.any_cookie(dice);
        let cookie = {
            let mut held = place.held.lock().unwrap();
            if old_epoch == held.epoch && !held.rises {
                return;
            }
            held.leaves |= held.rises;
            if held.rises { held.cookie.clone() } else { old }
        };
        let target = format!("/act-at-once?do=logout{}", pause(dice));
        heard(self.visitor(gate, &cookie).get(&target)).await;
    }

    async fn sign_in(&self, gate: &Gate, place: &Turning, dice: &mut Dice) {
        let Some((cookie, epoch)) = place.begin() else { return };
        let visitor = self.visitor(gate, &cookie);
        let target = format!("/act-at-once?do=rise&epoch={}{}", epoch + 1, pause(dice));
        let call = visitor.get(&target);
        self.risen(place, heard(call).await, &visitor, epoch);
    }

    async fn transfer(&self, gate: &Gate, place: &Turning) {
        let Some((token, _)) = place.held.lock().unwrap().tokens.pop() else { return };
        let Some((_, epoch)) = place.begin() else { return };
        let visitor = gate.client();
        let target = format!("/transfer-act-at-once?do=mark&epoch={}&$4DSID={token}", epoch + 1);
        let answer = heard(visitor.get(&target).as_browser()).await;
        match &answer {
            Some(answer) if answer.header("x-outcome") != "restored" && answer.status == 200 => {
                // The token was spent or ended before.
                let mut held = place.held.lock().unwrap();
                (held.rises, held.lost) = (false, held.leaves);
            }
            _ => self.risen(place, answer, &visitor, epoch),
        }
    }

    /// The others' rights have ended, or nobody knows.
    fn risen(&self, place: &Turning, answer: Option<Answer>, visitor: &Client, epoch: u64) {
        let mut held = place.held.lock().unwrap();
        // Whoever was about to leave has lost his right to.
        (held.rises, held.leaves) = (false, false);
        let seen = answer.filter(|answer| answer.status == 200).map(|answer| answer.json());
        let seen = seen.filter(|seen| seen["id"] == place.id.as_str());
        let (Some(seen), Some(cookie)) = (seen, visitor.cookie(&self.cookie_name)) else {
            held.lost = true;
            return;
        };
        self.turns.fetch_add(1, Ordering::SeqCst);
        held.sealed.push((epoch, seen["storage"][format!("e{epoch}")].clone()));
        (held.cookie, held.epoch) = (cookie.clone(), epoch + 1);
        held.cookies.push((cookie, epoch + 1));
    }

    /// Looks at every session whose cookie is known once more.
    pub(crate) async fn look_at_everything(&self, gate: &Gate) {
        let all = self.all.lock().unwrap().clone();
        for place in all {
            let (cookie, lost) = {
                let held = place.held.lock().unwrap();
                (held.cookie.clone(), held.lost || held.rises)
            };
            if lost {
                continue;
            }
            let Some(answer) = heard(self.visitor(gate, &cookie).get("/whoami")).await else {
                continue;
            };
            let (seen, held) = (answer.json(), place.held.lock().unwrap());
            let (id, epoch) = (&place.id, held.epoch);
            if seen["id"] != id.as_str() || epoch_of(&seen) != epoch {
                self.complain(format!("the last right to {id} of epoch {epoch} shows {seen}"));
            }
            for (epoch, value) in &held.sealed {
                let now = &seen["storage"][format!("e{epoch}")];
                if now != value {
                    self.complain(format!("epoch {epoch} of {id} left {value}, and it is {now}"));
                }
            }
        }
    }
}

impl Turning {
    fn any_cookie(&self, dice: &mut Dice) -> (String, u64) {
        let held = self.held.lock().unwrap();
        // The last two are those that a rotation comes between.
        let few = held.cookies.len().min(2);
        let from = if dice.below(4) == 0 { held.cookies.len() } else { few };
        held.cookies[held.cookies.len() - 1 - dice.below(from)].clone()
    }

    /// Begins to end the others' rights, unless somebody is at it.
    fn begin(&self) -> Option<(String, u64)> {
        let mut held = self.held.lock().unwrap();
        if held.rises || held.lost {
            return None;
        }
        held.rises = true;
        Some((held.cookie.clone(), held.epoch))
    }
}

/// Every other request waits before it does anything, so that a right can end meanwhile.
fn pause(dice: &mut Dice) -> String {
    match dice.below(2) {
        0 => String::new(),
        _ => format!("&pause={}", 50 + dice.below(400)),
    }
}

fn epoch_of(seen: &Value) -> u64 {
    seen["storage"]["epoch"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}
