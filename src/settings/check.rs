//! Makes typed settings of what the layers give, and collects everything that is wrong.

use std::fmt;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::secret::SecretText;
use crate::http::edge::hosts::HostRule;
use crate::http::edge::proxies::TrustedProxies;
use crate::session::Keyring;
use crate::table::BasePath;

use super::Settings;
use super::names::AppName;
use super::names::PublicOrigin;
use super::problem::Flaw;
use super::problem::Problem;
use super::problem::quoted;
use super::raw::Raw;
use super::raw::Value;
use super::scripts::Scripts;
use super::store_url::StoreUrl;
use super::store_url::kind_of;
use super::tls::Tls;

/// The settings that `raw` amounts to; where a value is wrong, the default stays.
pub(super) fn settings(raw: &Raw, problems: &mut Vec<Problem>) -> Settings {
    let mut settings = Settings::default();
    let mut check = Check { raw, problems };
    check.places(&mut settings);
    check.keys(&mut settings);
    check.sessions(&mut settings);
    check.tls(&mut settings.tls);
    check.limits(&mut settings);
    check.rates(&mut settings);
    check.scripts(&mut settings.scripts);
    settings
}

struct Check<'r> {
    raw: &'r Raw,
    problems: &'r mut Vec<Problem>,
}

impl Check<'_> {
    fn places(&mut self, s: &mut Settings) {
        self.text("handlers", &mut s.handlers, path);
        self.optional("classes", &mut s.classes, path);
        self.optional("roles", &mut s.roles, path);
        self.text("app", &mut s.app, |text| AppName::parse(text).map_err(|fix| bad(text, fix)));
        self.text("listen", &mut s.listen, address);
        self.text("internal", &mut s.internal, |text| match text {
            "off" => Ok(None),
            _ => address(text).map(Some),
        });
        self.store(&mut s.store);
        self.optional("store_password_file", &mut s.store_password_file, path);
        self.text("safety", &mut s.safety, word);
        self.text("base_path", &mut s.base_path, |text| {
            BasePath::parse(text).map_err(|fix| bad(text, fix))
        });
        self.optional("public_origin", &mut s.public_origin, |text| {
            PublicOrigin::parse(text).map_err(|fix| {
                if text.contains('@') {
                    Flaw::error("bad-value", "carries credentials", fix)
                } else {
                    bad(text, fix)
                }
            })
        });
        self.optional("confirm_page", &mut s.confirm_page, path);
        self.list("hosts", &mut s.hosts, HostRule::parse);
        self.list("fetch_hosts", &mut s.fetch_hosts, HostRule::parse);
        let mut networks = Vec::new();
        self.list("trusted_proxies", &mut networks, str::parse);
        s.trusted_proxies = TrustedProxies::new(networks);
        self.list("private_hosts", &mut s.private_hosts, private_host);
        self.list("internal_hosts", &mut s.internal_hosts, private_host);
        self.list("cors", &mut s.cors, str::parse);
        self.text("hsts", &mut s.hsts, word);
        self.text("rate_limits", &mut s.rate_limits, |text| Ok(text == "on"));
        self.text("reload", &mut s.reload, word);
        self.switch("strict", &mut s.strict);
        self.switch("development", &mut s.development);
        self.text("core_dumps", &mut s.core_dumps, word);
    }

    fn store(&mut self, slot: &mut StoreUrl) {
        let Some(Value::Url(url)) = self.raw.find("store").map(|given| &given.value) else {
            return;
        };
        match StoreUrl::parse(url.expose()) {
            Ok(store) => *slot = store,
            Err(fix) => {
                let what = kind_of(url.expose());
                self.refuse("store", Flaw::error("bad-store", what, fix));
            }
        }
    }

    fn keys(&mut self, s: &mut Settings) {
        self.optional("keys_file", &mut s.keys_file, path);
        self.switch("new_key", &mut s.new_key);
        let Some(Value::Secrets(keys)) = self.raw.find("keys").map(|given| &given.value) else {
            return;
        };
        match check_keys(s.app.as_str(), keys) {
            Ok(()) => s.keys.clone_from(keys),
            Err(flaw) => self.refuse("keys", flaw),
        }
    }

    fn sessions(&mut self, s: &mut Settings) {
        self.number("session.idle_minutes", &mut s.lifetime.idle_minutes);
        let mut absolute_minutes = 0;
        self.number("session.absolute_minutes", &mut absolute_minutes);
        s.lifetime.absolute_minutes = (absolute_minutes > 0).then_some(absolute_minutes);
        self.number("session.max", &mut s.sessions_max);
        self.number("session.guest_share", &mut s.guest_percent);
        self.number("session.answer_bytes", &mut s.answer_bytes_max);
        self.text("cookie.prefix", &mut s.cookie_prefix, word);
        self.text("cookie.same_site", &mut s.same_site, word);
        self.text("cookie.secure", &mut s.cookie_secure, word);
        self.text("log.format", &mut s.log_format, word);
        self.text("log.level", &mut s.log_level, word);
    }

    fn tls(&mut self, tls: &mut Tls) {
        self.optional("tls.cert", &mut tls.cert, path);
        self.optional("tls.key", &mut tls.key, path);
        self.optional("tls.redirect_listen", &mut tls.redirect_listen, address);
    }

    fn limits(&mut self, s: &mut Settings) {
        let limits = &mut s.limits;
        self.number("limits.connections", &mut limits.connections);
        self.number("limits.connections_per_address", &mut limits.connections_per_address);
        self.number("limits.header_bytes", &mut limits.header_bytes);
        self.number("limits.headers", &mut limits.headers);
        self.number("limits.target_bytes", &mut limits.target_bytes);
        self.number("limits.body_bytes", &mut limits.body_bytes);
        self.number("limits.forward_body_bytes", &mut limits.forward_body_bytes);
        self.secs("limits.handshake_secs", &mut limits.handshake);
        self.secs("limits.first_byte_secs", &mut limits.first_byte);
        self.secs("limits.header_secs", &mut limits.header);
        self.secs("limits.body_secs", &mut limits.body);
        self.secs("limits.body_gap_secs", &mut limits.body_gap);
        self.secs("limits.handler_secs", &mut limits.handler);
        self.secs("limits.connect_secs", &mut limits.connect);
        self.secs("limits.upstream_gap_secs", &mut limits.upstream_gap);
        self.secs("limits.tunnel_idle_secs", &mut limits.tunnel_idle);
        self.number("limits.requests_per_connection", &mut limits.requests_per_connection);
        self.secs("limits.connection_age_secs", &mut limits.connection_age);
        self.secs("limits.write_stall_secs", &mut limits.write_stall);
        self.number("limits.streams", &mut limits.streams);
        self.secs("limits.drain_lead_secs", &mut limits.drain_lead);
        self.secs("limits.drain_secs", &mut limits.drain);
    }

    fn rates(&mut self, s: &mut Settings) {
        let rates = &mut s.rates;
        self.number("rates.requests_per_sec", &mut rates.requests.count);
        self.number("rates.requests_burst", &mut rates.requests.burst);
        self.number("rates.failures_per_min", &mut rates.failures.count);
        self.number("rates.failures_burst", &mut rates.failures.burst);
        self.number("rates.failures_alarm_per_min", &mut rates.failures_alarm.count);
        // Nobody is refused by it, so there is nothing to be had at once.
        rates.failures_alarm.burst = rates.failures_alarm.count;
        self.number("rates.session_mints_per_min", &mut rates.session_mints.count);
        self.number("rates.session_mints_burst", &mut rates.session_mints.burst);
        self.number("rates.mints_per_min", &mut rates.mints.count);
        self.number("rates.mints_burst", &mut rates.mints.burst);
        self.number("rates.guests_per_min", &mut rates.guests.count);
        self.number("rates.guests_burst", &mut rates.guests.burst);
        self.number("rates.all_guests_per_sec", &mut rates.all_guests.count);
        self.number("rates.all_guests_burst", &mut rates.all_guests.burst);
    }

    fn text<T>(&mut self, name: &str, slot: &mut T, read: impl FnOnce(&str) -> Result<T, Flaw>) {
        if let Some(Value::Text(text)) = self.raw.find(name).map(|given| &given.value) {
            match read(text) {
                Ok(value) => *slot = value,
                Err(flaw) => self.refuse(name, flaw),
            }
        }
    }

    /// A text that may be missing; an empty one unsets what a lower layer gave.
    fn optional<T>(
        &mut self,
        name: &str,
        slot: &mut Option<T>,
        read: impl FnOnce(&str) -> Result<T, Flaw>,
    ) {
        self.text(name, slot, |text| match text {
            "" => Ok(None),
            _ => read(text).map(Some),
        });
    }

    /// A list whose every item is read alone; where one is wrong, the default stays.
    fn list<T>(&mut self, name: &str, slot: &mut Vec<T>, read: impl Fn(&str) -> Result<T, String>) {
        let Some(Value::Texts(texts)) = self.raw.find(name).map(|given| &given.value) else {
            return;
        };
        let item = |text: &String| {
            let flaw = |fix| Flaw::error("bad-value", format!("holds {}", quoted(text)), fix);
            read(text).map_err(flaw)
        };
        match texts.iter().map(item).collect() {
            Ok(items) => *slot = items,
            Err(flaw) => self.refuse(name, flaw),
        }
    }

    fn scripts(&mut self, scripts: &mut Scripts) {
        self.millis("scripts.cpu_ms", &mut scripts.cpu);
        self.millis("scripts.wall_ms", &mut scripts.wall);
        self.number("scripts.heap_bytes", &mut scripts.heap_bytes);
        self.number("scripts.stack_bytes", &mut scripts.stack_bytes);
        self.number("scripts.output_bytes", &mut scripts.output_bytes);
        self.number("scripts.console_bytes", &mut scripts.console_bytes);
        self.millis("scripts.fetch_ms", &mut scripts.fetch);
        self.number("scripts.fetch_bytes", &mut scripts.fetch_bytes);
        self.number("scripts.calls", &mut scripts.calls);
    }

    fn number<T: TryFrom<u64>>(&mut self, name: &str, slot: &mut T) {
        if let Some(Value::Number(number)) = self.raw.find(name).map(|given| &given.value) {
            match T::try_from(*number) {
                Ok(value) => *slot = value,
                // Ranges are far inside 32 bits; only a change of a range could come here.
                Err(_) => self.refuse(name, bad(&number.to_string(), "use a smaller number")),
            }
        }
    }

    fn secs(&mut self, name: &str, slot: &mut Duration) {
        let mut secs = slot.as_secs();
        self.number(name, &mut secs);
        *slot = Duration::from_secs(secs);
    }

    fn millis(&mut self, name: &str, slot: &mut Duration) {
        let mut millis = u64::try_from(slot.as_millis()).unwrap_or(u64::MAX);
        self.number(name, &mut millis);
        *slot = Duration::from_millis(millis);
    }

    fn switch(&mut self, name: &str, slot: &mut bool) {
        if let Some(Value::Switch(on)) = self.raw.find(name).map(|given| &given.value) {
            *slot = *on;
        }
    }

    fn refuse(&mut self, name: &str, flaw: Flaw) {
        self.problems.push(Problem::of(name, &self.raw.origin(name), flaw));
    }
}

fn path(text: &str) -> Result<PathBuf, Flaw> {
    match text {
        "" => Err(bad(text, "name a file or a folder")),
        _ => Ok(text.into()),
    }
}

/// The name of a host, without a scheme, a port or a path. An address needs no leave.
fn private_host(text: &str) -> Result<String, String> {
    let fix = "use the name of a host, such as \"app.internal\"";
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let is_name = !text.is_empty() && text.chars().all(plain) && text.parse::<IpAddr>().is_err();
    if is_name { Ok(text.to_owned()) } else { Err(fix.to_owned()) }
}

fn address(text: &str) -> Result<SocketAddr, Flaw> {
    let fix = "use an IP address and a port, such as \"127.0.0.1:8044\" or \"[::]:8044\"";
    text.parse().map_err(|_| bad(text, fix))
}

fn word<T: std::str::FromStr>(text: &str) -> Result<T, Flaw>
where
    T::Err: fmt::Display,
{
    text.parse().map_err(|error: T::Err| bad(text, error.to_string()))
}

/// Whether every key is one. Which of them is not is said by its number, never by its text.
fn check_keys(app: &str, keys: &[SecretText]) -> Result<(), Flaw> {
    for (index, key) in keys.iter().enumerate() {
        if let Err(error) = Keyring::read(app, std::slice::from_ref(key)) {
            let what = format!("has no key at place {}", index + 1);
            return Err(Flaw::error("bad-key", what, error.to_string()));
        }
    }
    Ok(())
}

fn bad(text: &str, fix: impl Into<String>) -> Flaw {
    Flaw::error("bad-value", format!("is {}", quoted(text)), fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::raw::Origin;
    use crate::settings::raw::SETTINGS;
    use crate::settings::raw::Setting;

    fn with(name: &str, text: &str) -> (Settings, Vec<Problem>) {
        let setting = Setting::find(name).unwrap();
        let mut raw = Raw::default();
        let origin = Origin::Flag(format!("--{name}"));
        raw.put(setting.name, setting.kind.read(text).unwrap(), origin);
        let mut problems = Vec::new();
        let settings = settings(&raw, &mut problems);
        (settings, problems)
    }

    #[test]
    fn every_setting_reaches_the_settings() {
        let other = |setting: &Setting| match setting.name {
            "listen" | "internal" | "tls.redirect_listen" => "127.0.0.1:1".to_owned(),
            "store" => "memory:".to_owned(),
            "base_path" => "/tools".to_owned(),
            "public_origin" => "https://shop.example".to_owned(),
            "hosts" | "fetch_hosts" | "cors" => "a.example, *.b.example".to_owned(),
            "trusted_proxies" => "10.0.0.0/8, ::1".to_owned(),
            "keys" => "ab".repeat(32),
            _ => match setting.kind {
                super::super::Kind::Choice(words) => words.last().unwrap().to_string(),
                super::super::Kind::Number { max, .. } => max.to_string(),
                super::super::Kind::Switch => "true".to_owned(),
                _ => "other".to_owned(),
            },
        };
        let default = format!("{:?}", Settings::default());
        for setting in SETTINGS {
            let (settings, problems) = with(setting.name, &other(setting));
            assert_eq!(problems, [], "{}", setting.name);
            assert_ne!(format!("{settings:?}"), default, "{} changes nothing", setting.name);
        }
    }

    #[test]
    fn a_wrong_value_is_named_with_the_way_out_and_the_default_stays() {
        for (name, text, line) in [
            ("app", "my shop", "--app is \"my shop\"; use 1 to 32 letters, digits, - and _"),
            (
                "listen",
                "localhost:80",
                "--listen is \"localhost:80\"; use an IP address and a port, such as \"127.0.0.1:8044\" or \"[::]:8044\"",
            ),
            ("handlers", "", "--handlers is \"\"; name a file or a folder"),
            (
                "hosts",
                "a.example,http://b.example",
                "--hosts holds \"http://b.example\"; use host or host:port, such as \"shop.example\" or \"*.shop.example\"",
            ),
            (
                "trusted_proxies",
                "10.0.0.1/8",
                "--trusted_proxies holds \"10.0.0.1/8\"; use 10.0.0.0/8",
            ),
            (
                "private_hosts",
                "app.internal,http://x",
                "--private_hosts holds \"http://x\"; use the name of a host, such as \"app.internal\"",
            ),
            (
                "cors",
                "https://app.example get,post",
                "--cors holds \"post\"; separate methods with \";\", such as \"app.example get;post\"",
            ),
            (
                "store",
                "sqlite://me:pw@host",
                "--store is of the kind \"sqlite\"; use \"embedded:FOLDER\", \"memory:\", \"redis://HOST\" or \"postgres://USER@HOST/DATABASE\"",
            ),
            (
                "public_origin",
                "https://me:pw@shop.example",
                "--public_origin carries credentials; take the user name and the password out",
            ),
        ] {
            let (settings, problems) = with(name, text);
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert_eq!(lines, [format!("error: {line}")]);
            assert_eq!(format!("{settings:?}"), format!("{:?}", Settings::default()));
        }
    }

    #[test]
    fn a_wrong_key_is_named_by_its_place() {
        let good = "0123456789abcdef".repeat(4);
        let (settings, problems) = with("keys", &format!("{good},topsecret"));
        assert!(settings.keys.is_empty());
        let line = problems[0].to_string();
        assert!(line.contains("has no key at place 2; ") && !line.contains("topsecret"), "{line}");
    }

    #[test]
    fn an_empty_text_unsets() {
        let (settings, problems) = with("public_origin", "");
        assert_eq!((settings.public_origin, problems), (None, Vec::new()));
    }
}
