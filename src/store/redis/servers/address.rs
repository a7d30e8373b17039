//! The address of a Redis, parsed and checked from `store = "redis://…"`.

use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use crate::base::secret::SecretText;
use crate::base::text::nearest::nearest;

/// Names of the query parameters.
const PARAMETERS: [&str; 5] = ["ca", "fence", "wait", "sentinel_username", "sentinel_password"];

/// The port of a Redis, and of a Cluster's nodes, if the address has none.
const PORT: u16 = 6379;

/// The port of a Sentinel if the address has none.
const SENTINEL_PORT: u16 = 26_379;

/// The servers of a Redis or Valkey, the credentials, and the options.
///
/// Its text contains no user names and passwords. Cloning is cheap.
#[derive(Clone)]
pub struct Address(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    form: Form,
    tls: bool,
    hosts: Vec<Host>,
    database: u32,
    sign_in: SignIn,
    fence: bool,
    wait: Option<u8>,
    authorities: Option<PathBuf>,
}

/// The kind of deployment.
#[derive(Debug, Clone)]
pub enum Form {
    /// One server.
    Single,
    /// Sentinels that report which server is the master of this name.
    Sentinel {
        /// The name of the master.
        master: String,
        /// The credentials for the Sentinels themselves.
        sign_in: SignIn,
    },
    /// Masters that share the keys between them.
    Cluster,
}

/// A user and its password, where a server requires them.
#[derive(Debug, Clone, Default)]
pub struct SignIn {
    /// The user, if it is not the default one.
    pub user: Option<SecretText>,
    /// The password.
    pub password: Option<SecretText>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    /// A name or an IP address, the latter without brackets.
    pub name: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// Parses an address. Error texts do not quote it, because it may contain a password, perhaps
    /// in the wrong place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("an address of a Redis begins with redis:// or rediss://")?;
        let (tls, mut form) = form(scheme)?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if rest.contains('@') {
            return Err("the address has an @ behind the server; write / ? # and @ inside of a \
                        user or a password as %2F %3F %23 and %40"
                .into());
        }
        if rest.contains('#') {
            return Err(
                "the address has a #, which means nothing here; remove it, or write it as \
                        %23 if it belongs to a password"
                    .into(),
            );
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (sign_in, hosts) = match authority.rsplit_once('@') {
            Some((sign_in, hosts)) => (SignIn::parse(sign_in)?, hosts),
            None => (SignIn::default(), authority),
        };
        let port = if matches!(form, Form::Sentinel { .. }) { SENTINEL_PORT } else { PORT };
        let hosts =
            hosts.split(',').map(|host| Host::parse(host, port)).collect::<Result<_, _>>()?;
        let database = place(path, &mut form)?;
        let mut parts = Parts {
            form,
            tls,
            hosts,
            database,
            sign_in,
            fence: true,
            wait: None,
            authorities: None,
        };
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            parts.set(name, &decoded(value)?)?;
        }
        parts.check()?;
        Ok(Self(Arc::new(parts)))
    }

    /// The kind of deployment.
    pub fn form(&self) -> &Form {
        &self.0.form
    }

    /// Whether connections are encrypted.
    pub fn tls(&self) -> bool {
        self.0.tls
    }

    /// The servers, or the Sentinels, or some nodes of the Cluster.
    pub fn hosts(&self) -> &[Host] {
        &self.0.hosts
    }

    /// The number of the database.
    pub fn database(&self) -> u32 {
        self.0.database
    }

    /// The credentials for the servers.
    pub fn sign_in(&self) -> &SignIn {
        &self.0.sign_in
    }

    /// Whether there is a password for the servers.
    pub fn has_password(&self) -> bool {
        self.0.sign_in.password.is_some()
    }

    /// Whether a user is named and its password is missing.
    pub fn wants_password(&self) -> bool {
        self.0.sign_in.user.is_some() && !self.has_password()
    }

    /// The same address with this password for the servers.
    #[must_use]
    pub fn with_password(self, password: SecretText) -> Self {
        let mut parts = Arc::unwrap_or_clone(self.0);
        parts.sign_in.password = Some(password);
        Self(Arc::new(parts))
    }

    /// Whether a token is granted only by the epoch of the server that minted it.
    pub fn fence(&self) -> bool {
        self.0.fence
    }

    /// How many replicas must have acknowledged a write before it counts.
    pub fn wait(&self) -> Option<u8> {
        self.0.wait
    }

    /// The file with the certificate authorities to trust, if they are not those of the system.
    pub fn authorities(&self) -> Option<&Path> {
        self.0.authorities.as_deref()
    }
}

fn form(scheme: &str) -> Result<(bool, Form), String> {
    let sentinel = Form::Sentinel { master: String::new(), sign_in: SignIn::default() };
    Ok(match scheme {
        "redis" => (false, Form::Single),
        "rediss" => (true, Form::Single),
        "redis+sentinel" | "redis-sentinel" => (false, sentinel),
        "rediss+sentinel" | "rediss-sentinel" => (true, sentinel),
        "redis+cluster" | "redis-cluster" => (false, Form::Cluster),
        "rediss+cluster" | "rediss-cluster" => (true, Form::Cluster),
        _ => {
            return Err("the address begins with no scheme of a Redis; write redis://, \
                        redis+sentinel:// or redis+cluster://, or the same with rediss for TLS"
                .into());
        }
    })
}

/// Parses the path: `/0`, or `/mymaster/0` behind Sentinels.
fn place(path: &str, form: &mut Form) -> Result<u32, String> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let number = match form {
        Form::Sentinel { master, .. } => {
            let (name, number) = path.split_once('/').unwrap_or((path, ""));
            *master = decoded(name)?;
            if master.is_empty() {
                return Err("the address of Sentinels names no master; write its name behind \
                            them, as in redis+sentinel://a,b,c/mymaster"
                    .into());
            }
            number
        }
        Form::Single | Form::Cluster => path,
    };
    if number.is_empty() {
        return Ok(0);
    }
    number
        .parse()
        .map_err(|_| "the database in the address is no number; write /0 or leave it".into())
}

fn decoded(text: &str) -> Result<String, String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(Into::into).map_err(|_| "a part of the address with % is not UTF-8 text".into())
}

impl SignIn {
    fn parse(text: &str) -> Result<Self, String> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let secret =
            |text| decoded(text).map(|text| (!text.is_empty()).then(|| SecretText::new(text)));
        Ok(Self { user: secret(user)?, password: secret(password)? })
    }
}

impl Host {
    /// Parses `name`, `name:port`, `[::1]` or `[::1]:port`.
    ///
    /// Error texts quote nothing here: where an @ is missing, the port is a password.
    fn parse(text: &str, default: u16) -> Result<Self, String> {
        let port = |text: &str| {
            text.parse().map_err(|_| {
                "the port in the address is no number up to 65535; if it is a password, an @ is \
                 missing behind it"
                    .to_owned()
            })
        };
        let (name, port) = if let Some(rest) = text.strip_prefix('[') {
            let (name, rest) = rest.split_once(']').ok_or("the address has a [ without its ]")?;
            let rest = rest.strip_prefix(':').unwrap_or(rest);
            (name, if rest.is_empty() { default } else { port(rest)? })
        } else if let Some((name, text)) = text.split_once(':') {
            (name, port(text)?)
        } else {
            (text, default)
        };
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "._-:%".contains(letter);
        if name.is_empty() || !name.chars().all(fits) {
            return Err("a server in the address has no name, or one that no server has".into());
        }
        Ok(Self { name: name.to_owned(), port })
    }
}

impl Parts {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "fence" => {
                self.fence = match value {
                    "on" => true,
                    "off" => false,
                    _ => return Err("fence in the address is neither on nor off".into()),
                }
            }
            "wait" => {
                let many = value.parse::<u8>();
                let many = many.map_err(|_| "wait in the address is no number of replicas")?;
                self.wait = Some(many).filter(|many| *many > 0);
            }
            "ca" => self.authorities = Some(value.into()),
            "sentinel_username" => self.sentinel(name)?.user = Some(SecretText::new(value.into())),
            "sentinel_password" => {
                self.sentinel(name)?.password = Some(SecretText::new(value.into()));
            }
            _ => {
                let way_out = match nearest(name, PARAMETERS) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("there are {}", PARAMETERS.join(", ")),
                };
                return Err(format!("{name:?} is no parameter of a Redis address; {way_out}"));
            }
        }
        Ok(())
    }

    fn sentinel(&mut self, name: &str) -> Result<&mut SignIn, String> {
        match &mut self.form {
            Form::Sentinel { sign_in, .. } => Ok(sign_in),
            Form::Single | Form::Cluster => {
                Err(format!("{name} is for redis+sentinel:// addresses alone; remove it"))
            }
        }
    }

    /// Checks combinations of parts.
    fn check(&self) -> Result<(), String> {
        if matches!(self.form, Form::Single) && self.hosts.len() > 1 {
            return Err("the address names several servers; write redis+sentinel:// or \
                        redis+cluster:// in front of them, or leave one"
                .into());
        }
        if matches!(self.form, Form::Cluster) && self.database != 0 {
            return Err("the address names a database, and a Cluster has database 0 alone; \
                        remove it"
                .into());
        }
        if self.authorities.is_some() && !self.tls {
            return Err(
                "ca is for addresses with TLS alone; write rediss in front, or remove ca".into()
            );
        }
        Ok(())
    }
}

/// The address without credentials.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { form, tls, hosts, database, sign_in: _, fence, wait, authorities } = &*self.0;
        let form_name = match form {
            Form::Single => "",
            Form::Sentinel { .. } => "+sentinel",
            Form::Cluster => "+cluster",
        };
        write!(f, "redis{}{form_name}://", if *tls { "s" } else { "" })?;
        for (at, host) in hosts.iter().enumerate() {
            write!(f, "{}{host}", if at == 0 { "" } else { "," })?;
        }
        if let Form::Sentinel { master, .. } = form {
            write!(f, "/{master}")?;
        }
        if *database != 0 {
            write!(f, "/{database}")?;
        }
        let parameters = [
            (!fence).then(|| "fence=off".to_owned()),
            wait.map(|many| format!("wait={many}")),
            authorities.as_ref().map(|file| format!("ca={}", file.display())),
        ];
        for (at, parameter) in parameters.iter().flatten().enumerate() {
            write!(f, "{}{parameter}", if at == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            return write!(f, "[{}]:{}", self.name, self.port);
        }
        write!(f, "{}:{}", self.name, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Address {
        Address::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    fn secret(text: Option<&SecretText>) -> Option<&str> {
        text.map(SecretText::expose)
    }

    #[test]
    fn an_address_is_read_part_by_part() {
        let one = read("redis://ann:p%40ss%3A%2F@db.example:7000/3?wait=2&fence=off");
        assert!(matches!(one.form(), Form::Single));
        assert_eq!(one.hosts(), [Host { name: "db.example".into(), port: 7000 }]);
        assert_eq!(secret(one.sign_in().user.as_ref()), Some("ann"));
        assert_eq!(secret(one.sign_in().password.as_ref()), Some("p@ss:/"));
        assert_eq!(
            (one.database(), one.wait(), one.fence(), one.tls()),
            (3, Some(2), false, false)
        );

        let plain = read("redis://localhost");
        assert_eq!(plain.to_string(), "redis://localhost:6379");
        assert!(plain.fence() && plain.wait().is_none() && plain.sign_in().password.is_none());
        assert_eq!(read("redis://[::1]:7/").to_string(), "redis://[::1]:7");
        assert_eq!(secret(read("redis://:pw@h").sign_in().password.as_ref()), Some("pw"));
        assert_eq!(read("redis://h?wait=0").wait(), None);

        let user = read("redis://ann@h");
        assert!(user.wants_password() && !plain.wants_password() && !one.wants_password());
        let whole = user.with_password(SecretText::new("pw".into()));
        assert_eq!(secret(whole.sign_in().user.as_ref()), Some("ann"));
        assert_eq!(secret(whole.sign_in().password.as_ref()), Some("pw"));
        assert!(whole.has_password() && !whole.wants_password());
    }

    #[test]
    fn sentinels_and_clusters_have_several_servers() {
        let text = "rediss+sentinel://u:p@a,b:1/mymaster/2?sentinel_username=s&\
                    sentinel_password=t%26u&ca=roots.pem";
        let sentinels = read(text);
        let Form::Sentinel { master, sign_in } = sentinels.form() else { panic!("{sentinels}") };
        assert_eq!(master, "mymaster");
        assert_eq!(secret(sign_in.user.as_ref()), Some("s"));
        assert_eq!(secret(sign_in.password.as_ref()), Some("t&u"));
        assert_eq!(sentinels.authorities(), Some(Path::new("roots.pem")));
        assert_eq!(sentinels.to_string(), "rediss+sentinel://a:26379,b:1/mymaster/2?ca=roots.pem");
        assert_eq!(read("redis-cluster://a,b").to_string(), "redis+cluster://a:6379,b:6379");
        assert!(read("rediss-cluster://a").tls());
    }

    #[test]
    fn what_is_wrong_is_said_with_the_way_out() {
        for (text, part) in [
            ("localhost:6379", "begins with redis://"),
            ("http://h", "redis+cluster://"),
            ("redis://", "no name"),
            ("redis://a,b", "several servers"),
            ("redis://h:0x7", "no number"),
            ("redis://h/x", "/0"),
            ("redis://h?fence=maybe", "neither on nor off"),
            ("redis://h?wait=all", "number of replicas"),
            ("redis://h?fance=on", "did you mean fence?"),
            ("redis://h?timeout=1", "there are ca, fence"),
            ("redis://h?ca=f", "rediss"),
            ("redis://h?sentinel_username=u", "redis+sentinel://"),
            ("redis+sentinel://h", "names no master"),
            ("redis+cluster://h/1", "database 0"),
            ("redis://[::1", "without its ]"),
            ("redis://h/%FF", "no number"),
            ("redis://:%FF@h", "not UTF-8"),
            ("redis://h#f", "%23"),
        ] {
            let why = Address::parse(text).expect_err(text);
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn no_error_and_no_output_repeats_a_password() {
        let wrong = [
            "redis://ann:CANARY@h:port",
            "redis://ann:CANARY",
            "redis://ann:CAN/CANARY@h",
            "redis://ann:x?CANARY@h",
            "redis://ann:x#CANARY@h",
            "redis://ann:CANARY@h/x",
            "redis://ann:CANARY@h?fance=on",
            "redis://ann:CANARY@h?fence=CANARY",
            "CANARY@h",
            "redis+sentinel://ann:CANARY@h?sentinel_password=CANARY",
            "redis://h?sentinel_password=CANARY",
        ];
        for text in wrong {
            let why = Address::parse(text).expect_err(text);
            assert!(!why.contains("CANARY"), "{text}: {why}");
        }
        let right = read("redis+sentinel://CANARY:CANARY@h/m?sentinel_password=CANARY");
        let said = format!("{right} {right:?} {:?} {:?}", right.form(), right.sign_in());
        assert!(!said.contains("CANARY"), "{said}");
    }
}
