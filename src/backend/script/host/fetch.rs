//! What the prelude's `fetch` asks of the host.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use rquickjs::Ctx;
use rquickjs::Exception;
use rquickjs::Function;
use rquickjs::Object;
use rquickjs::Value;
use serde_json::json;
use tokio::sync::oneshot;

use crate::backend::script::call::CallId;
use crate::backend::script::desk::Desk;
use crate::backend::script::fetch::FetchError;
use crate::backend::script::fetch::Fetched;
use crate::backend::script::fetch::Wish;
use crate::backend::script::host::session::misread;
use crate::backend::script::host::shelf::Packed;
use crate::backend::script::host::shelf::Shelf;
use crate::backend::script::landed::Failure;
use crate::backend::script::landed::Landed;

/// What one call may fetch at once.
const AT_ONCE_MAX: usize = 8;

/// The fetches under way, by the number that the prelude gave them: whose each is, and how it is
/// given up. One whose other end is gone is over.
#[derive(Default)]
struct UnderWay(RefCell<HashMap<u32, (CallId, oneshot::Sender<()>)>>);

pub(super) fn put<'js>(shelf: &Shelf<'_, 'js>) -> rquickjs::Result<()> {
    let (desk, under_way) = (Rc::clone(shelf.desk), Rc::new(UnderWay::default()));
    let others = Rc::clone(&under_way);
    let give_up = move |number: u32| {
        others.0.borrow_mut().remove(&number);
    };
    shelf.put("abortFetch", Function::new(shelf.ctx.clone(), give_up)?)?;
    let fetch = move |ctx: Ctx<'js>, number: u32, wish: Object<'js>, body: Body| {
        begin(&ctx, (&desk, &under_way), number, (&wish, body))
    };
    shelf.put("fetch", Function::new(shelf.ctx.clone(), fetch)?)
}

/// The body of a request, if it has one.
type Body = Option<Packed>;

fn begin<'js>(
    ctx: &Ctx<'js>,
    (desk, under_way): (&Rc<Desk>, &UnderWay),
    number: u32,
    (wish, body): (&Object<'js>, Body),
) -> rquickjs::Result<Value<'js>> {
    let call = desk.current(ctx)?;
    let fetcher = desk.environment.fetcher.clone();
    let wish = read(wish, body).and_then(|wish| {
        fetcher.admit(&wish.url).map_err(|error| failure(&error))?;
        Ok(wish)
    });
    let wish = wish.map_err(|failure| Desk::raise(ctx, &call, failure))?;
    let Some(mut given_up) = under_way.enter(call.id, number) else {
        let text = format!("a request may fetch {AT_ONCE_MAX} things at once; wait for some first");
        return Err(Exception::throw_range(ctx, &text));
    };
    let promise = desk.promise(ctx, &call, async move {
        tokio::select! {
            answer = fetcher.fetch(wish) => {
                answer.map_or_else(|error| Landed::Failed(failure(&error)), landed)
            }
            _ = &mut given_up => Landed::Failed(Failure::new("AbortError", "it was given up")),
        }
    });
    Ok(promise?.into_value())
}

/// What the class wants, as the prelude has checked its types.
fn read(wish: &Object<'_>, body: Body) -> Result<Wish, Failure> {
    let text = |name: &str| wish.get::<_, String>(name).map_err(misread);
    let mut read = Wish::read(&text("url")?).map_err(|error| failure(&error))?;
    read.set_method(&text("method")?).map_err(|error| failure(&error))?;
    read.redirect = text("redirect")?.parse().map_err(|error| failure(&error))?;
    let flat: Vec<String> = wish.get("headers").map_err(misread)?;
    let (pairs, _) = flat.as_chunks::<2>();
    for [name, value] in pairs {
        read.add_header(name, value).map_err(|error| failure(&error))?;
    }
    let millis: Option<f64> = wish.get("timeout").map_err(misread)?;
    let patience = millis.map(|millis| Duration::try_from_secs_f64(millis / 1_000.0));
    read.patience = patience.map(Result::unwrap_or_default);
    if let Some(body) = body {
        read.set_body(body.0.into()).map_err(|error| failure(&error))?;
    }
    Ok(read)
}

fn failure(error: &FetchError) -> Failure {
    Failure { code: Some(error.code()), ..Failure::new("FetchError", error.to_string()) }
}

/// Head and body of an answer; a field that is no text is left out.
fn landed(fetched: Fetched) -> Landed {
    let fields = fetched.headers.iter();
    let fields = fields.filter_map(|(name, value)| Some([name.as_str(), value.to_str().ok()?]));
    let head = json!({
        "status": fetched.status.as_u16(),
        "statusText": fetched.status.canonical_reason().unwrap_or(""),
        "url": fetched.url.as_str(),
        "redirected": fetched.redirected,
        "headers": fields.flatten().collect::<Vec<_>>(),
    });
    Landed::List(vec![Landed::Json(head.to_string()), Landed::Bytes(fetched.body.into())])
}

impl UnderWay {
    /// Enters a fetch of a call, unless that has too many; what tells when it is given up.
    fn enter(&self, call: CallId, number: u32) -> Option<oneshot::Receiver<()>> {
        let mut all = self.0.borrow_mut();
        all.retain(|_, (_, ending)| !ending.is_closed());
        if all.values().filter(|(owner, _)| *owner == call).count() >= AT_ONCE_MAX {
            return None;
        }
        let (ending, ended) = oneshot::channel();
        all.insert(number, (call, ending));
        Some(ended)
    }
}
