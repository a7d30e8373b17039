//! Host functions of `fetch`.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Duration};

use rquickjs::{Ctx, Exception, Function, Object, Value};
use serde_json::json;
use tokio::sync::oneshot;

use crate::backend::script::fetch::{FetchError, FetchRequest, Fetched};
use crate::backend::script::host::bindings::{Base64Bytes, Bindings};
use crate::backend::script::host::session::misread;
use crate::backend::script::isolate::call::CallId;
use crate::backend::script::isolate::completion::{Completion, Failure};
use crate::backend::script::isolate::operations::Operations;

/// Concurrent fetches of one call.
const FETCHES_MAX: usize = 8;

/// The fetches in progress, by the number that the prelude gave them: the call, and a sender whose
/// drop aborts the fetch. An entry whose receiver is closed has completed.
#[derive(Default)]
struct InFlight(RefCell<HashMap<u32, (CallId, oneshot::Sender<()>)>>);

pub(super) fn bind<'js>(bindings: &Bindings<'_, 'js>) -> rquickjs::Result<()> {
    let (operations, in_flight) = (Rc::clone(bindings.operations), Rc::new(InFlight::default()));
    let to_abort = Rc::clone(&in_flight);
    let abort = move |number: u32| {
        to_abort.0.borrow_mut().remove(&number);
    };
    bindings.set("abortFetch", Function::new(bindings.ctx.clone(), abort)?)?;
    let fetch = move |ctx: Ctx<'js>, number: u32, request: Object<'js>, body: Body| {
        begin(&ctx, (&operations, &in_flight), number, (&request, body))
    };
    bindings.set("fetch", Function::new(bindings.ctx.clone(), fetch)?)
}

/// The body of a request, if any.
type Body = Option<Base64Bytes>;

fn begin<'js>(
    ctx: &Ctx<'js>,
    (operations, in_flight): (&Rc<Operations>, &InFlight),
    number: u32,
    (request, body): (&Object<'js>, Body),
) -> rquickjs::Result<Value<'js>> {
    let call = operations.require_current(ctx)?;
    let fetcher = operations.environment.fetcher.clone();
    let request = parse(request, body).and_then(|request| {
        fetcher.check_allowed(&request.url).map_err(|error| failure(&error))?;
        Ok(request)
    });
    let request = request.map_err(|failure| Operations::throw(ctx, &call, failure))?;
    let Some(mut aborted) = in_flight.insert(call.id, number) else {
        let text = format!("a request may fetch {FETCHES_MAX} things at once; wait for some first");
        return Err(Exception::throw_range(ctx, &text));
    };
    let promise = operations.promise(ctx, &call, async move {
        tokio::select! {
            response = fetcher.fetch(request) => {
                response.map_or_else(|error| Completion::Failed(failure(&error)), completion)
            }
            _ = &mut aborted => Completion::Failed(Failure::new("AbortError", "it was given up")),
        }
    });
    Ok(promise?.into_value())
}

/// Parses the arguments, whose types the prelude has checked.
fn parse(request: &Object<'_>, body: Body) -> Result<FetchRequest, Failure> {
    let text = |name: &str| request.get::<_, String>(name).map_err(misread);
    let mut parsed = FetchRequest::get(&text("url")?).map_err(|error| failure(&error))?;
    parsed.set_method(&text("method")?).map_err(|error| failure(&error))?;
    parsed.redirect = text("redirect")?.parse().map_err(|error| failure(&error))?;
    let flat: Vec<String> = request.get("headers").map_err(misread)?;
    let (pairs, _) = flat.as_chunks::<2>();
    for [name, value] in pairs {
        parsed.add_header(name, value).map_err(|error| failure(&error))?;
    }
    let millis: Option<f64> = request.get("timeout").map_err(misread)?;
    let timeout = millis.map(|millis| Duration::try_from_secs_f64(millis / 1_000.0));
    parsed.timeout = timeout.map(Result::unwrap_or_default);
    if let Some(body) = body {
        parsed.set_body(body.0.into()).map_err(|error| failure(&error))?;
    }
    Ok(parsed)
}

fn failure(error: &FetchError) -> Failure {
    Failure { code: Some(error.code()), ..Failure::new("FetchError", error.to_string()) }
}

/// Head and body of a response. Header fields that are not text are left out.
fn completion(fetched: Fetched) -> Completion {
    let fields = fetched.headers.iter();
    let fields = fields.filter_map(|(name, value)| Some([name.as_str(), value.to_str().ok()?]));
    let head = json!({
        "status": fetched.status.as_u16(),
        "statusText": fetched.status.canonical_reason().unwrap_or(""),
        "url": fetched.url.as_str(),
        "redirected": fetched.redirected,
        "headers": fields.flatten().collect::<Vec<_>>(),
    });
    Completion::List(vec![
        Completion::Json(head.to_string()),
        Completion::Bytes(fetched.body.into()),
    ])
}

impl InFlight {
    /// Adds a fetch, unless the call has too many. The receiver reports that it was aborted.
    fn insert(&self, call: CallId, number: u32) -> Option<oneshot::Receiver<()>> {
        let mut all = self.0.borrow_mut();
        all.retain(|_, (_, ending)| !ending.is_closed());
        if all.values().filter(|(owner, _)| *owner == call).count() >= FETCHES_MAX {
            return None;
        }
        let (ending, ended) = oneshot::channel();
        all.insert(number, (call, ending));
        Some(ended)
    }
}
