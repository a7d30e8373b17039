//! Host functions of `URL` and `URLSearchParams` (URL Standard).

use rquickjs::{Ctx, Exception, Function, Object};
use url::{Url, quirks};

use crate::backend::script::host::bindings::Bindings;

pub(super) fn bind<'js>(bindings: &Bindings<'_, 'js>) -> rquickjs::Result<()> {
    let ctx = bindings.ctx;
    let parse = |ctx: Ctx<'js>, text: String, base: Option<String>| {
        let base = base.map(|base| Url::parse(&base)).transpose();
        let url = base.and_then(|base| Url::options().base_url(base.as_ref()).parse(&text));
        // The text may contain a token, and the message is logged.
        let url = url.map_err(|error| Exception::throw_type(&ctx, &format!("no URL: {error}")))?;
        parts(&ctx, &url)
    };
    bindings.set("urlParse", Function::new(ctx.clone(), parse)?)?;
    let change = |ctx: Ctx<'js>, href: String, part: String, text: String| {
        let mut url = Url::parse(&href)
            .map_err(|error| Exception::throw_type(&ctx, &format!("no URL: {error}")))?;
        change(&mut url, &part, &text);
        parts(&ctx, &url)
    };
    bindings.set("urlChange", Function::new(ctx.clone(), change)?)?;
    let pairs = |query: String| -> Vec<String> {
        let pairs = form_urlencoded::parse(query.as_bytes());
        pairs.flat_map(|(name, value)| [name.into_owned(), value.into_owned()]).collect()
    };
    bindings.set("formPairs", Function::new(ctx.clone(), pairs)?)?;
    let text = |flat: Vec<String>| {
        let (pairs, _) = flat.as_chunks::<2>();
        let pairs = pairs.iter().map(|[name, value]| (name, value));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    };
    bindings.set("formText", Function::new(ctx.clone(), text)?)
}

/// Sets one part. Invalid values are ignored, as in browsers.
fn change(url: &mut Url, part: &str, text: &str) {
    let _ = match part {
        "protocol" => quirks::set_protocol(url, text),
        "username" => quirks::set_username(url, text),
        "password" => quirks::set_password(url, text),
        "host" => quirks::set_host(url, text),
        "hostname" => quirks::set_hostname(url, text),
        "port" => quirks::set_port(url, text),
        "pathname" => {
            quirks::set_pathname(url, text);
            Ok(())
        }
        "search" => {
            quirks::set_search(url, text);
            Ok(())
        }
        _ => {
            quirks::set_hash(url, text);
            Ok(())
        }
    };
}

/// All parts of a URL, under their names in the URL Standard.
fn parts<'js>(ctx: &Ctx<'js>, url: &Url) -> rquickjs::Result<Object<'js>> {
    let parts = Object::new(ctx.clone())?;
    parts.set("href", quirks::href(url))?;
    parts.set("origin", quirks::origin(url))?;
    parts.set("protocol", quirks::protocol(url))?;
    parts.set("username", quirks::username(url))?;
    parts.set("password", quirks::password(url))?;
    parts.set("host", quirks::host(url))?;
    parts.set("hostname", quirks::hostname(url))?;
    parts.set("port", quirks::port(url))?;
    parts.set("pathname", quirks::pathname(url))?;
    parts.set("search", quirks::search(url))?;
    parts.set("hash", quirks::hash(url))?;
    Ok(parts)
}
