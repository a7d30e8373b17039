//! What `request` asks of the host. Each member is copied into the isolate when it is read.

use crate::backend::script::host::shelf::Bytes;
use crate::backend::script::host::shelf::Shelf;
use crate::backend::script::landed::Failure;
use crate::backend::script::landed::Landed;
use crate::http::message::parse::form::Form;
use crate::token::Outcome;

pub(super) fn put(shelf: &Shelf<'_, '_>) -> rquickjs::Result<()> {
    shelf.tells("requestUrl", |call| call.request.url().to_owned())?;
    shelf.tells("requestVerb", |call| call.request.verb().to_owned())?;
    shelf.tells("requestPath", |call| -> Vec<String> {
        call.request.url_path().into_iter().map(str::to_owned).collect()
    })?;
    shelf.tells("requestQuery", |call| flat(call.request.url_query().pairs()))?;
    shelf.tells("requestHeaders", |call| {
        // Of several values of one name the first, as `getHeader` has it.
        let names = call.request.headers().keys().map(hyper::header::HeaderName::as_str);
        flat(names.map(|name| (name, call.request.header(name))))
    })?;
    shelf.tells("requestParams", |call| {
        flat(call.request.params().iter().map(|(name, value)| (&**name, &**value)))
    })?;
    shelf.tells("requestAddress", |call| {
        call.request.remote_address().map(|address| address.to_string())
    })?;
    shelf.tells("requestOtp", |call| outcome(call.request.otp()))?;
    shelf.does("requestHeader", |call, name: String| Ok(call.request.header(&name).to_owned()))?;
    body(shelf)
}

fn body(shelf: &Shelf<'_, '_>) -> rquickjs::Result<()> {
    shelf.tells("requestText", |call| call.request.text().into_owned())?;
    shelf.tells("requestBlob", |call| Bytes(call.request.blob().clone()))?;
    shelf
        .tells("requestPicture", |call| call.request.picture().map(|picture| picture.media_type))?;
    shelf.does("requestJson", |call, ()| {
        // The engine parses it; that it is JSON of some depth at most is seen here.
        let text = call.request.json_text();
        let text = text.map_err(|bad| Failure::body("SyntaxError", &bad))?;
        Ok(text.into_owned())
    })?;
    shelf.awaits("requestForm", |call, ()| {
        let (request, kept) = (call.request.clone(), call.form.clone());
        Ok(async move {
            let form = request.form().await;
            let form = form.map_err(|bad| Failure::body("Error", &bad))?;
            let parts = parts(&form);
            let _ = kept.set(form);
            Ok(Landed::Json(parts.to_string()))
        })
    })?;
    shelf.does("requestFile", |call, at: usize| {
        let form = call.form.get().map_or(&[][..], Form::fields);
        let value = form.get(at).map(|field| field.value.clone());
        Ok(Bytes(value.unwrap_or_default()))
    })
}

/// The fields of a form: texts as they are, files without their content, which is read when the
/// class asks for it.
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

/// Name and value in turn.
fn flat<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> Vec<String> {
    pairs.flat_map(|(name, value)| [name.to_owned(), value.to_owned()]).collect()
}

/// The name of an outcome, and when the token was used if it was.
pub(super) fn outcome(outcome: Outcome) -> Vec<String> {
    let used = match outcome {
        Outcome::Used { at } => Some(at.to_string()),
        _ => None,
    };
    [outcome.name().to_owned()].into_iter().chain(used).collect()
}
