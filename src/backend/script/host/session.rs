//! Host functions of `session`, except its storage.

use std::{str::FromStr, sync::Arc};

use rquickjs::Object;

use crate::backend::script::host::bindings::Bindings;
use crate::backend::script::host::request::outcome;
use crate::backend::script::isolate::completion::{Completion, Failure};
use crate::flow::session::{Privileges, RestoreOptions, Session, SessionError};
use crate::token::MintOptions;

pub(super) fn bind(bindings: &Bindings<'_, '_>) -> rquickjs::Result<()> {
    bindings.getter("sessionId", |call| call.session.id().to_string())?;
    bindings.getter("userName", |call| call.session.user_name())?;
    bindings.getter("expirationDate", |call| call.session.expiration_date().to_string())?;
    bindings.getter("idleTimeout", |call| call.session.idle_timeout())?;
    bindings.method("setIdleTimeout", |call, minutes: f64| {
        call.session.set_idle_timeout(whole(minutes));
        Ok(())
    })?;
    bindings.getter("restoreOutcome", |call| outcome(call.session.restore_outcome()))?;
    bindings.getter("devices", |call| devices(&call.session))?;
    bindings.method("publicUrl", |call, path: String| {
        call.session.public_url(&path).map_err(Failure::session)
    })?;
    bindings.method("takeReturnPath", |call, otherwise: String| {
        Ok(call.session.take_return_path(&otherwise))
    })?;
    privileges(bindings)?;
    tokens(bindings)
}

fn privileges<'js>(bindings: &Bindings<'_, 'js>) -> rquickjs::Result<()> {
    bindings.getter("isGuest", |call| call.session.is_guest())?;
    // 4D's functions return true.
    bindings.getter("clearPrivileges", |call| {
        call.session.clear_privileges();
        true
    })?;
    bindings.getter("getPrivileges", |call| -> Vec<String> {
        call.session.privileges().iter().map(ToString::to_string).collect()
    })?;
    bindings.method("hasPrivilege", |call, name: String| Ok(call.session.has_privilege(&name)))?;
    bindings.method("setPrivileges", |call, options: Object<'js>| {
        let options = Privileges {
            privileges: options.get("privileges").map_err(misread)?,
            roles: options.get("roles").map_err(misread)?,
            user_name: options.get("userName").map_err(misread)?,
            account: None,
            keep_devices: options.get("keepDevices").map_err(misread)?,
        };
        call.session.set_privileges(options).map(|()| true).map_err(Failure::session)
    })
}

fn tokens<'js>(bindings: &Bindings<'_, 'js>) -> rquickjs::Result<()> {
    bindings.async_method("createOtp", |call, options: Object<'js>| {
        let (session, options) = (call.session.clone(), token_options(&options)?);
        Ok(async move {
            session.create_otp(options).await.map(Completion::Text).map_err(Failure::session)
        })
    })?;
    bindings.async_method("createCallbackUrl", |call, options: Object<'js>| {
        let path: String = options.get("path").map_err(misread)?;
        let (session, options) = (call.session.clone(), token_options(&options)?);
        Ok(async move {
            let url = session.create_callback_url(&path, options).await;
            url.map(Completion::Text).map_err(Failure::session)
        })
    })?;
    bindings.async_method("restore", |call, options: Object<'js>| {
        let token: String = options.get("token").map_err(misread)?;
        let options = RestoreOptions { switch: options.get("switch").map_err(misread)? };
        let session = call.session.clone();
        Ok(async move {
            let outcome = session.restore_with(&token, options).await.map_err(Failure::session)?;
            Ok(Completion::Bool(outcome.is_restored()))
        })
    })?;
    bindings.async_method("logout", |call, ()| {
        let session = call.session.clone();
        Ok(async move { done(session.logout().await) })
    })?;
    bindings.async_method("reload", |call, ()| {
        let session = call.session.clone();
        Ok(async move { session.reload().await.map(Completion::Bool).map_err(Failure::session) })
    })?;
    bindings.async_method("keep", |call, ()| {
        let session = call.session.clone();
        Ok(async move { done(session.store_written().await) })
    })
}

/// Parses the options of a new token, whose types the prelude has checked.
fn token_options(options: &Object<'_>) -> Result<MintOptions, Failure> {
    let seconds: Option<f64> = options.get("lifespan").map_err(misread)?;
    let handlers: Vec<String> = options.get("handlers").map_err(misread)?;
    Ok(MintOptions {
        lifespan_secs: seconds.map(|seconds| u64::from(whole(seconds))),
        handlers: handlers.into_iter().map(Arc::from).collect(),
        mode: word(options, "mode")?,
        confirm: word(options, "confirm")?,
        same_browser: options.get("sameBrowser").map_err(misread)?,
        param: options.get("param").map_err(misread)?,
    })
}

/// Parses an option with named values, such as a mode.
fn word<T: FromStr<Err: std::fmt::Display>>(
    options: &Object<'_>,
    name: &str,
) -> Result<Option<T>, Failure> {
    let text: Option<String> = options.get(name).map_err(misread)?;
    text.map(|text| text.parse())
        .transpose()
        .map_err(|error| Failure::new("RangeError", format!("{name} is {error}")))
}

/// Rounds a JavaScript number up to a whole number, clamped to `u32`.
fn whole(number: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the range of u32, and whole"
    )]
    let whole = number.ceil().clamp(0.0, f64::from(u32::MAX)) as u32;
    whole
}

fn devices(session: &Session) -> Vec<Vec<String>> {
    let device = |device: &crate::flow::session::DeviceView| {
        let current = if device.current { "current" } else { "" };
        vec![
            device.id.to_string(),
            device.since.to_string(),
            device.label.clone(),
            current.to_owned(),
        ]
    };
    session.devices().iter().map(device).collect()
}

pub(super) fn done(result: Result<(), SessionError>) -> Result<Completion, Failure> {
    result.map(|()| Completion::Nothing).map_err(Failure::session)
}

/// An argument that could not be converted. The prelude checks types, but a string may contain a
/// lone surrogate.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn misread(error: rquickjs::Error) -> Failure {
    Failure::wrong_type(error.to_string())
}
