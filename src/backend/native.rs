//! Handlers written in Rust: async functions and closures over one shared state.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::http::{
    CallPermit, Exposure, Handler, HandlerError, HandlerFuture, IncomingMessage, Reply, Session,
};

/// A class with one instance in the process, and its functions.
///
/// The state is shared by all requests at once, so whatever changes in it needs its own lock.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use callgate::{IncomingMessage, OutgoingMessage, Session, Singleton};
///
/// let counter = Singleton::new("Counter", AtomicU64::new(0)).method(
///     "hit",
///     async |count: Arc<AtomicU64>, _: IncomingMessage, _: Session| {
///         let hits = count.fetch_add(1, Ordering::Relaxed) + 1;
///         OutgoingMessage::new().with_body(format!("hit {hits}"))
///     },
/// );
/// # let _ = counter;
/// ```
pub struct Singleton<S> {
    class: String,
    state: Arc<S>,
    functions: Functions,
}

/// The functions of a class, and how they can be called without a row.
#[derive(Clone, Default)]
pub(crate) struct Functions {
    pub(crate) methods: BTreeMap<String, Arc<dyn Handler>>,
    pub(crate) exposures: BTreeMap<String, Exposure>,
}

/// What a native handler may return: anything that converts into a [`Reply`], or a `Result` of it.
pub trait IntoReply {
    /// Converts the returned value into a response or an error.
    fn into_reply(self) -> Result<Reply, HandlerError>;
}

impl<R: Into<Reply>> IntoReply for R {
    fn into_reply(self) -> Result<Reply, HandlerError> {
        Ok(self.into())
    }
}

impl<R: Into<Reply>, E: Into<HandlerError>> IntoReply for Result<R, E> {
    fn into_reply(self) -> Result<Reply, HandlerError> {
        self.map(Into::into).map_err(Into::into)
    }
}

impl<S: Send + Sync + 'static> Singleton<S> {
    /// Creates a class without functions. `class` is the name that rows use; it may contain dots.
    pub fn new(class: impl Into<String>, state: S) -> Self {
        Self::shared(class, Arc::new(state))
    }

    /// Like [`Singleton::new`], with a state that is shared with other parts of the program.
    pub fn shared(class: impl Into<String>, state: Arc<S>) -> Self {
        Self { class: class.into(), state, functions: Functions::default() }
    }

    /// Adds a function, replacing one of the same name.
    #[must_use]
    pub fn method<F, Fut>(mut self, name: impl Into<String>, function: F) -> Self
    where
        F: Fn(Arc<S>, IncomingMessage, Session) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoReply> + Send + 'static,
    {
        let native = Native { state: Arc::clone(&self.state), function };
        self.functions.methods.insert(name.into(), Arc::new(native));
        self
    }

    /// Lets clients call a function by `POST` below `/rest`: `/rest/$singleton/Class/name`, and
    /// `/rest/$catalog/name` if the class is `DataStore`. Its parameters are in
    /// [`IncomingMessage::arguments`].
    #[must_use]
    pub fn expose(self, name: impl Into<String>) -> Self {
        self.mark(name.into(), |exposure| exposure.post = true)
    }

    /// Lets clients call a function by `GET` at the same addresses, with the parameters in
    /// `$params`. A link on any page can call it, so it should only read.
    #[must_use]
    pub fn on_http_get(self, name: impl Into<String>) -> Self {
        self.mark(name.into(), |exposure| exposure.get = true)
    }

    /// Lets clients call a function of the class `Actions` as `/4DACTION/name`.
    #[must_use]
    pub fn action(self, name: impl Into<String>) -> Self {
        self.mark(name.into(), |exposure| exposure.action = true)
    }

    fn mark(mut self, name: String, mark: impl FnOnce(&mut Exposure)) -> Self {
        mark(self.functions.exposures.entry(name).or_default());
        self
    }

    pub(crate) fn into_parts(self) -> (String, Functions) {
        (self.class, self.functions)
    }
}

impl<S> fmt::Debug for Singleton<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Singleton({} with {} methods)", self.class, self.functions.methods.len())
    }
}

struct Native<S, F> {
    state: Arc<S>,
    function: F,
}

impl<S, F, Fut> Handler for Native<S, F>
where
    S: Send + Sync + 'static,
    F: Fn(Arc<S>, IncomingMessage, Session) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoReply> + Send + 'static,
{
    fn call(&self, request: IncomingMessage, session: Session, _: CallPermit) -> HandlerFuture {
        let future = (self.function)(Arc::clone(&self.state), request, session);
        Box::pin(async move { future.await.into_reply() })
    }
}
