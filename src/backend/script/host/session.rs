//! What `session` asks of the host, apart from its storage.

use std::str::FromStr;
use std::sync::Arc;

use rquickjs::Object;

use crate::backend::script::host::request::outcome;
use crate::backend::script::host::shelf::Shelf;
use crate::backend::script::landed::Failure;
use crate::backend::script::landed::Landed;
use crate::flow::session::Privileges;
use crate::flow::session::RestoreOptions;
use crate::flow::session::Session;
use crate::flow::session::SessionError;
use crate::token::MintWish;

pub(super) fn put(shelf: &Shelf<'_, '_>) -> rquickjs::Result<()> {
    shelf.tells("sessionId", |call| call.session.id().to_string())?;
    shelf.tells("userName", |call| call.session.user_name())?;
    shelf.tells("expirationDate", |call| call.session.expiration_date().to_string())?;
    shelf.tells("idleTimeout", |call| call.session.idle_timeout())?;
    shelf.does("setIdleTimeout", |call, minutes: f64| {
        call.session.set_idle_timeout(whole(minutes));
        Ok(())
    })?;
    shelf.tells("restoreOutcome", |call| outcome(call.session.restore_outcome()))?;
    shelf.tells("devices", |call| devices(&call.session))?;
    shelf.does("publicUrl", |call, path: String| {
        call.session.public_url(&path).map_err(Failure::session)
    })?;
    privileges(shelf)?;
    tokens(shelf)
}

fn privileges<'js>(shelf: &Shelf<'_, 'js>) -> rquickjs::Result<()> {
    shelf.tells("isGuest", |call| call.session.is_guest())?;
    shelf.tells("clearPrivileges", |call| call.session.clear_privileges())?;
    shelf.tells("getPrivileges", |call| -> Vec<String> {
        call.session.privileges().iter().map(ToString::to_string).collect()
    })?;
    shelf.does("hasPrivilege", |call, name: String| Ok(call.session.has_privilege(&name)))?;
    shelf.does("setPrivileges", |call, wish: Object<'js>| {
        let wish = Privileges {
            privileges: wish.get("privileges").map_err(misread)?,
            roles: wish.get("roles").map_err(misread)?,
            user_name: wish.get("userName").map_err(misread)?,
            keep_devices: wish.get("keepDevices").map_err(misread)?,
        };
        call.session.set_privileges(wish).map_err(Failure::session)
    })
}

fn tokens<'js>(shelf: &Shelf<'_, 'js>) -> rquickjs::Result<()> {
    shelf.awaits("createOtp", |call, wish: Object<'js>| {
        let (session, wish) = (call.session.clone(), mint_wish(&wish)?);
        Ok(async move {
            session.create_otp(wish).await.map(Landed::Text).map_err(Failure::session)
        })
    })?;
    shelf.awaits("createCallbackUrl", |call, wish: Object<'js>| {
        let path: String = wish.get("path").map_err(misread)?;
        let (session, wish) = (call.session.clone(), mint_wish(&wish)?);
        Ok(async move {
            let url = session.create_callback_url(&path, wish).await;
            url.map(Landed::Text).map_err(Failure::session)
        })
    })?;
    shelf.awaits("restore", |call, wish: Object<'js>| {
        let token: String = wish.get("token").map_err(misread)?;
        let options = RestoreOptions { switch: wish.get("switch").map_err(misread)? };
        let session = call.session.clone();
        Ok(async move {
            let restored = session.restore_with(&token, options).await;
            restored.map(Landed::Bool).map_err(Failure::session)
        })
    })?;
    shelf.awaits("logout", |call, ()| {
        let session = call.session.clone();
        Ok(async move { done(session.logout().await) })
    })?;
    shelf.awaits("reload", |call, ()| {
        let session = call.session.clone();
        Ok(async move { session.reload().await.map(Landed::Bool).map_err(Failure::session) })
    })?;
    shelf.awaits("keep", |call, ()| {
        let session = call.session.clone();
        Ok(async move { done(session.keep_written().await) })
    })
}

/// The wish of a mint, as the prelude has checked its types.
fn mint_wish(wish: &Object<'_>) -> Result<MintWish, Failure> {
    let seconds: Option<f64> = wish.get("lifespan").map_err(misread)?;
    let handlers: Vec<String> = wish.get("handlers").map_err(misread)?;
    Ok(MintWish {
        lifespan_secs: seconds.map(|seconds| u64::from(whole(seconds))),
        handlers: handlers.into_iter().map(Arc::from).collect(),
        mode: word(wish, "mode")?,
        confirm: word(wish, "confirm")?,
        same_browser: wish.get("sameBrowser").map_err(misread)?,
        param: wish.get("param").map_err(misread)?,
    })
}

/// A word that stands for something, such as a mode.
fn word<T: FromStr<Err: std::fmt::Display>>(
    wish: &Object<'_>,
    name: &str,
) -> Result<Option<T>, Failure> {
    let text: Option<String> = wish.get(name).map_err(misread)?;
    text.map(|text| text.parse())
        .transpose()
        .map_err(|error| Failure::new("RangeError", format!("{name} is {error}")))
}

/// A number of JavaScript as a whole one; what is beyond the ends becomes the ends.
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

pub(super) fn done(result: Result<(), SessionError>) -> Result<Landed, Failure> {
    result.map(|()| Landed::Nothing).map_err(Failure::session)
}

/// The prelude hands over what the host expects; a text may still hold half a character.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn misread(error: rquickjs::Error) -> Failure {
    Failure::wrong_type(error.to_string())
}
