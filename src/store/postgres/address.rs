//! The address of a PostgreSQL database and its options, parsed from a `postgres://` URL.
//!
//! ```text
//! postgres://USER[:PASSWORD]@HOST[:PORT][,HOST[:PORT]…][/DATABASE][?NAME=VALUE&…]
//! ```
//!
//! Several hosts are the nodes of one cluster, and callgate uses the one that accepts writes.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::base::secret::SecretText;
use crate::base::text::nearest::nearest;

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
const NAMES: [&str; 5] = ["sslmode", "sslrootcert", "schema", "fence", "pool"];
const PORT: u16 = 5432;
const POOL: usize = 16;
const POOL_MAX: usize = 512;
/// The maximum length of an identifier in PostgreSQL.
const SCHEMA_BYTES_MAX: usize = 63;
const FORM: &str = "postgres://USER:PASSWORD@HOST:5432/DATABASE";

/// A PostgreSQL database.
///
/// `Display` and `Debug` omit the password.
#[derive(Clone, Debug)]
pub struct Address {
    pub(super) user: String,
    pub(super) password: Option<SecretText>,
    pub(super) hosts: Vec<Host>,
    pub(super) database: String,
    pub(super) ssl: SslMode,
    pub(super) root_certificates: Option<PathBuf>,
    pub(super) schema: String,
    pub(super) fence: bool,
    pub(super) pool: usize,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// A name, an address without its brackets, or the directory of a Unix socket.
    pub(super) name: String,
    pub(super) port: u16,
}

/// The encryption that a connection requires; the values of `libpq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SslMode {
    /// None.
    Disable,
    /// If the server offers it, without verification.
    Prefer,
    /// Always, without verification; with a root certificate as [`SslMode::VerifyCa`].
    Require,
    /// Always, with a server whose certificate comes from a trusted authority, for any name.
    VerifyCa,
    /// Always, with a server whose certificate comes from a trusted authority and matches its
    /// name.
    VerifyFull,
}

impl SslMode {
    const NAMES: [(&'static str, Self); 5] = [
        ("disable", Self::Disable),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    /// Whether a man in the middle would be detected.
    pub(super) fn verifies(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, mode)| mode == self);
        f.write_str(name.map_or("disable", |(name, _)| name))
    }
}

impl Host {
    /// Whether the connection never leaves this machine.
    pub(super) fn is_here(&self) -> bool {
        self.is_socket()
            || self.name.eq_ignore_ascii_case("localhost")
            || self.name.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
    }

    /// Whether it is reached by a Unix socket.
    pub(super) fn is_socket(&self) -> bool {
        self.name.starts_with('/')
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            name if self.is_socket() => write!(f, "{}:{}", name.replace('/', "%2F"), self.port),
            name if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            name => write!(f, "{name}:{}", self.port),
        }
    }
}

impl Address {
    /// Parses a URL. Error texts do not contain the password.
    ///
    /// | parameter | |
    /// |---|---|
    /// | `sslmode` | `disable`, `prefer`, `require`, `verify-ca` or `verify-full`, as in `libpq`; default `verify-full`, and `prefer` where all hosts are this machine |
    /// | `sslrootcert` | a file with the certificates to trust, in place of those of the system |
    /// | `schema` | where callgate keeps its tables; default `callgate` |
    /// | `fence` | `off` grants tokens of another epoch of the database too; default `on` |
    /// | `pool` | connections at most; default 16 |
    pub fn parse(url: &str) -> Result<Self, String> {
        let rest = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme));
        let Some(rest) = rest else {
            return Err(format!("no URL of PostgreSQL; write {FORM}"));
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        if query.contains('@') {
            return Err("the password holds a \"?\"; write it as %3F".to_owned());
        }
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        if database.contains('@') {
            return Err("the user or the password holds a \"/\"; write it as %2F".to_owned());
        }
        let Some((login, hosts)) = authority.rsplit_once('@') else {
            return Err(format!("there is no user; write {FORM}"));
        };
        let (user, password) = login.split_once(':').map_or((login, None), |(u, p)| (u, Some(p)));
        let user = decode("the user", user)?;
        if user.is_empty() {
            return Err(format!("there is no user; write {FORM}"));
        }
        let password = password.map(|text| decode("the password", text)).transpose()?;
        let hosts = hosts.split(',').map(host).collect::<Result<Vec<Host>, String>>()?;
        // The default of libpq.
        let database =
            if database.is_empty() { user.clone() } else { decode("the name", database)? };
        let all_here = hosts.iter().all(Host::is_here);
        let ssl = if all_here { SslMode::Prefer } else { SslMode::VerifyFull };
        let mut address = Self {
            user,
            password: password.map(SecretText::new),
            hosts,
            database,
            ssl,
            root_certificates: None,
            schema: "callgate".to_owned(),
            fence: true,
            pool: POOL,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            address.set(name, &decode(&format!("{name:?}"), value)?)?;
        }
        Ok(address)
    }

    /// Whether a token is granted only by the epoch of the database that minted it.
    pub fn fence(&self) -> bool {
        self.fence
    }

    /// Whether there is a password.
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// The same address with this password.
    #[must_use]
    pub fn with_password(self, password: SecretText) -> Self {
        Self { password: Some(password), ..self }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "sslmode" => {
                let known = SslMode::NAMES.iter().find(|(word, _)| *word == value);
                self.ssl = known.map(|(_, mode)| *mode).ok_or_else(|| {
                    let words = SslMode::NAMES.map(|(word, _)| word).join(", ");
                    format!("sslmode is {value:?}; use one of {words}")
                })?;
            }
            "sslrootcert" if value.is_empty() => {
                return Err("sslrootcert is empty; write the path of a file in PEM".to_owned());
            }
            "sslrootcert" => self.root_certificates = Some(value.into()),
            "schema" => {
                if !is_plain_name(value) {
                    return Err(format!(
                        "schema is {value:?}; use a name of lower-case letters, digits and \"_\""
                    ));
                }
                value.clone_into(&mut self.schema);
            }
            "fence" => {
                self.fence = match value {
                    "on" => true,
                    "off" => false,
                    _ => return Err(format!("fence is {value:?}; use on or off")),
                };
            }
            "pool" => {
                let size = value.parse().ok().filter(|size| (1..=POOL_MAX).contains(size));
                self.pool = size.ok_or_else(|| {
                    format!("pool is {value:?}; use a number from 1 to {POOL_MAX}")
                })?;
            }
            _ => {
                let way_out = match nearest(name, NAMES) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("use {}", NAMES.join(", ")),
                };
                return Err(format!("{name:?} is no parameter; {way_out}"));
            }
        }
        Ok(())
    }
}

/// The address without the password and without default values.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.hosts.iter().map(Host::to_string).collect();
        write!(f, "postgres://{}@{}/{}", self.user, hosts.join(","), self.database)?;
        if self.schema != "callgate" {
            write!(f, "?schema={}", self.schema)?;
        }
        Ok(())
    }
}

fn host(text: &str) -> Result<Host, String> {
    let bad = || format!("{text:?} is no host; write HOST:PORT, or [ADDRESS]:PORT for IPv6");
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, rest) = rest.split_once(']').ok_or_else(bad)?;
            let is_address = name.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6());
            let port = if rest.is_empty() { Some("") } else { rest.strip_prefix(':') };
            (name, port.filter(|_| is_address).ok_or_else(bad)?)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let name = decode("the host", name)?;
    let is_host = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control());
    let port =
        if port.is_empty() { Some(PORT) } else { port.parse().ok().filter(|port| *port > 0) };
    port.filter(|_| is_host).map(|port| Host { name, port }).ok_or_else(bad)
}

fn decode(what: &str, text: &str) -> Result<String, String> {
    let text = percent_decode_str(text).decode_utf8();
    match text {
        Ok(text) if !text.contains('\0') => Ok(text.into_owned()),
        _ => Err(format!("{what} is no text when its %XX are decoded; use UTF-8")),
    }
}

/// Whether it needs no quotes in SQL.
fn is_plain_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c == '_';
    text.len() <= SCHEMA_BYTES_MAX
        && text.starts_with(is_letter)
        && text.chars().all(|c| is_letter(c) || c.is_ascii_digit())
        && !text.starts_with("pg_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port }
    }

    fn refused(url: &str) -> String {
        Address::parse(url).unwrap_err()
    }

    #[test]
    fn a_short_url_gets_what_is_usual() {
        let address = Address::parse("postgres://callgate@db.example").unwrap();
        assert_eq!((address.user.as_str(), address.database.as_str()), ("callgate", "callgate"));
        assert!(address.password.is_none());
        assert_eq!(address.hosts, [host("db.example", 5432)]);
        assert_eq!((address.schema.as_str(), address.fence, address.pool), ("callgate", true, 16));
        assert_eq!(address.ssl, SslMode::VerifyFull);
    }

    #[test]
    fn a_long_url_is_read_to_its_end() {
        let url = "postgresql://me%40home:p%40ss%2F%C3%A9@a.example:6432,[2001:db8::1],10.0.0.3:1/my%20db\
                   ?sslmode=verify-ca&sslrootcert=%2Fetc%2Fca.pem&schema=gate_2&fence=off&pool=4";
        let address = Address::parse(url).unwrap();
        assert_eq!(address.user, "me@home");
        assert_eq!(address.password.as_ref().unwrap().expose(), "p@ss/é");
        let hosts = [host("a.example", 6432), host("2001:db8::1", 5432), host("10.0.0.3", 1)];
        assert_eq!(address.hosts, hosts);
        assert_eq!(address.database, "my db");
        assert_eq!(address.ssl, SslMode::VerifyCa);
        assert_eq!(address.root_certificates, Some("/etc/ca.pem".into()));
        assert_eq!((address.schema.as_str(), address.fence, address.pool), ("gate_2", false, 4));
    }

    #[test]
    fn only_this_machine_is_spoken_to_without_a_certificate() {
        for here in
            ["localhost", "127.0.0.1", "[::1]:5433", "%2Frun%2Fpostgresql", "[::ffff:127.0.0.1]"]
        {
            let address = Address::parse(&format!("postgres://u@{here}/d")).unwrap();
            assert_eq!(address.ssl, SslMode::Prefer, "{here}");
        }
        for there in ["10.0.0.1", "localhost,db.example", "localhost.example", "[::2]"] {
            let address = Address::parse(&format!("postgres://u@{there}/d")).unwrap();
            assert_eq!(address.ssl, SslMode::VerifyFull, "{there}");
        }
    }

    #[test]
    fn the_password_is_in_no_text() {
        let address = Address::parse("postgres://u:hunter%32@h/d?schema=s").unwrap();
        assert_eq!(address.to_string(), "postgres://u@h:5432/d?schema=s");
        let shown = format!("{address} {address:?}");
        assert!(!shown.contains("hunter"), "{shown}");
        for url in [
            "postgres://u:hunter2@h:port/d",
            "postgres://u:hunter2@h/d?fence=maybe",
            "postgres://u:hun/ter2@h/d",
            "postgres://u:hun?ter2@h/d",
            "postgres://u:hunter%FF@h/d",
            "postgres://u:hunter2@/d",
            "mysql://u:hunter2@h/d",
            "postgres://u:hunter2",
        ] {
            let why = refused(url);
            assert!(!why.contains("hun") && !why.contains("ter2"), "{why}");
        }
    }

    #[test]
    fn a_host_reads_back_what_it_writes() {
        for text in ["a.example:6432", "[2001:db8::1]:5432", "%2Frun%2Fpostgresql:5432"] {
            assert_eq!(super::host(text).unwrap().to_string(), text);
        }
        for text in ["", ":5432", "h:0", "h:65536", "h:x", "[::1", "[::1]x", "[h]:1", "a b", "::1"]
        {
            assert!(super::host(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_way_out() {
        assert_eq!(refused("postgres://h/d"), format!("there is no user; write {FORM}"));
        assert_eq!(refused("postgres://:p@h/d"), format!("there is no user; write {FORM}"));
        assert_eq!(
            refused("postgres://u@h/d?sslmod=require"),
            "\"sslmod\" is no parameter; did you mean sslmode?"
        );
        assert_eq!(
            refused("postgres://u@h/d?application_name=x"),
            "\"application_name\" is no parameter; use sslmode, sslrootcert, schema, fence, pool"
        );
        assert_eq!(
            refused("postgres://u@h/d?sslmode=full"),
            "sslmode is \"full\"; use one of disable, prefer, require, verify-ca, verify-full"
        );
        assert_eq!(refused("postgres://u@h/d?pool=0"), "pool is \"0\"; use a number from 1 to 512");
        for schema in ["", "Gate", "a-b", "1a", "pg_x", "a.b", "a\"b"] {
            assert!(refused(&format!("postgres://u@h/d?schema={schema}")).starts_with("schema is"));
        }
    }
}
