//! Warnings about a row in combination with the rest of the program.

use std::net::IpAddr;
use std::net::SocketAddr;

use url::Host;
use url::Url;

use crate::account;
use crate::account::is_of_accounts;
use crate::http::Handlers;
use crate::http::Missing;
use crate::session::Execute;
use crate::session::Permitted;
use crate::session::Roles;
use crate::settings::SameSite;
use crate::settings::Settings;
use crate::table::OtpRule;
use crate::table::Problem;
use crate::table::Row;
use crate::table::Severity;
use crate::table::Table;
use crate::table::Target;
use crate::table::class_of_file;

/// The code of a row without a handler.
pub(super) const MISSING_FUNCTION: &str = "missing-function";

/// Suffixes of names that resolve into a private network (RFC 6762 §3, RFC 8375, and the names that
/// resolvers of clusters and containers use).
const PRIVATE_ENDINGS: [&str; 8] =
    [".internal", ".local", ".localdomain", ".lan", ".home.arpa", ".intranet", ".corp", ".svc"];

/// What rows are checked against.
pub struct Lint<'l> {
    /// The settings, which also name the file of the table.
    pub settings: &'l Settings,
    /// The handlers of rows.
    pub handlers: &'l dyn Handlers,
    /// The defined privileges; none where `roles.json` is not known.
    pub roles: Option<&'l Roles>,
}

impl Lint<'_> {
    /// Warnings about the rows of `table`, in their order: missing handlers, privileges that cannot
    /// be granted, upstreams that callgate refuses to connect to, and options that the settings
    /// make pointless.
    pub fn rows(&self, table: &Table) -> Vec<Problem> {
        table.rows().iter().flat_map(|row| self.row(row)).collect()
    }

    fn row(&self, row: &Row) -> Vec<Problem> {
        let file = self.settings.handlers.display().to_string();
        let found = [self.target(row), self.strict_strip(row), self.closed(row)];
        let found = found.into_iter().flatten();
        let found = found.chain(self.requires(row));
        let warnings = found.map(|(code, what, fix)| row.warning(&file, code, what, fix));
        let error = |(code, what, fix)| Problem {
            severity: Severity::Error,
            ..row.warning(&file, code, what, fix)
        };
        warnings.chain(self.without_session(row).map(error)).collect()
    }

    /// An error if the row needs sessions and there are none.
    fn without_session(&self, row: &Row) -> Option<Warning> {
        if self.settings.sessions {
            return None;
        }
        let needs = [
            (*row.otp() != OtpRule::default(), "\"otp\""),
            (!row.requirement().is_nothing(), "\"requires\""),
            (row.repeat().is_some(), "\"repeat\""),
            (is_of_accounts(row.name()), account::CLASS),
        ];
        let needs: Vec<&str> = needs.iter().filter(|(needs, _)| *needs).map(|it| it.1).collect();
        let verb = if needs.len() == 1 { "needs" } else { "need" };
        let what =
            format!("{} {verb} sessions, and the setting sessions is \"off\"", needs.join(" and "));
        let fix = "take it out of the row, or set sessions = \"on\"".to_owned();
        (!needs.is_empty()).then_some(("no-sessions", what, fix))
    }

    fn target(&self, row: &Row) -> Option<Warning> {
        let (class, method) = match row.target() {
            Target::Function { class, method } => (class, method),
            Target::Upstream(url) => return self.upstream(row, url),
        };
        let missing = self.handlers.find(class, method).err()?;
        // If the class exists, its own name is not a helpful suggestion.
        let nearest = self.handlers.nearest(class, method).filter(|name| **name != **class);
        let fix = match (class_of_file(class), nearest, missing) {
            (Some(bare), ..) => format!("write the bare name of the class: {bare:?}"),
            (_, Some(name), _) => format!("did you mean {name:?}?"),
            (_, None, Missing::Class) => {
                let file = self.settings.classes_folder().join(format!("{class}.js"));
                format!("write {}, register the class, or correct the row", file.display())
            }
            (_, None, Missing::Singleton) => {
                "let its file export a class as its default".to_owned()
            }
            (_, None, Missing::Method) => "add it to the class, or correct the row".to_owned(),
        };
        let what = format!("nothing answers {:?}: {}", row.name(), missing.text());
        Some((MISSING_FUNCTION, what, fix))
    }

    /// A warning if the address rule for outbound requests will refuse the upstream, as far as its
    /// name or address shows without resolving it.
    fn upstream(&self, row: &Row, url: &Url) -> Option<Warning> {
        let port = url.port_or_known_default()?;
        let ip = match url.host()? {
            Host::Domain(name) => return self.private_name(name),
            Host::Ipv4(ip) => IpAddr::V4(ip),
            Host::Ipv6(ip) => IpAddr::V6(ip).to_canonical(),
        };
        if ip.is_unspecified() || ip.is_multicast() {
            let what = format!("forward {:?} names no address of a server", row.name());
            let fix = "write the address under which it is reached, such as 127.0.0.1".to_owned();
            return Some(("forward-refused", what, fix));
        }
        let own = [Some(self.settings.listen), self.settings.internal];
        if own.contains(&Some(SocketAddr::new(ip, port))) {
            let what = format!("forward {:?} leads to callgate itself", row.name());
            return Some(("forward-refused", what, "name the address of the upstream".to_owned()));
        }
        None
    }

    fn private_name(&self, name: &str) -> Option<Warning> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let is_known = |known: &String| known.trim_end_matches('.').eq_ignore_ascii_case(&name);
        let is_private = !name.contains('.')
            || PRIVATE_ENDINGS.iter().any(|ending| name.ends_with(ending))
            || name.contains(".svc.");
        if name == "localhost" || !is_private || self.settings.private_hosts.iter().any(is_known) {
            return None;
        }
        let what =
            format!("forward to {name:?} will be refused: the name leads into a private network");
        let fix = format!("add it to the settings: private_hosts = [{name:?}]");
        Some(("forward-private", what, fix))
    }

    /// A row that requires privileges that cannot be granted refuses every request.
    fn requires(&self, row: &Row) -> Vec<Warning> {
        let Some(roles) = self.roles else { return Vec::new() };
        let names = row.requires().iter().map(|name| &**name);
        let unknown = names.filter(|name| roles.privilege(name).is_none());
        let warning = |name: &str| {
            let (what, fix) = if roles.has_role(name) {
                (
                    format!("requires {name:?}, which is a role and no privilege"),
                    "name one of the privileges of the role".to_owned(),
                )
            } else {
                let fix = match roles.nearest(name) {
                    Some(near) => format!("write {near:?} if that is meant, or define it there"),
                    None => format!("add {{ \"privilege\": {name:?} }} to its \"privileges\""),
                };
                let what =
                    format!("requires {name:?}, which roles.json does not define: nobody has it");
                (what, fix)
            };
            ("unknown-privilege", what, fix)
        };
        unknown.map(warning).collect()
    }

    /// A row that `restrictedByDefault` closes refuses every request.
    fn closed(&self, row: &Row) -> Option<Warning> {
        let roles = self.roles.filter(|roles| roles.restricts_by_default())?;
        let (is_closed, fix) = match row.target() {
            Target::Function { class, method } => (
                roles.permission(&self.handlers.lineage(class, method), method).execute
                    == Execute::AnyOf(Box::default()),
                format!(
                    "add {{ \"applyTo\": {:?}, \"type\": \"singletonMethod\", \"execute\": \
                     [\"guest\"] }} to its permissions, or name a privilege",
                    row.name()
                ),
            ),
            Target::Upstream(_) => (
                row.requirement().is_nothing(),
                "write \"requires\": \"guest\" into the row, or name a privilege".to_owned(),
            ),
        };
        let what = format!("roles.json closes {:?}: nothing in it says who may use it", row.name());
        is_closed.then_some(("row-closed", what, fix))
    }

    /// Warnings about permissions of `roles.json` that name no class and no function: what they
    /// should protect is open, unless `restrictedByDefault` closes it.
    pub fn permissions(&self) -> Vec<Problem> {
        let (Some(roles), Some(file)) = (self.roles, self.settings.roles_file()) else {
            return Vec::new();
        };
        let forced = (!self.settings.sessions && roles.forces_login()).then(|| Problem {
            file: file.display().to_string(),
            line: 1,
            column: 1,
            row: None,
            severity: Severity::Error,
            code: "no-sessions",
            what: "forceLogin needs sessions, and the setting sessions is \"off\"".to_owned(),
            fix: "take it out, or set sessions = \"on\"".to_owned(),
            others: Vec::new(),
            witness: None,
            span: None,
        });
        let missing = |named: &&Permitted| {
            let is_missing = match &named.function {
                Some(function) => self.handlers.find(&named.class, function).is_err(),
                None => matches!(self.handlers.find(&named.class, ""), Err(Missing::Class)),
            };
            is_missing && !self.handlers.is_extended(&named.class, named.function.as_deref())
        };
        let problem = |named: &Permitted| {
            let Permitted { class, function, line, column } = named;
            let name = match function {
                Some(function) => format!("{class}.{function}"),
                None => class.clone(),
            };
            let near = self.handlers.nearest(class, function.as_deref().unwrap_or_default());
            let fix = match near {
                Some(near) => format!("write {near:?} if that is meant, or take it out"),
                None => "name a class or function that is called, or take it out".to_owned(),
            };
            Problem {
                file: file.display().to_string(),
                line: *line,
                column: *column,
                row: None,
                severity: Severity::Warning,
                code: "permission-unused",
                what: format!(
                    "a permission names {name:?}, which nothing calls: it protects nothing"
                ),
                fix,
                others: Vec::new(),
                witness: None,
                span: None,
            }
        };
        forced.into_iter().chain(roles.permitted().iter().filter(missing).map(problem)).collect()
    }

    /// The 303 that strips the token is a cross-site redirect, so a browser that follows it does
    /// not send a Strict cookie: the session that was just restored is lost again.
    fn strict_strip(&self, row: &Row) -> Option<Warning> {
        if !row.otp().strip || self.settings.cookie.same_site != SameSite::Strict {
            return None;
        }
        let what = "otp.strip loses the restored session under cookie.same_site \"Strict\"";
        let fix = "use \"Lax\", or leave strip out";
        Some(("strict-strip", what.to_owned(), fix.to_owned()))
    }
}

/// Code, what is wrong, and how to fix it.
type Warning = (&'static str, String, String);

impl std::fmt::Debug for Lint<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lint")
    }
}
