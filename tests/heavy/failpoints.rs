//! The server breaks off, fails or is held up at every place that has a name
//! (docs/SECURITY.md C-04), while clients work; whatever they were told must hold afterwards.

use std::io;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

use callgate::base::failpoint::Place;
use tokio::task::JoinSet;

use crate::checker;
use crate::support::Ask;
use crate::support::Connection;
use crate::support::Dice;
use crate::support::Server;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::process::folder;
use crate::support::run;
use crate::support::size;
use crate::world::World;

/// Clients that work at the same time.
const CLIENTS: usize = 4;
/// Sign-ins, sweeps and reloads of one run: more than are passed by before something happens.
const ROUNDS: usize = 20;
/// Places that are tried at the same time.
const AT_A_TIME: usize = 4;
/// The signal of a process that aborts.
const SIGABRT: i32 = 6;

/// What happens at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Abort,
    Fail,
    Delay,
}

/// Places that only a store with a disk has.
fn is_on_disk(place: Place) -> bool {
    matches!(place, Place::Batch | Place::BeforeFsync | Place::AfterFsync | Place::BeforeReply)
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Fail => "fail",
            Self::Delay => "delay",
        }
    }
}

#[test]
fn whatever_happens_at_any_place_no_word_is_broken_on_disk() {
    let all = at_each_place(|place| {
        let mut done = Done::default();
        for kind in [Kind::Abort, Kind::Fail, Kind::Delay] {
            let folder = folder();
            let scene =
                Scene::new(ServerPlan::embedded(folder.path()), folder.path(), (place, kind));
            for _ in 0..size(1, 20) {
                done.hits += run(scene.go());
                done.runs += 1;
            }
            done.operations += scene.judge();
        }
        done
    });
    report("embedded", &all);
}

#[test]
fn whatever_happens_at_any_place_no_word_is_broken_in_memory() {
    let all = at_each_place(|place| {
        let mut done = Done::default();
        if is_on_disk(place) {
            return done;
        }
        for kind in [Kind::Fail, Kind::Delay] {
            for _ in 0..size(1, 20) {
                // A restart loses all of it, so each run is a world of its own.
                let folder = folder();
                let plan = ServerPlan::probe("memory:");
                let scene = Scene::new(plan, folder.path(), (place, kind));
                done.hits += run(scene.go());
                done.runs += 1;
                done.operations += scene.judge();
            }
        }
        done
    });
    report("memory", &all);
}

#[derive(Default)]
struct Done {
    runs: usize,
    hits: u64,
    operations: usize,
}

/// Each place has a server of its own, which waits more than it works: several at a time.
fn at_each_place(go: impl Fn(Place) -> Done + Sync) -> Vec<Done> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some(place) = Place::ALL.get(next.fetch_add(1, Ordering::SeqCst)) {
            done.push(go(*place));
        }
        done
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

fn report(store: &str, all: &[Done]) {
    let runs: usize = all.iter().map(|done| done.runs).sum();
    let hits: u64 = all.iter().map(|done| done.hits).sum();
    let operations: usize = all.iter().map(|done| done.operations).sum();
    let places = Place::ALL.len();
    figure(
        &format!("fail points on {store}"),
        format!("{places} places, {runs} runs, {hits} hits, {operations} operations, 0 violations"),
    );
}

/// One place, and what happens there, again and again.
struct Scene {
    plan: ServerPlan,
    place: Place,
    kind: Kind,
    world: Arc<World>,
    sign_ins: Arc<Mutex<Vec<SignIn>>>,
    dice: Mutex<Dice>,
}

/// A browser that gained privileges, as far as it knows.
struct SignIn {
    session: String,
    before: String,
    /// What it was given, if it was told.
    after: Option<String>,
}

impl Scene {
    /// The table is a file in `folder`, and changes only when it is told to.
    fn new(plan: ServerPlan, folder: &Path, (place, kind): (Place, Kind)) -> Self {
        let file = folder.join("handlers.json").display().to_string();
        let plan = plan.word("editions").set("HANDLERS", &file).set("RELOAD", "off");
        let (world, sign_ins) = (Arc::new(World::lenient()), Arc::default());
        Self { plan, place, kind, world, sign_ins, dice: Mutex::new(Dice::new(place as u64)) }
    }

    fn roll(&self, end: usize) -> usize {
        self.dice.lock().unwrap().below(end)
    }

    /// One run: the place is reached, and what is left is looked at; how often it was hit.
    async fn go(&self) -> u64 {
        let mut server = self.plan.start();
        let mut connection = self.world.first_answer(&server).await;
        self.arm(&mut connection).await;
        self.world.killed.store(self.kind == Kind::Abort, Ordering::SeqCst);
        self.work(&server).await;
        let hits = self.end(&mut server).await;
        assert!(hits > 0, "{} was never reached ({:?})", self.place, self.kind);
        // A store that has failed stays so, and a server that has stopped is gone.
        let lives_on = self.kind != Kind::Abort && self.place != Place::Close;
        let sound = self.kind == Kind::Delay || !is_on_disk(self.place);
        if lives_on && sound {
            self.verify(&server).await;
        }
        if self.plan.is_durable() {
            server.kill();
            let server = self.plan.start();
            self.verify(&server).await;
        }
        hits
    }

    async fn arm(&self, connection: &mut Connection) {
        let (place, kind) = (self.place, self.kind.name());
        // The last request is the only one that comes after everything, and there is one close.
        let skip = if place == Place::Close { 0 } else { 1 + self.roll(8) };
        let arm = format!("/control/arm?place={place}&kind={kind}&skip={skip}&times=3");
        connection.ask(&Ask::get(&arm)).await.unwrap().good();
    }

    /// Clients work until they have done enough, or the server is gone.
    async fn work(&self, server: &Server) {
        let mut working = JoinSet::new();
        for _ in 0..CLIENTS {
            let dice = Dice::new(self.roll(usize::MAX) as u64);
            working.spawn(work(Arc::clone(&self.world), server.address, dice));
        }
        let mut others = JoinSet::new();
        others.spawn(sign_in(Arc::clone(&self.sign_ins), server.address));
        others.spawn(sweep(server.address));
        others.spawn(reload(server.address));
        others.spawn(call_back(server.address));
        working.join_all().await;
        // How these end is no matter: what the server told them is looked at later.
        others.join_all().await;
    }

    /// Ends what was armed; how often it was hit.
    async fn end(&self, server: &mut Server) -> u64 {
        if self.place == Place::Close {
            server.terminate();
        }
        if self.kind == Kind::Abort {
            let ended = server.ended();
            assert_eq!(ended.signal(), Some(SIGABRT), "{}: {ended}", self.place);
            return 1;
        }
        if self.place == Place::Close {
            assert!(server.ended().success(), "{:?} at {}", self.kind, self.place);
            return 1;
        }
        let disarm = Ask::get("/control/disarm");
        let reply = server.connect().await.ask(&disarm).await.unwrap().good();
        reply.result().as_u64().unwrap()
    }

    /// Looks at everything there is, on a server on which nothing is armed.
    async fn verify(&self, server: &Server) {
        let mut connection = server.connect().await;
        self.world.verify(&mut connection, &mut Dice::new(1), 2).await;
        let sign_ins = std::mem::take(&mut *self.sign_ins.lock().unwrap());
        for it in sign_ins {
            it.check(&mut connection).await;
        }
    }

    /// Checks the record; how many operations there were.
    fn judge(&self) -> usize {
        let history = self.world.history();
        let violations = checker::check(&history);
        assert_eq!(violations, [], "{:?} at {}", self.kind, self.place);
        history.len()
    }
}

impl SignIn {
    /// Who was told of the fresh credential holds the only one; who was not told still holds the
    /// old one without privileges, or none.
    async fn check(&self, connection: &mut Connection) {
        let mut whoami = async |cookie: &str| {
            connection.renew().await.unwrap();
            connection.ask(&Ask::get("/whoami").cookie(cookie)).await.unwrap().good()
        };
        let old = whoami(&self.before).await;
        if let Some(after) = &self.after {
            let new = whoami(after).await;
            assert_eq!(new.session(), self.session, "a sign-in is lost");
            assert_eq!(new.json()["user"], "ann", "its privileges are lost");
            assert_ne!(old.session(), self.session, "the credential from before still opens it");
        } else if old.session() == self.session {
            assert_eq!(old.json()["guest"], true, "privileges came to the credential from before");
        }
    }
}

/// One client: so many operations, or until the server is gone.
async fn work(world: Arc<World>, address: SocketAddr, mut dice: Dice) {
    let worked = async {
        let mut connection = Connection::open(address).await?;
        for _ in 0..size(25, 40) {
            match world.step(&mut connection, &mut dice).await {
                // It said that it could not.
                Err(error) if error.kind() == ErrorKind::Other => {}
                other => other?,
            }
        }
        Ok(())
    };
    let ended: io::Result<()> = worked.await;
    if let Err(error) = ended {
        assert!(world.killed.load(Ordering::SeqCst), "a connection broke by itself: {error}");
    }
}

/// A browser that founds sessions and gains privileges in them, while there is a server.
async fn sign_in(sign_ins: Arc<Mutex<Vec<SignIn>>>, address: SocketAddr) -> io::Result<()> {
    let mut connection = Connection::open(address).await?;
    for _ in 0..ROUNDS {
        let founded = connection.ask(&Ask::get("/write?key=0&value=1")).await?;
        let Some(before) = founded.cookie().filter(|_| founded.status == 200) else { continue };
        let (session, before) = (founded.result().as_str().unwrap().to_owned(), before.to_owned());
        let login = Ask::get("/login?privileges=admin&user=ann").cookie(&before);
        let answer = connection.ask(&login).await;
        let told = answer.as_ref().ok().filter(|reply| reply.status == 200);
        let after = told.and_then(|reply| reply.cookie()).map(str::to_owned);
        sign_ins.lock().unwrap().push(SignIn { session, before, after });
        answer?;
    }
    Ok(())
}

/// Sweeps, while there is a server.
async fn sweep(address: SocketAddr) -> io::Result<()> {
    let mut connection = Connection::open(address).await?;
    for _ in 0..ROUNDS {
        connection.ask(&Ask::get("/control/sweep")).await?;
    }
    Ok(())
}

/// A platform that sends each callback twice, while there is a server: who was answered is answered
/// alike again.
async fn call_back(address: SocketAddr) -> io::Result<()> {
    let mut connection = Connection::open(address).await?;
    for _ in 0..ROUNDS {
        let minted = connection.ask(&Ask::get("/mint")).await?;
        if minted.status != 200 {
            continue;
        }
        let callback = Ask::get(&format!("/pay?$4DSID={}", minted.text()));
        let first = connection.ask(&callback).await?;
        let again = connection.ask(&callback).await?;
        if first.status == 201 && again.status < 500 {
            assert_eq!((again.status, &again.body), (201, &first.body), "an answer is lost");
        }
        assert!(matches!(first.status, 201 | 409 | 500..), "{}{}", first.head, first.text());
    }
    Ok(())
}

/// Has new editions of the table made, while there is a server. One that is taken answers from
/// then on, and one that is refused leaves its predecessor in place.
async fn reload(address: SocketAddr) -> io::Result<()> {
    let mut connection = Connection::open(address).await?;
    let mut serving = None;
    for edition in 1..=ROUNDS {
        let answer =
            connection.ask(&Ask::get(&format!("/control/reload?edition={edition}"))).await?;
        // Without an answer nobody knows which of the two it is.
        let taken = (answer.status == 200).then(|| answer.result() == true);
        let (mut present, mut absent) = (serving, Some(edition));
        match taken {
            Some(true) => (present, absent) = (Some(edition), serving),
            Some(false) => {}
            None => (present, absent) = (None, None),
        }
        for (edition, status, wrong) in [(present, 200, 404), (absent, 404, 200)] {
            let Some(edition) = edition else { continue };
            let answer = connection.ask(&Ask::get(&format!("/edition/{edition}"))).await?;
            assert_ne!(answer.status, wrong, "edition {edition}, which is to answer {status}");
        }
        serving = present;
    }
    Ok(())
}
