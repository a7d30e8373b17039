//! Host functions of `crypto`: random values, digests and HMAC.

use std::rc::Rc;

use ring::{digest, hmac};
use rquickjs::{Ctx, Exception, Function};

use crate::backend::script::host::bindings::{Base64Bytes, Bindings, Bytes};

/// A hash function by its name in the Web Cryptography API (§18.2).
struct Hash {
    name: &'static str,
    digest: &'static digest::Algorithm,
    hmac: hmac::Algorithm,
}

/// SHA-1 is supported for webhooks that are still signed with it. callgate itself does not use it.
static HASHES: [Hash; 4] = [
    Hash { name: "SHA-256", digest: &digest::SHA256, hmac: hmac::HMAC_SHA256 },
    Hash { name: "SHA-384", digest: &digest::SHA384, hmac: hmac::HMAC_SHA384 },
    Hash { name: "SHA-512", digest: &digest::SHA512, hmac: hmac::HMAC_SHA512 },
    Hash {
        name: "SHA-1",
        digest: &digest::SHA1_FOR_LEGACY_USE_ONLY,
        hmac: hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
    },
];

pub(super) fn bind<'js>(bindings: &Bindings<'_, 'js>) -> rquickjs::Result<()> {
    let ctx = bindings.ctx;
    let entropy = Rc::clone(bindings.operations);
    let random = move |ctx: Ctx<'js>, count: usize| {
        let mut bytes = vec![0; count];
        let filled = entropy.environment.entropy.fill(&mut bytes);
        filled.map_err(|error| Exception::throw_message(&ctx, &error.to_string()))?;
        Ok::<_, rquickjs::Error>(Bytes(bytes))
    };
    bindings.set("randomBytes", Function::new(ctx.clone(), random)?)?;
    let name = |ctx: Ctx<'js>, name: String| find(&ctx, &name).map(|hash| hash.name);
    bindings.set("hashName", Function::new(ctx.clone(), name)?)?;
    let digest = |ctx: Ctx<'js>, name: String, content: Base64Bytes| {
        Ok::<_, rquickjs::Error>(Bytes(digest::digest(find(&ctx, &name)?.digest, &content.0)))
    };
    bindings.set("digest", Function::new(ctx.clone(), digest)?)?;
    let sign = |ctx: Ctx<'js>, name: String, key: Base64Bytes, content: Base64Bytes| {
        let key = hmac_key(find(&ctx, &name)?, &key);
        Ok::<_, rquickjs::Error>(Bytes(hmac::sign(&key, &content.0)))
    };
    bindings.set("hmac", Function::new(ctx.clone(), sign)?)?;
    let fits = |ctx: Ctx<'js>, name: String, key: Base64Bytes, signed: Signed| {
        let key = hmac_key(find(&ctx, &name)?, &key);
        let [content, tag] = signed.0;
        Ok::<_, rquickjs::Error>(hmac::verify(&key, &content.0, &tag.0).is_ok())
    };
    bindings.set("hmacFits", Function::new(ctx.clone(), fits)?)
}

/// The signed content and the signature.
struct Signed([Base64Bytes; 2]);

impl<'js> rquickjs::FromJs<'js> for Signed {
    fn from_js(ctx: &Ctx<'js>, value: rquickjs::Value<'js>) -> rquickjs::Result<Self> {
        let pair = rquickjs::Array::from_js(ctx, value)?;
        Ok(Self([pair.get(0)?, pair.get(1)?]))
    }
}

fn find(ctx: &Ctx<'_>, name: &str) -> rquickjs::Result<&'static Hash> {
    let known = HASHES.iter().find(|hash| hash.name.eq_ignore_ascii_case(name));
    known.ok_or_else(|| {
        let names: Vec<&str> = HASHES.iter().map(|hash| hash.name).collect();
        let text = format!("{name:?} is no hash that is known here; use {}", names.join(", "));
        Exception::throw_range(ctx, &text)
    })
}

fn hmac_key(hash: &Hash, key: &Base64Bytes) -> hmac::Key {
    hmac::Key::new(hash.hmac, &key.0)
}
