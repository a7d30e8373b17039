//! Parsing of settings whose types belong to other parts of callgate.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::base::secret::SecretText;
use crate::base::setting::{BadValue, Form, Kind, Value, mismatch, parsed};
use crate::http::edge::cors_rule::CorsRule;
use crate::http::edge::hosts::HostRule;
use crate::http::edge::proxies::Network;
use crate::http::edge::proxies::TrustedProxies;
use crate::session::Keyring;
use crate::table::BasePath;

use crate::settings::types::names::{AppName, PublicOrigin};
use crate::settings::types::store_url::{StoreUrl, kind_of};

/// A textual setting: its placeholder in `--help`, and the function that parses it, whose error
/// says how to fix it.
macro_rules! text {
    ($($form:ty: $value:ty, $placeholder:literal, $parse:expr;)+) => {
        $(impl Form for $form {
            type Value = $value;
            const PLACEHOLDER: &'static str = $placeholder;

            fn kind() -> Kind {
                Kind::Text
            }

            fn read(value: &Value) -> Result<$value, BadValue> {
                parsed(value, $parse)
            }
        })+
    };
}

/// The path of a folder.
#[derive(Debug)]
pub(crate) struct Folder;

/// The name of a host, without a scheme, a port or a path.
#[derive(Debug)]
pub(crate) struct HostName;

text! {
    AppName: AppName, "NAME", AppName::parse;
    BasePath: BasePath, "PATH", BasePath::parse;
    CorsRule: CorsRule, "RULE", str::parse;
    Folder: PathBuf, "DIR", |text| match text {
        "" => Err("name a file or a folder".to_owned()),
        _ => Ok(text.into()),
    };
    HostName: String, "HOST", host_name;
    HostRule: HostRule, "HOST", HostRule::parse;
    Network: Network, "NETWORK", str::parse;
    SocketAddr: SocketAddr, "ADDR", |text| text.parse().map_err(|_| {
        "use an IP address and a port, such as \"127.0.0.1:8044\" or \"[::]:8044\"".to_owned()
    });
}

/// A private address needs no entry in the list, only a name does.
fn host_name(text: &str) -> Result<String, String> {
    let fix = "use the name of a host, such as \"app.internal\"";
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let is_name = !text.is_empty() && text.chars().all(plain) && text.parse::<IpAddr>().is_err();
    if is_name { Ok(text.to_owned()) } else { Err(fix.to_owned()) }
}

impl Form for PublicOrigin {
    type Value = Self;
    const PLACEHOLDER: &'static str = "ORIGIN";

    fn kind() -> Kind {
        Kind::Text
    }

    fn read(value: &Value) -> Result<Self, BadValue> {
        parsed(value, Self::parse).map_err(|bad| match value {
            Value::Text(text) if text.contains('@') => {
                BadValue { what: "carries credentials".to_owned(), ..bad }
            }
            _ => bad,
        })
    }
}

impl Form for StoreUrl {
    type Value = Self;
    const PLACEHOLDER: &'static str = "URL";

    fn kind() -> Kind {
        Kind::Url
    }

    fn read(value: &Value) -> Result<Self, BadValue> {
        let Value::Url(url) = value else { return Err(mismatch(value)) };
        Self::parse(url.expose()).map_err(|fix| BadValue {
            code: "bad-store",
            what: kind_of(url.expose()),
            fix,
        })
    }
}

impl Form for TrustedProxies {
    type Value = Self;
    const PLACEHOLDER: &'static str = "LIST";

    fn kind() -> Kind {
        Kind::Texts
    }

    fn read(value: &Value) -> Result<Self, BadValue> {
        Vec::<Network>::read(value).map(Self::new)
    }
}

impl Form for tracing::Level {
    type Value = Self;
    const PLACEHOLDER: &'static str = "LEVEL";

    fn kind() -> Kind {
        Kind::Choice(&["error", "warn", "info", "debug", "trace"])
    }

    fn read(value: &Value) -> Result<Self, BadValue> {
        parsed(value, |text| text.parse().map_err(|_| "use the name of a level".to_owned()))
    }
}

/// Keys for cookies. Errors name an invalid key by its index, never by its text.
#[derive(Debug)]
pub(crate) struct Keys;

impl Form for Keys {
    type Value = Vec<SecretText>;
    const PLACEHOLDER: &'static str = "LIST";

    fn kind() -> Kind {
        Kind::Secrets
    }

    fn read(value: &Value) -> Result<Self::Value, BadValue> {
        let Value::Secrets(keys) = value else { return Err(mismatch(value)) };
        for (key, place) in keys.iter().zip(1..) {
            // Whether a key is valid does not depend on the name of the application.
            if let Err(error) = Keyring::read("", std::slice::from_ref(key)) {
                let what = format!("has no key at place {place}");
                return Err(BadValue { code: "bad-key", what, fix: error.to_string() });
            }
        }
        Ok(keys.clone())
    }
}
