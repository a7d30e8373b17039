//! One class with an engine and a thread of its own: the handle that requests hold, and the loop
//! that serves them.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::backend::script::call::CallId;
use crate::backend::script::call::Order;
use crate::backend::script::call::Seat;
use crate::backend::script::desk::OperationId;
use crate::backend::script::engine::Engine;
use crate::backend::script::environment::Environment;
use crate::backend::script::facts;
use crate::backend::script::facts::Facts;
use crate::backend::script::landed::Landed;
use crate::backend::script::library::Library;
use crate::backend::script::log::Log;
use crate::backend::script::problem::ClassProblem;
use crate::backend::script::realm::Health;
use crate::backend::script::realm::Realm;
use crate::backend::script::sources::Sources;
use crate::base::RequestId;
use crate::http::HandlerError;
use crate::http::IncomingMessage;
use crate::http::Reply;
use crate::http::Session;

/// A class that runs. Its thread ends when the last handle is gone.
pub(super) struct Isolate {
    class: Arc<str>,
    environment: Environment,
    mailbox: Sender<Command>,
    facts: Facts,
    log: Log,
    /// Calls that wait or run.
    calls: Arc<AtomicUsize>,
    last_call: AtomicU64,
}

/// What the thread of an isolate is told.
pub(super) enum Command {
    /// Run a function.
    Call(Box<Order>),
    /// A host operation has an outcome.
    Landed(OperationId, Landed),
    /// Nobody waits for this call any more.
    Cancel(CallId),
    /// The last handle is gone.
    Stop,
}

/// Where what the host does for an engine reports.
#[derive(Clone)]
pub(super) struct Mailbox {
    pub(super) sender: Sender<Command>,
    last_operation: Arc<AtomicU64>,
}

impl Mailbox {
    /// A name that no operation of this isolate has had.
    pub(super) fn next_operation(&self) -> OperationId {
        self.last_operation.fetch_add(1, Relaxed) + 1
    }
}

/// What becomes of the thread's first act.
type Started = Result<Facts, ClassProblem>;

impl Isolate {
    /// Starts a thread that loads the class; [`Starting::finish`] waits for the outcome.
    pub(super) fn start(
        class: &str,
        sources: &Sources,
        environment: &Environment,
    ) -> Result<Starting, ClassProblem> {
        let class: Arc<str> = class.into();
        let (mailbox, commands) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let shop = Shop {
            class: Arc::clone(&class),
            sources: sources.clone(),
            environment: environment.clone(),
            mailbox: Mailbox { sender: mailbox.clone(), last_operation: Arc::default() },
        };
        let stack = environment.limits.stack_bytes * 2 + (2 << 20);
        let thread = thread::Builder::new().name(format!("class {class}")).stack_size(stack);
        // Whoever made the class reads its log, too.
        let log = tracing::dispatcher::get_default(Clone::clone);
        let run = move || {
            tracing::dispatcher::with_default(&log, || shop.run(&commands, &tell));
        };
        thread.spawn(run).map_err(|error| {
            let what = format!("no thread can be started for it: {error}");
            let fix = "raise the number of threads that the process may have";
            ClassProblem::of_file(sources.file_of(&class), "class-thread", what, fix)
        })?;
        let environment = environment.clone();
        Ok(Starting { class, environment, mailbox, told })
    }

    /// What the class is.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// How long a call may take, if its row says nothing else.
    pub(super) fn patience(&self) -> Duration {
        self.environment.limits.wall
    }

    /// Runs one function for one request.
    pub(super) async fn call(
        self: Arc<Self>,
        method: Arc<str>,
        request: IncomingMessage,
        session: Session,
    ) -> Result<Reply, HandlerError> {
        let seat = Seat::take(&self.calls, self.environment.limits.calls)?;
        let mut waiting = Waiting::new(self, (&method, request.id()));
        let (answer, answered) = oneshot::channel();
        let (id, gone) = (waiting.id, Arc::clone(&waiting.gone));
        let order = Order { id, method, request, session, gone, answer, seat };
        let answer = match waiting.isolate.mailbox.send(Command::Call(Box::new(order))) {
            Ok(()) => answered.await.ok(),
            Err(_) => None,
        };
        waiting.is_over = true;
        answer.unwrap_or_else(|| {
            Err(HandlerError::new(format!("class {} does not run any more", waiting.isolate.class)))
        })
    }
}

impl Drop for Isolate {
    fn drop(&mut self) {
        let _ = self.mailbox.send(Command::Stop);
    }
}

impl fmt::Debug for Isolate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Isolate({})", self.class)
    }
}

/// A class that is being loaded.
pub(super) struct Starting {
    class: Arc<str>,
    environment: Environment,
    mailbox: Sender<Command>,
    told: Receiver<Started>,
}

impl Starting {
    /// Waits until the class is loaded. Its budget bounds how long that takes.
    pub(super) fn finish(self) -> Result<Isolate, ClassProblem> {
        let Self { class, environment, mailbox, told } = self;
        let facts = told.recv().unwrap_or_else(|_| {
            let fix = "this is a fault of callgate; please report it with the file";
            Err(ClassProblem::of_file(&*class, "class-thread", "its thread ended", fix))
        })?;
        let (calls, last_call) = (Arc::default(), AtomicU64::new(0));
        let log = Log::new(Arc::clone(&class), &environment.limits, &facts);
        Ok(Isolate { class, environment, mailbox, facts, log, calls, last_call })
    }
}

/// A call whose answer somebody waits for. When that ends early, so does the call.
struct Waiting {
    isolate: Arc<Isolate>,
    id: CallId,
    method: Arc<str>,
    request: RequestId,
    gone: Arc<AtomicBool>,
    is_over: bool,
}

impl Waiting {
    fn new(isolate: Arc<Isolate>, (method, request): (&Arc<str>, RequestId)) -> Self {
        let id = isolate.last_call.fetch_add(1, Relaxed) + 1;
        let (method, gone) = (Arc::clone(method), Arc::default());
        Self { isolate, id, method, request, gone, is_over: false }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.is_over {
            self.gone.store(true, Relaxed);
            self.isolate.log.abandoned(&self.method, self.request);
            let _ = self.isolate.mailbox.send(Command::Cancel(self.id));
        }
    }
}

/// What the thread of an isolate works with.
struct Shop {
    class: Arc<str>,
    sources: Sources,
    environment: Environment,
    mailbox: Mailbox,
}

impl Shop {
    /// Loads the class, tells how that went, and serves until it is told to stop.
    fn run(&self, commands: &Receiver<Command>, tell: &Sender<Started>) {
        let (mut realm, told) = match self.load() {
            Ok((Some(realm), facts)) => (realm, Ok(facts)),
            Ok((None, facts)) => {
                let _ = tell.send(Ok(facts));
                return;
            }
            Err(problem) => {
                let _ = tell.send(Err(problem));
                return;
            }
        };
        if tell.send(told).is_err() {
            return;
        }
        while let Ending::Worn(why) = caught(|| serve(&realm, commands)) {
            realm.wear_out(why);
            // The old engine gives its memory back before a new one asks for some.
            drop(realm);
            realm = match self.load_again(commands) {
                Some(realm) => realm,
                None => return,
            };
        }
        realm.abandon("the class was replaced");
    }

    /// Loads the class anew, at once and then for each call that comes, until it works. Nothing
    /// has changed since it worked last, but a class may fail as it likes.
    fn load_again(&self, commands: &Receiver<Command>) -> Option<Realm> {
        let mut asked: Option<Box<Order>> = None;
        loop {
            let why = match self.load() {
                Ok((Some(realm), _)) => {
                    // Back into the queue: what becomes of the realm is looked after there.
                    asked.map(|order| self.mailbox.sender.send(Command::Call(order)));
                    return Some(realm);
                }
                Ok((None, _)) => "its default export is no class any more".to_owned(),
                Err(problem) => problem.to_string(),
            };
            if let Some(order) = asked.take() {
                let _ = order.answer.send(Err(HandlerError::new(why)));
            }
            asked = loop {
                match commands.recv() {
                    Ok(Command::Call(order)) => break Some(order),
                    Ok(Command::Stop) | Err(_) => return None,
                    Ok(Command::Landed(..) | Command::Cancel(_)) => {}
                }
            };
        }
    }

    fn load(&self) -> Result<(Option<Realm>, Facts), ClassProblem> {
        catch_unwind(AssertUnwindSafe(|| self.open())).unwrap_or_else(|_| {
            let file = self.sources.file_of(&self.class);
            let fix = "this is a fault of callgate; please report it with the file";
            Err(ClassProblem::of_file(file, "class-thread", "callgate itself panicked", fix))
        })
    }

    fn open(&self) -> Result<(Option<Realm>, Facts), ClassProblem> {
        let library = Library::new(self.sources.clone());
        let engine = Engine::new(&self.class, &self.environment, self.mailbox.clone(), library);
        let engine = engine
            .map_err(|error| ClassProblem::of_engine(self.sources.file_of(&self.class), &error))?;
        let (singleton, facts) = facts::load(&engine, (&self.class, &self.sources))?;
        let log = Log::new(Arc::clone(&self.class), &self.environment.limits, &facts);
        let realm = singleton.map(|singleton| Realm::new(engine, singleton, log));
        Ok((realm, facts))
    }
}

/// Why a realm serves no longer.
enum Ending {
    Stop,
    /// It cannot go on; another one can.
    Worn(&'static str),
}

/// A panic of callgate's own wears a realm out, and ends no thread.
fn caught(serve: impl FnOnce() -> Ending) -> Ending {
    catch_unwind(AssertUnwindSafe(serve)).unwrap_or(Ending::Worn("callgate itself panicked"))
}

fn serve(realm: &Realm, commands: &Receiver<Command>) -> Ending {
    while let Ok(command) = commands.recv() {
        let health = match command {
            Command::Call(order) => realm.call(*order),
            Command::Landed(id, landed) => realm.land(id, landed),
            Command::Cancel(id) => realm.cancel(id),
            Command::Stop => return Ending::Stop,
        };
        match health {
            Health::Sound => {}
            Health::Broken => {
                return Ending::Worn("a call left something behind that does not end");
            }
            Health::Torn => {
                return Ending::Worn("a call waited for what one that was stopped cannot bring");
            }
            Health::Full => return Ending::Worn("what the class keeps leaves too little memory"),
        }
    }
    Ending::Stop
}
