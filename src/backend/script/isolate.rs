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
use crate::backend::script::call::CallPermit;
use crate::backend::script::call::CallRequest;
use crate::backend::script::class_info;
use crate::backend::script::class_info::ClassInfo;
use crate::backend::script::completion::Completion;
use crate::backend::script::engine::Engine;
use crate::backend::script::environment::Environment;
use crate::backend::script::log::Log;
use crate::backend::script::module_loader::ModuleLoader;
use crate::backend::script::operations::OperationId;
use crate::backend::script::problem::ClassProblem;
use crate::backend::script::realm::Health;
use crate::backend::script::realm::Realm;
use crate::backend::script::sources::Sources;
use crate::base::RequestId;
use crate::http::IncomingMessage;
use crate::http::Raised;
use crate::http::Reply;
use crate::http::Session;

/// A class that runs. Its thread ends when the last handle is gone.
pub(super) struct Isolate {
    class: Arc<str>,
    environment: Environment,
    mailbox: Sender<Command>,
    info: ClassInfo,
    log: Log,
    /// Calls that wait or run.
    calls: Arc<AtomicUsize>,
    last_call: AtomicU64,
}

/// What the thread of an isolate is told.
pub(super) enum Command {
    /// Run a function.
    Call(Box<CallRequest>),
    /// A host operation has an outcome.
    Completed(OperationId, Completion),
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
type Started = Result<ClassInfo, ClassProblem>;

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
        let worker = Worker {
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
            tracing::dispatcher::with_default(&log, || worker.run(&commands, &tell));
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
    pub(super) fn info(&self) -> &ClassInfo {
        &self.info
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
    ) -> Result<Reply, Raised> {
        let permit = CallPermit::acquire(&self.calls, self.environment.limits.calls_max)?;
        let mut waiting = Waiting::new(self, (&method, request.id()));
        let (answer, answered) = oneshot::channel();
        let (id, cancelled) = (waiting.id, Arc::clone(&waiting.cancelled));
        let order = CallRequest { id, method, request, session, cancelled, answer, permit };
        let answer = match waiting.isolate.mailbox.send(Command::Call(Box::new(order))) {
            Ok(()) => answered.await.ok(),
            Err(_) => None,
        };
        waiting.is_over = true;
        answer.unwrap_or_else(|| {
            Err(Raised::new(format!("class {} does not run any more", waiting.isolate.class)))
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
        let info = told.recv().unwrap_or_else(|_| {
            let fix = "this is a fault of callgate; please report it with the file";
            Err(ClassProblem::of_file(&*class, "class-thread", "its thread ended", fix))
        })?;
        let (calls, last_call) = (Arc::default(), AtomicU64::new(0));
        let log = Log::new(Arc::clone(&class), &environment.limits, &info);
        Ok(Isolate { class, environment, mailbox, info, log, calls, last_call })
    }
}

/// A call whose answer somebody waits for. When that ends early, so does the call.
struct Waiting {
    isolate: Arc<Isolate>,
    id: CallId,
    method: Arc<str>,
    request: RequestId,
    cancelled: Arc<AtomicBool>,
    is_over: bool,
}

impl Waiting {
    fn new(isolate: Arc<Isolate>, (method, request): (&Arc<str>, RequestId)) -> Self {
        let id = isolate.last_call.fetch_add(1, Relaxed) + 1;
        let (method, cancelled) = (Arc::clone(method), Arc::default());
        Self { isolate, id, method, request, cancelled, is_over: false }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.is_over {
            self.cancelled.store(true, Relaxed);
            self.isolate.log.abandoned(&self.method, self.request);
            let _ = self.isolate.mailbox.send(Command::Cancel(self.id));
        }
    }
}

/// What the thread of an isolate works with.
struct Worker {
    class: Arc<str>,
    sources: Sources,
    environment: Environment,
    mailbox: Mailbox,
}

impl Worker {
    /// Loads the class, tells how that went, and serves until it is told to stop.
    fn run(&self, commands: &Receiver<Command>, tell: &Sender<Started>) {
        let (mut realm, told) = match self.load() {
            Ok((Some(realm), info)) => (realm, Ok(info)),
            Ok((None, info)) => {
                let _ = tell.send(Ok(info));
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
        while let Exit::Restart(why) = catch_panic(|| serve(&realm, commands)) {
            realm.end_for_restart(why);
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
        let mut asked: Option<Box<CallRequest>> = None;
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
                let _ = order.answer.send(Err(Raised::new(why)));
            }
            asked = loop {
                match commands.recv() {
                    Ok(Command::Call(order)) => break Some(order),
                    Ok(Command::Stop) | Err(_) => return None,
                    Ok(Command::Completed(..) | Command::Cancel(_)) => {}
                }
            };
        }
    }

    fn load(&self) -> Result<(Option<Realm>, ClassInfo), ClassProblem> {
        catch_unwind(AssertUnwindSafe(|| self.open())).unwrap_or_else(|_| {
            let file = self.sources.file_of(&self.class);
            let fix = "this is a fault of callgate; please report it with the file";
            Err(ClassProblem::of_file(file, "class-thread", "callgate itself panicked", fix))
        })
    }

    fn open(&self) -> Result<(Option<Realm>, ClassInfo), ClassProblem> {
        let loader = ModuleLoader::new(self.sources.clone());
        let engine = Engine::new(&self.class, &self.environment, self.mailbox.clone(), loader);
        let engine = engine
            .map_err(|error| ClassProblem::of_engine(self.sources.file_of(&self.class), &error))?;
        let (singleton, info) = class_info::load(&engine, (&self.class, &self.sources))?;
        let log = Log::new(Arc::clone(&self.class), &self.environment.limits, &info);
        let realm = singleton.map(|singleton| Realm::new(engine, singleton, log));
        Ok((realm, info))
    }
}

/// Why a realm serves no longer.
enum Exit {
    Stop,
    /// It cannot go on; another one can.
    Restart(&'static str),
}

/// A panic of callgate's own wears a realm out, and ends no thread.
fn catch_panic(serve: impl FnOnce() -> Exit) -> Exit {
    catch_unwind(AssertUnwindSafe(serve)).unwrap_or(Exit::Restart("callgate itself panicked"))
}

fn serve(realm: &Realm, commands: &Receiver<Command>) -> Exit {
    while let Ok(command) = commands.recv() {
        let health = match command {
            Command::Call(order) => realm.call(*order),
            Command::Completed(id, completion) => realm.complete(id, completion),
            Command::Cancel(id) => realm.cancel(id),
            Command::Stop => return Exit::Stop,
        };
        match health {
            Health::Healthy => {}
            Health::Stuck => {
                return Exit::Restart("a call left something behind that does not end");
            }
            Health::Deadlocked => {
                return Exit::Restart("a call waited for what one that was stopped cannot bring");
            }
            Health::Full => return Exit::Restart("what the class keeps leaves too little memory"),
        }
    }
    Exit::Stop
}
