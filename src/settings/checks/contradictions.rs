//! Settings that are valid alone and conflict with each other (docs/SECURITY.md G47, D.4).

use crate::base::setting::Raw;
use crate::settings::keys::SHARE;
use crate::settings::keys::UNSHARED;
use crate::settings::problem::{Flaw, Problem};
use crate::settings::{
    CookiePrefix, CookieSecure, CoreDumps, PublicOrigin, Safety, SameSite, Settings, StoreUrl,
};

/// Every conflict; `raw` has the origin of each value.
pub(crate) fn find(settings: &Settings, raw: &Raw) -> Vec<Problem> {
    let mut found = Vec::new();
    cookie(settings, &mut found);
    addresses(settings, &mut found);
    proxies(settings, &mut found);
    tls(settings, &mut found);
    if settings.development {
        development(settings, &mut found);
    }
    if settings.safety == Safety::Strict {
        strict(settings, &mut found);
    }
    idle(settings, &mut found);
    keys(settings, &mut found);
    password(settings, &mut found);
    found.into_iter().map(|(name, flaw)| Problem::of(name, &raw.origin(name), flaw)).collect()
}

/// A flaw and the setting that it is reported for.
type Found = Vec<(&'static str, Flaw)>;

fn cookie(settings: &Settings, found: &mut Found) {
    const FIX: &str = "set public_origin to an https address, or cookie.secure = \"on\"";
    let secure = settings.is_cookie_secure();
    // Browsers drop such cookies silently (RFC 6265bis §5.7), so every request of a visitor would
    // begin a new session.
    if settings.cookie.same_site == SameSite::None && !secure {
        let what = "is \"None\", which browsers only take from a Secure cookie";
        found.push(("cookie.same_site", Flaw::error("insecure-none", what, FIX)));
    }
    if settings.cookie.prefix == CookiePrefix::Host && !secure {
        let what = "is \"host\", which browsers only take from a Secure cookie";
        found.push(("cookie.prefix", Flaw::error("insecure-prefix", what, FIX)));
    }
    let origin = settings.public_origin.as_ref();
    let https = origin.is_some_and(PublicOrigin::is_https);
    let plain = origin.filter(|origin| !origin.is_https() && !origin.is_local());
    if let Some(plain) = plain.filter(|_| settings.cookie.secure == CookieSecure::On) {
        let what = format!("is \"on\", and browsers keep no such cookie from {}", plain.as_str());
        let fix = "set public_origin to an https address, or use \"auto\"";
        found.push(("cookie.secure", Flaw::error("secure-over-http", what, fix)));
    }
    if https && settings.cookie.secure == CookieSecure::Off && settings.safety == Safety::Normal {
        let what = "is \"off\" although the public comes over https";
        found.push(("cookie.secure", Flaw::warning("insecure-cookie", what, "use \"auto\"")));
    }
}

fn addresses(settings: &Settings, found: &mut Found) {
    let Some(internal) = settings.internal else { return };
    if internal == settings.listen && internal.port() != 0 {
        let fix = "give it a port of its own, or \"off\"";
        found.push(("internal", Flaw::error("same-address", "is the address of listen", fix)));
    } else if !internal.ip().is_loopback() {
        let what = "can be reached from other machines, to which it tells its health, and an \
                    operator's credential would travel to it in the clear";
        let fix = "use 127.0.0.1, or see that only your own network gets there";
        found.push(("internal", Flaw::warning("open-internal", what, fix)));
    }
}

fn proxies(settings: &Settings, found: &mut Found) {
    for network in settings.trusted_proxies.networks().iter().filter(|it| it.is_too_wide()) {
        let what = format!("holds {network}, so that strangers can claim any address");
        let flaw = Flaw::error("open-proxies", what, "name the network of your proxies");
        found.push(("trusted_proxies", flaw));
    }
}

/// Limits that can never be reached because of another limit.
fn idle(settings: &Settings, found: &mut Found) {
    let limits = &settings.limits;
    if settings.rate_limits && limits.connections_per_address > limits.connections {
        let what = format!(
            "is {}, more than all connections together, so that one address can take them all",
            limits.connections_per_address
        );
        let fix = "set it below limits.connections, or to 0 if that is meant";
        found.push(("limits.connections_per_address", Flaw::warning("idle-limit", what, fix)));
    }
    let lifetime = settings.lifetime;
    if let Some(absolute) = lifetime.absolute_minutes.filter(|it| *it < lifetime.idle_minutes) {
        let idle = lifetime.idle_minutes;
        let what = format!("is {absolute}, so that the {idle} idle minutes never come to an end");
        let fix = "set it above session.idle_minutes, or to 0 for no such limit";
        found.push(("session.absolute_minutes", Flaw::warning("idle-limit", what, fix)));
    }
    if settings.safety == Safety::Strict && !settings.rate_limits {
        let what = "is \"off\", so that nothing but a limiter in front bounds what a client does";
        let fix = "use \"on\" with high values in [rates], unless there is one";
        found.push(("rate_limits", Flaw::warning("no-rate-limits", what, fix)));
    }
}

fn tls(settings: &Settings, found: &mut Found) {
    let tls = &settings.tls;
    let mut refuse = |name, code, what, fix| found.push((name, Flaw::error(code, what, fix)));
    match (&tls.cert, &tls.key) {
        (Some(_), None) => refuse("tls.cert", "half-tls", "stands without tls.key", "set both"),
        (None, Some(_)) => refuse("tls.key", "half-tls", "stands without tls.cert", "set both"),
        _ => {}
    }
    let origin = settings.public_origin.as_ref();
    // Callback URLs would lead to a port that speaks another protocol, without the Secure cookie.
    if tls.is_on() && origin.is_some_and(|origin| !origin.is_https()) {
        let what = "is not https, although tls.cert is set";
        refuse("public_origin", "plain-origin", what, "use an https address");
    }
    let Some(redirect) = tls.redirect_listen else { return };
    let taken = [Some(settings.listen), settings.internal];
    if redirect.port() != 0 && taken.contains(&Some(redirect)) {
        let what = "is the address of listen or internal";
        refuse("tls.redirect_listen", "same-address", what, "give it a port of its own");
    }
    if !origin.is_some_and(PublicOrigin::is_https) {
        let what = "sends people to public_origin, which is not https";
        refuse("tls.redirect_listen", "no-way-on", what, "set public_origin to an https address");
    }
}

fn keys(settings: &Settings, found: &mut Found) {
    match (settings.keys.is_empty(), &settings.keys_file) {
        (false, Some(_)) => {
            let fix = "drop one of them";
            found.push(("keys_file", Flaw::error("two-keys", "stands beside keys", fix)));
        }
        // With a key of its own, every node would discard the cookies of the others.
        (true, None) if settings.store.is_shared() => {
            found.push(("keys", Flaw::error("unshared-keys", UNSHARED, SHARE)));
        }
        _ => {}
    }
}

fn password(settings: &Settings, found: &mut Found) {
    if settings.store_password_file.is_none() {
        if settings.store.wants_password() {
            let fix = "write USER:PASSWORD@HOST, or set store_password_file";
            let flaw = Flaw::error("no-password", "names a user without a password", fix);
            found.push(("store", flaw));
        }
        return;
    }
    let flaw = if settings.store.has_password() {
        let what = "stands beside the password in store";
        Flaw::error("two-passwords", what, "drop one of them")
    } else if !settings.store.is_shared() {
        let what = "stands beside a store that takes no password";
        Flaw::warning("idle-password", what, "drop it")
    } else {
        return;
    };
    found.push(("store_password_file", flaw));
}

fn development(settings: &Settings, found: &mut Found) {
    let origin = settings.public_origin.as_ref();
    let what = if !settings.listen.ip().is_loopback() {
        "shows the errors of handlers, but listen is open to other machines"
    } else if origin.is_some_and(|origin| !origin.is_local()) {
        "shows the errors of handlers, but public_origin is not this machine"
    } else {
        let what = "shows the errors of handlers to clients";
        let fix = "switch it off where others can see it";
        found.push(("development", Flaw::warning("development", what, fix)));
        return;
    };
    let fix = "switch it off, or stay on 127.0.0.1";
    found.push(("development", Flaw::error("open-development", what, fix)));
}

fn strict(settings: &Settings, found: &mut Found) {
    let mut refuse = |name, what, fix| found.push((name, Flaw::error("not-safe", what, fix)));
    if matches!(settings.store, StoreUrl::Memory) {
        let what = "is \"memory:\", which loses everything; safety is \"strict\"";
        refuse("store", what, "use \"embedded:FOLDER\", \"redis://…\" or \"postgres://…\"");
    }
    match &settings.public_origin {
        None => refuse("public_origin", "is not set; safety is \"strict\"", "set it"),
        Some(origin) if !origin.is_https() => {
            refuse("public_origin", "is not https; safety is \"strict\"", "use an https address");
        }
        Some(_) if !settings.is_cookie_secure() => {
            let what = "keeps the cookie from being Secure; safety is \"strict\"";
            refuse("cookie.secure", what, "use \"auto\"");
        }
        Some(_) => {}
    }
    if settings.core_dumps == CoreDumps::On {
        let what = "is \"on\", and a core dump holds keys and tokens; safety is \"strict\"";
        refuse("core_dumps", what, "use \"auto\"");
    }
    if settings.development {
        refuse("development", "is on; safety is \"strict\"", "switch it off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "postgres")]
    use crate::base::secret::SecretText;
    use crate::http::edge::proxies::TrustedProxies;
    use crate::settings::Cookie;
    use crate::settings::Tls;

    fn codes(settings: &Settings) -> Vec<String> {
        let found = find(settings, &Raw::default());
        found
            .iter()
            .map(|problem| {
                let subject = problem.what.split(' ').next().unwrap();
                format!("{} {} {subject}", problem.severity, problem.code)
            })
            .collect()
    }

    fn over(origin: &str) -> Settings {
        let public_origin = Some(PublicOrigin::parse(origin).unwrap());
        Settings { public_origin, ..Settings::default() }
    }

    fn with_cookie(change: impl FnOnce(&mut Cookie)) -> Settings {
        let mut settings = Settings::default();
        change(&mut settings.cookie);
        settings
    }

    fn insecure(settings: Settings) -> Settings {
        let cookie = Cookie { secure: CookieSecure::Off, ..settings.cookie };
        Settings { cookie, ..settings }
    }

    #[test]
    fn the_defaults_go_together() {
        assert_eq!(codes(&Settings::default()), Vec::<String>::new());
        assert_eq!(codes(&over("https://shop.example")), Vec::<String>::new());
    }

    #[test]
    fn cookies_that_browsers_drop_are_refused() {
        let none = with_cookie(|cookie| cookie.same_site = SameSite::None);
        assert_eq!(codes(&none), ["error insecure-none cookie.same_site"]);
        let host = with_cookie(|cookie| cookie.prefix = CookiePrefix::Host);
        assert_eq!(codes(&host), ["error insecure-prefix cookie.prefix"]);
        let secure = with_cookie(|cookie| {
            (cookie.same_site, cookie.secure) = (SameSite::None, CookieSecure::On);
        });
        assert_eq!(codes(&secure), Vec::<String>::new());
        let off = insecure(over("https://shop.example"));
        assert_eq!(codes(&off), ["warning insecure-cookie cookie.secure"]);
    }

    #[test]
    fn the_internal_address_stays_apart() {
        let default = Settings::default();
        let same = Settings { internal: Some(default.listen), ..default.clone() };
        assert_eq!(codes(&same), ["error same-address internal"]);
        let free = "127.0.0.1:0".parse().unwrap();
        let both_free = Settings { listen: free, internal: Some(free), ..default.clone() };
        assert_eq!(codes(&both_free), Vec::<String>::new());
        let open = Settings { internal: "0.0.0.0:8045".parse().ok(), ..default };
        assert_eq!(codes(&open), ["warning open-internal internal"]);
    }

    #[test]
    fn not_everybody_is_a_trusted_proxy() {
        let trusting = |text: &str| {
            let trusted_proxies = TrustedProxies::new(vec![text.parse().unwrap()]);
            codes(&Settings { trusted_proxies, ..Settings::default() })
        };
        assert_eq!(trusting("0.0.0.0/0"), ["error open-proxies trusted_proxies"]);
        assert_eq!(trusting("::/0"), ["error open-proxies trusted_proxies"]);
        assert_eq!(trusting("10.0.0.0/8"), Vec::<String>::new());
    }

    #[test]
    fn https_is_whole_and_leads_to_itself() {
        let files = |cert: Option<&str>, key: Option<&str>| Tls {
            cert: cert.map(Into::into),
            key: key.map(Into::into),
            ..Tls::default()
        };
        let with = |tls| Settings { tls, ..Settings::default() };
        assert_eq!(codes(&with(files(Some("c"), Some("k")))), Vec::<String>::new());
        assert_eq!(codes(&with(files(Some("c"), None))), ["error half-tls tls.cert"]);
        assert_eq!(codes(&with(files(None, Some("k")))), ["error half-tls tls.key"]);
        let whole = files(Some("c"), Some("k"));
        let plain = Settings { tls: whole.clone(), ..over("http://shop.example") };
        assert_eq!(codes(&plain), ["error plain-origin public_origin"]);
        let redirect = |at: &str| Tls { redirect_listen: at.parse().ok(), ..whole.clone() };
        let on = Settings { tls: redirect("127.0.0.1:80"), ..over("https://shop.example") };
        assert_eq!(codes(&on), Vec::<String>::new());
        let same = Settings { tls: redirect("127.0.0.1:8044"), ..on };
        assert_eq!(codes(&same), ["error same-address tls.redirect_listen"]);
        assert_eq!(codes(&with(redirect("127.0.0.1:80"))), ["error no-way-on tls.redirect_listen"]);
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn nodes_that_share_a_store_share_their_keys() {
        let store = StoreUrl::parse("postgres://me@db.example/gate").unwrap();
        let alone = Settings { store, ..Settings::default() };
        assert_eq!(codes(&alone), ["error unshared-keys keys"]);
        let line = find(&alone, &Raw::default())[0].to_string();
        assert!(line.contains("openssl rand -hex 32"), "{line}");
        let keys = vec![SecretText::new("ab".repeat(32))];
        assert_eq!(codes(&Settings { keys, ..alone.clone() }), Vec::<String>::new());
        let keys_file = Some("keys".into());
        assert_eq!(codes(&Settings { keys_file, ..alone }), Vec::<String>::new());
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_password_is_given_once_and_where_one_is_wanted() {
        let with = |url: &str| {
            let (store, keys_file) = (StoreUrl::parse(url).unwrap(), Some("keys".into()));
            let store_password_file = Some("password".into());
            codes(&Settings { store, store_password_file, keys_file, ..Settings::default() })
        };
        assert_eq!(with("postgres://me@db.example/gate"), Vec::<String>::new());
        let twice = with("postgres://me:pw@db.example/gate");
        assert_eq!(twice, ["error two-passwords store_password_file"]);
        assert_eq!(with("embedded:data"), ["warning idle-password store_password_file"]);
    }

    #[test]
    fn development_stays_on_this_machine() {
        let on = |settings| Settings { development: true, ..settings };
        assert_eq!(codes(&on(Settings::default())), ["warning development development"]);
        assert_eq!(codes(&on(over("http://localhost:8044"))), ["warning development development"]);
        let public = on(over("https://shop.example"));
        assert_eq!(codes(&public), ["error open-development development"]);
        let listen = "0.0.0.0:8044".parse().unwrap();
        let open = on(Settings { listen, ..Settings::default() });
        assert_eq!(codes(&open), ["error open-development development"]);
    }

    #[test]
    fn strict_safety_refuses_what_is_not_fit_for_production() {
        let strict = |settings| Settings { safety: Safety::Strict, ..settings };
        assert_eq!(codes(&strict(over("https://shop.example"))), Vec::<String>::new());
        let plain = strict(Settings { store: StoreUrl::Memory, ..Settings::default() });
        assert_eq!(codes(&plain), ["error not-safe store", "error not-safe public_origin"]);
        assert_eq!(codes(&strict(over("http://shop.example"))), ["error not-safe public_origin"]);
        let off = insecure(over("https://shop.example"));
        assert_eq!(codes(&strict(off)), ["error not-safe cookie.secure"]);
    }
}
