//! How a host function is put where the prelude finds it: its call looked up, its failure raised.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rquickjs::Ctx;
use rquickjs::Exception;
use rquickjs::FromJs;
use rquickjs::Function;
use rquickjs::IntoJs;
use rquickjs::Object;
use rquickjs::TypedArray;
use rquickjs::Value;
use rquickjs::function::Opt;

use crate::backend::script::call::Call;
use crate::backend::script::call::CallId;
use crate::backend::script::desk::Desk;
use crate::backend::script::landed::Failure;
use crate::backend::script::landed::Landed;

/// The host functions of one isolate while they are being put together.
pub(super) struct Shelf<'s, 'js> {
    pub(super) ctx: &'s Ctx<'js>,
    pub(super) desk: &'s Rc<Desk>,
    pub(super) functions: &'s Object<'js>,
}

/// Bytes that a script gets as a `Uint8Array`, on its own heap.
pub(super) struct Bytes<B>(pub(super) B);

/// Bytes that a script hands over. They come as base64: to look into a buffer of the engine takes
/// `unsafe`, because a script could change it meanwhile.
pub(crate) struct Packed(pub(crate) Vec<u8>);

impl<'js> Shelf<'_, 'js> {
    /// A function of a call that is answered at once: `host.name(call)`.
    pub(super) fn tells<R>(
        &self,
        name: &str,
        answer: impl Fn(&Call) -> R + 'js,
    ) -> rquickjs::Result<()>
    where
        R: IntoJs<'js> + 'js,
    {
        let desk = Rc::clone(self.desk);
        let function = move |ctx: Ctx<'js>, call: CallId| -> rquickjs::Result<R> {
            Ok(answer(&*desk.call(&ctx, call)?))
        };
        self.put(name, Function::new(self.ctx.clone(), function)?)
    }

    /// A function of a call with one argument, answered at once: `host.name(call, what)`. What it
    /// refuses is raised in the class.
    pub(super) fn does<A, R>(
        &self,
        name: &str,
        answer: impl Fn(&Call, A) -> Result<R, Failure> + 'js,
    ) -> rquickjs::Result<()>
    where
        A: FromJs<'js> + 'js,
        R: IntoJs<'js> + 'js,
    {
        let desk = Rc::clone(self.desk);
        let function = move |ctx: Ctx<'js>, call: CallId, what: Opt<A>| -> rquickjs::Result<R> {
            let call = desk.call(&ctx, call)?;
            let what = given(&ctx, what)?;
            answer(&call, what).map_err(|failure| Desk::raise(&ctx, &call, failure))
        };
        self.put(name, Function::new(self.ctx.clone(), function)?)
    }

    /// A function of a call that takes its time: `host.name(call, what)` is a promise of what
    /// `work` lands with.
    pub(super) fn awaits<A, F>(
        &self,
        name: &str,
        work: impl Fn(&Call, A) -> Result<F, Failure> + 'js,
    ) -> rquickjs::Result<()>
    where
        A: FromJs<'js> + 'js,
        F: Future<Output = Result<Landed, Failure>> + Send + 'static,
    {
        let desk = Rc::clone(self.desk);
        let function =
            move |ctx: Ctx<'js>, call: CallId, what: Opt<A>| -> rquickjs::Result<Value<'js>> {
                let call = desk.call(&ctx, call)?;
                let what = given(&ctx, what)?;
                let work =
                    work(&call, what).map_err(|failure| Desk::raise(&ctx, &call, failure))?;
                let work = async move { work.await.unwrap_or_else(Landed::Failed) };
                Ok(desk.promise(&ctx, &call, work)?.into_value())
            };
        self.put(name, Function::new(self.ctx.clone(), function)?)
    }

    /// Puts a function that stands for itself.
    pub(super) fn put(&self, name: &str, function: Function<'js>) -> rquickjs::Result<()> {
        self.functions.set(name, function)
    }
}

impl<'js, B: AsRef<[u8]>> IntoJs<'js> for Bytes<B> {
    fn into_js(self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        Ok(TypedArray::<u8>::new_copy(ctx.clone(), self.0.as_ref())?.into_value())
    }
}

/// An argument; one that was left out is `undefined`.
fn given<'js, A: FromJs<'js>>(ctx: &Ctx<'js>, what: Opt<A>) -> rquickjs::Result<A> {
    what.0.map_or_else(|| A::from_js(ctx, Value::new_undefined(ctx.clone())), Ok)
}

impl<'js> FromJs<'js> for Packed {
    fn from_js(ctx: &Ctx<'js>, value: Value<'js>) -> rquickjs::Result<Self> {
        let text = String::from_js(ctx, value)?;
        let bytes = STANDARD.decode(text);
        bytes.map(Self).map_err(|error| Exception::throw_type(ctx, &format!("no bytes: {error}")))
    }
}
