//! An isolate: one class with its own engine and thread. Contains the handle that requests hold and
//! the loop that serves them.

pub(crate) mod call;
pub(crate) mod completion;
pub(crate) mod operations;
pub(crate) mod realm;
pub(crate) mod reply;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use tokio::sync::oneshot;
use tracing::subscriber::NoSubscriber;

use crate::backend::script::engine::Engine;
use crate::backend::script::engine::module_loader::ModuleLoader;
use crate::backend::script::environment::Environment;
use crate::backend::script::isolate::call::{CallId, CallRequest};
use crate::backend::script::isolate::completion::Completion;
use crate::backend::script::isolate::operations::OperationId;
use crate::backend::script::isolate::realm::{Health, Realm};
use crate::backend::script::log::Log;
use crate::backend::script::source::class_info::ClassInfo;
use crate::backend::script::source::problem::ClassProblem;
use crate::backend::script::source::{Sources, class_info};
use crate::base::RequestId;
use crate::http::{CallPermit, HandlerError, IncomingMessage, Reply, Session};

/// The handle of a running class. Its thread ends when the last handle is dropped.
pub(crate) struct Isolate {
    class: Arc<str>,
    environment: Environment,
    mailbox: Sender<Command>,
    info: ClassInfo,
    log: Log,
    /// The number of calls that are queued or in progress.
    calls: Arc<AtomicUsize>,
    last_call: AtomicU64,
}

/// A command for the thread of an isolate.
pub(crate) enum Command {
    /// Runs a function.
    Call(Box<CallRequest>),
    /// A host operation has completed.
    Completed(OperationId, Completion),
    /// The client no longer waits for this call.
    Cancel(CallId),
    /// The last handle was dropped.
    Stop,
}

/// The sending half of the command queue, for host operations to report to.
#[derive(Clone)]
pub(crate) struct Mailbox {
    pub(crate) sender: Sender<Command>,
    last_operation: Arc<AtomicU64>,
}

impl Mailbox {
    /// Returns an id that no operation of this isolate has had.
    pub(crate) fn next_operation(&self) -> OperationId {
        self.last_operation.fetch_add(1, Relaxed) + 1
    }
}

/// The result of loading the class, which the thread reports first.
type Started = Result<ClassInfo, ClassProblem>;

impl Isolate {
    /// Starts a thread that loads the class. [`Starting::finish`] waits for the result.
    pub(crate) fn start(
        class: &str,
        sources: &Sources,
        environment: &Environment,
    ) -> Result<Starting, ClassProblem> {
        let class: Arc<str> = class.into();
        let (mailbox, commands) = mpsc::channel();
        let (report, started) = mpsc::channel();
        let worker = Worker {
            class: Arc::clone(&class),
            sources: sources.clone(),
            environment: environment.clone(),
            mailbox: Mailbox { sender: mailbox.clone(), last_operation: Arc::default() },
        };
        let stack = environment.limits.stack_bytes * 2 + (2 << 20);
        let thread = thread::Builder::new().name(format!("class {class}")).stack_size(stack);
        // The thread logs to the same subscriber as the thread that loads the class. If that has
        // none, one may be installed for the whole process later.
        let log = tracing::dispatcher::get_default(Clone::clone);
        let run = move || {
            if log.is::<NoSubscriber>() {
                worker.run(&commands, &report);
            } else {
                tracing::dispatcher::with_default(&log, || worker.run(&commands, &report));
            }
        };
        thread.spawn(run).map_err(|error| {
            let what = format!("no thread can be started for it: {error}");
            let fix = "raise the number of threads that the process may have";
            ClassProblem::of_file(sources.file_of(&class), "class-thread", what, fix)
        })?;
        let environment = environment.clone();
        Ok(Starting { class, environment, mailbox, started })
    }

    /// Information about the loaded class.
    pub(crate) fn info(&self) -> &ClassInfo {
        &self.info
    }

    /// The timeout of a call, unless its row sets `limits.timeoutMs`.
    pub(crate) fn timeout(&self) -> Duration {
        self.environment.limits.wall
    }

    /// Reserves one of the calls that the class may have at once. The permit is held until the call
    /// has a response or is removed. A call whose client has disconnected keeps its permit, because
    /// its request still occupies the queue and memory.
    pub(crate) fn reserve(&self) -> Result<CallPermit, HandlerError> {
        let place = Place(Arc::clone(&self.calls));
        if self.calls.fetch_add(1, Relaxed) < self.environment.limits.calls {
            Ok(CallPermit::new(place))
        } else {
            Err(HandlerError::busy())
        }
    }

    /// Runs one function for one request.
    pub(crate) async fn call(
        self: Arc<Self>,
        method: Arc<str>,
        request: IncomingMessage,
        session: Session,
        permit: CallPermit,
    ) -> Result<Reply, HandlerError> {
        let mut guard = CallGuard::new(self, (&method, request.id()));
        let (reply, result) = oneshot::channel();
        let (id, cancelled) = (guard.id, Arc::clone(&guard.cancelled));
        let request = CallRequest { id, method, request, session, cancelled, reply, permit };
        let result = match guard.isolate.mailbox.send(Command::Call(Box::new(request))) {
            Ok(()) => result.await.ok(),
            Err(_) => None,
        };
        guard.is_done = true;
        result.unwrap_or_else(|| {
            Err(HandlerError::new(format!("class {} does not run any more", guard.isolate.class)))
        })
    }
}

/// One of the calls that a class may have at once.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
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

/// A class whose thread is loading it.
pub(crate) struct Starting {
    class: Arc<str>,
    environment: Environment,
    mailbox: Sender<Command>,
    started: Receiver<Started>,
}

impl Starting {
    /// Waits until the class is loaded. Its CPU budget bounds the time.
    pub(crate) fn finish(self) -> Result<Isolate, ClassProblem> {
        let Self { class, environment, mailbox, started } = self;
        let info = started.recv().unwrap_or_else(|_| {
            let fix = "this is a fault of callgate; please report it with the file";
            Err(ClassProblem::of_file(&*class, "class-thread", "its thread ended", fix))
        })?;
        let (calls, last_call) = (Arc::default(), AtomicU64::new(0));
        let log = Log::new(Arc::clone(&class), &environment.limits, &info);
        Ok(Isolate { class, environment, mailbox, info, log, calls, last_call })
    }
}

/// Cancels a call if the future that waits for its response is dropped.
struct CallGuard {
    isolate: Arc<Isolate>,
    id: CallId,
    method: Arc<str>,
    request: RequestId,
    cancelled: Arc<AtomicBool>,
    is_done: bool,
}

impl CallGuard {
    fn new(isolate: Arc<Isolate>, (method, request): (&Arc<str>, RequestId)) -> Self {
        let id = isolate.last_call.fetch_add(1, Relaxed) + 1;
        let (method, cancelled) = (Arc::clone(method), Arc::default());
        Self { isolate, id, method, request, cancelled, is_done: false }
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        if !self.is_done {
            self.cancelled.store(true, Relaxed);
            self.isolate.log.abandoned(&self.method, self.request);
            let _ = self.isolate.mailbox.send(Command::Cancel(self.id));
        }
    }
}

/// The state of an isolate's thread that outlives one engine.
struct Worker {
    class: Arc<str>,
    sources: Sources,
    environment: Environment,
    mailbox: Mailbox,
}

impl Worker {
    /// Loads the class, reports the result, and serves commands until [`Command::Stop`].
    fn run(&self, commands: &Receiver<Command>, report: &Sender<Started>) {
        let (mut realm, info) = match self.load() {
            Ok((Some(realm), info)) => (realm, info),
            Ok((None, info)) => {
                let _ = report.send(Ok(info));
                return;
            }
            Err(problem) => {
                let _ = report.send(Err(problem));
                return;
            }
        };
        if report.send(Ok(info)).is_err() {
            return;
        }
        while let Exit::Restart(why) = catch_panic(|| serve(&realm, commands)) {
            realm.end_for_restart(why);
            // The old engine is freed before a new one allocates.
            drop(realm);
            realm = match self.load_again(commands) {
                Some(realm) => realm,
                None => return,
            };
        }
        realm.abandon("the class was replaced");
    }

    /// Reloads the class after a restart: once at once, then once for each call, until it succeeds.
    /// The sources are unchanged, but loading runs code of the class, which may fail at any time.
    fn load_again(&self, commands: &Receiver<Command>) -> Option<Realm> {
        let mut waiting: Option<Box<CallRequest>> = None;
        loop {
            let why = match self.load() {
                Ok((Some(realm), _)) => {
                    // The call goes through the queue, where the health of the realm is handled.
                    waiting.map(|request| self.mailbox.sender.send(Command::Call(request)));
                    return Some(realm);
                }
                Ok((None, _)) => "its default export is no class any more".to_owned(),
                Err(problem) => problem.to_string(),
            };
            if let Some(request) = waiting.take() {
                let _ = request.reply.send(Err(HandlerError::new(why)));
            }
            waiting = loop {
                match commands.recv() {
                    Ok(Command::Call(request)) => break Some(request),
                    Ok(Command::Stop) | Err(_) => return None,
                    Ok(Command::Completed(..) | Command::Cancel(_)) => {}
                }
            };
        }
    }

    fn load(&self) -> Result<(Option<Realm>, ClassInfo), ClassProblem> {
        catch_unwind(AssertUnwindSafe(|| self.load_class())).unwrap_or_else(|_| {
            let file = self.sources.file_of(&self.class);
            let fix = "this is a fault of callgate; please report it with the file";
            Err(ClassProblem::of_file(file, "class-thread", "callgate itself panicked", fix))
        })
    }

    fn load_class(&self) -> Result<(Option<Realm>, ClassInfo), ClassProblem> {
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

/// Why `serve` returned.
enum Exit {
    Stop,
    /// The realm cannot continue and must be replaced.
    Restart(&'static str),
}

/// Turns a panic in callgate's own code into a restart of the realm, so that the thread survives.
fn catch_panic(serve: impl FnOnce() -> Exit) -> Exit {
    catch_unwind(AssertUnwindSafe(serve)).unwrap_or(Exit::Restart("callgate itself panicked"))
}

fn serve(realm: &Realm, commands: &Receiver<Command>) -> Exit {
    while let Ok(command) = commands.recv() {
        let health = match command {
            Command::Call(request) => realm.call(*request),
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
