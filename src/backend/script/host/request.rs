//! Host functions of `request`. A member is copied into the isolate when it is first read.

use crate::backend::script::host::bindings::{Bindings, Bytes};
use crate::backend::script::isolate::completion::{Completion, Failure};
use crate::http::message::parse::form::Form;
use crate::token::Outcome;

pub(super) fn bind(bindings: &Bindings<'_, '_>) -> rquickjs::Result<()> {
    bindings.getter("requestUrl", |call| call.request.url().to_owned())?;
    bindings.getter("requestVerb", |call| call.request.verb().to_owned())?;
    bindings.getter("requestPath", |call| -> Vec<String> {
        call.request.url_path().into_iter().map(str::to_owned).collect()
    })?;
    bindings.getter("requestQuery", |call| flat(call.request.url_query().pairs()))?;
    bindings.getter("requestHeaders", |call| {
        // The first of several values with one name, as in `getHeader`.
        let names = call.request.headers().keys().map(hyper::header::HeaderName::as_str);
        flat(names.map(|name| (name, call.request.header(name))))
    })?;
    bindings.getter("requestParams", |call| {
        flat(call.request.params().iter().map(|(name, value)| (&**name, &**value)))
    })?;
    bindings.getter("requestAddress", |call| {
        call.request.remote_address().map(|address| address.to_string())
    })?;
    bindings.getter("requestOtp", |call| outcome(call.request.otp()))?;
    bindings
        .method("requestHeader", |call, name: String| Ok(call.request.header(&name).to_owned()))?;
    body(bindings)
}

fn body(bindings: &Bindings<'_, '_>) -> rquickjs::Result<()> {
    bindings.getter("requestText", |call| call.request.text().into_owned())?;
    bindings.getter("requestBlob", |call| Bytes(call.request.blob().clone()))?;
    bindings.getter("requestPicture", |call| {
        call.request.picture().map(|picture| picture.media_type)
    })?;
    bindings.method("requestJson", |call, ()| {
        // The engine parses the text. Its syntax and nesting depth are checked here first.
        let text = call.request.json_text();
        let text = text.map_err(|bad| Failure::body("SyntaxError", &bad))?;
        Ok(text.into_owned())
    })?;
    bindings.async_method("requestForm", |call, ()| {
        let (request, kept) = (call.request.clone(), call.form.clone());
        Ok(async move {
            let form = request.form().await;
            let form = form.map_err(|bad| Failure::body("Error", &bad))?;
            let parts = parts(&form);
            let _ = kept.set(form);
            Ok(Completion::Json(parts.to_string()))
        })
    })?;
    bindings.method("requestFile", |call, at: usize| {
        let form = call.form.get().map_or(&[][..], Form::fields);
        let value = form.get(at).map(|field| field.value.clone());
        Ok(Bytes(value.unwrap_or_default()))
    })
}

/// The fields of a form. Files come without their content, which is copied when the class reads it.
fn parts(form: &Form) -> serde_json::Value {
    let part = |field: &crate::http::message::parse::form::Field| match &field.file_name {
        Some(file) => serde_json::json!({
            "name": field.name,
            "fileName": file,
            "type": field.media_type.as_deref().unwrap_or("application/octet-stream"),
        }),
        None => serde_json::json!({
            "name": field.name,
            "text": String::from_utf8_lossy(&field.value),
        }),
    };
    form.fields().iter().map(part).collect()
}

/// Names and values alternately.
fn flat<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> Vec<String> {
    pairs.flat_map(|(name, value)| [name.to_owned(), value.to_owned()]).collect()
}

/// The name of an outcome, followed by the time of use for a used token.
pub(super) fn outcome(outcome: Outcome) -> Vec<String> {
    let used = match outcome {
        Outcome::Used { at } => Some(at.to_string()),
        _ => None,
    };
    [outcome.name().to_owned()].into_iter().chain(used).collect()
}
