//! Defines host functions for the prelude: looks up the call and throws errors into the script.

use std::rc::Rc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rquickjs::{
    Ctx, Exception, FromJs, Function, IntoJs, Object, TypedArray, Value, function::Opt,
};

use crate::backend::script::isolate::call::{Call, CallId};
use crate::backend::script::isolate::completion::{Completion, Failure};
use crate::backend::script::isolate::operations::Operations;

/// The host functions of one isolate while they are being defined.
pub(super) struct Bindings<'b, 'js> {
    pub(super) ctx: &'b Ctx<'js>,
    pub(super) operations: &'b Rc<Operations>,
    pub(super) functions: &'b Object<'js>,
}

/// Bytes that become a `Uint8Array` on the heap of the script.
pub(super) struct Bytes<B>(pub(super) B);

/// Bytes from a script, encoded as base64. Reading a buffer of the engine directly would take
/// `unsafe`, because a script could change it at the same time.
pub(crate) struct Base64Bytes(pub(crate) Vec<u8>);

impl<'js> Bindings<'_, 'js> {
    /// Defines `host.name(call)`, which returns a property of a call.
    pub(super) fn getter<R>(
        &self,
        name: &str,
        read: impl Fn(&Call) -> R + 'js,
    ) -> rquickjs::Result<()>
    where
        R: IntoJs<'js> + 'js,
    {
        let operations = Rc::clone(self.operations);
        let function = move |ctx: Ctx<'js>, call: CallId| -> rquickjs::Result<R> {
            Ok(read(&*operations.call(&ctx, call)?))
        };
        self.set(name, Function::new(self.ctx.clone(), function)?)
    }

    /// Defines `host.name(call, argument)`. A [`Failure`] is thrown in the class.
    pub(super) fn method<A, R>(
        &self,
        name: &str,
        run: impl Fn(&Call, A) -> Result<R, Failure> + 'js,
    ) -> rquickjs::Result<()>
    where
        A: FromJs<'js> + 'js,
        R: IntoJs<'js> + 'js,
    {
        let operations = Rc::clone(self.operations);
        let function =
            move |ctx: Ctx<'js>, call: CallId, argument: Opt<A>| -> rquickjs::Result<R> {
                let call = operations.call(&ctx, call)?;
                let argument = parse(&ctx, argument)?;
                run(&call, argument).map_err(|failure| Operations::throw(&ctx, &call, failure))
            };
        self.set(name, Function::new(self.ctx.clone(), function)?)
    }

    /// Defines `host.name(call, argument)`, which returns a promise of what the future of `work`
    /// returns.
    pub(super) fn async_method<A, F>(
        &self,
        name: &str,
        work: impl Fn(&Call, A) -> Result<F, Failure> + 'js,
    ) -> rquickjs::Result<()>
    where
        A: FromJs<'js> + 'js,
        F: Future<Output = Result<Completion, Failure>> + Send + 'static,
    {
        let operations = Rc::clone(self.operations);
        let function =
            move |ctx: Ctx<'js>, call: CallId, argument: Opt<A>| -> rquickjs::Result<Value<'js>> {
                let call = operations.call(&ctx, call)?;
                let argument = parse(&ctx, argument)?;
                let work = work(&call, argument)
                    .map_err(|failure| Operations::throw(&ctx, &call, failure))?;
                let work = async move { work.await.unwrap_or_else(Completion::Failed) };
                Ok(operations.promise(&ctx, &call, work)?.into_value())
            };
        self.set(name, Function::new(self.ctx.clone(), function)?)
    }

    /// Defines a function as it is.
    pub(super) fn set(&self, name: &str, function: Function<'js>) -> rquickjs::Result<()> {
        self.functions.set(name, function)
    }
}

impl<'js, B: AsRef<[u8]>> IntoJs<'js> for Bytes<B> {
    fn into_js(self, ctx: &Ctx<'js>) -> rquickjs::Result<Value<'js>> {
        Ok(TypedArray::<u8>::new_copy(ctx.clone(), self.0.as_ref())?.into_value())
    }
}

/// Converts an argument; a missing one is `undefined`.
fn parse<'js, A: FromJs<'js>>(ctx: &Ctx<'js>, argument: Opt<A>) -> rquickjs::Result<A> {
    argument.0.map_or_else(|| A::from_js(ctx, Value::new_undefined(ctx.clone())), Ok)
}

impl<'js> FromJs<'js> for Base64Bytes {
    fn from_js(ctx: &Ctx<'js>, value: Value<'js>) -> rquickjs::Result<Self> {
        let text = String::from_js(ctx, value)?;
        let bytes = STANDARD.decode(text);
        bytes.map(Self).map_err(|error| Exception::throw_type(ctx, &format!("no bytes: {error}")))
    }
}
