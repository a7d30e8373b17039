//! Locked dependencies, held against the versions that `deny.toml` bans. `cargo deny` does the same
//! where it is installed; this needs nothing.

use super::source::Breach;

const LOCK: &str = "Cargo.lock";

/// Packages of a lock file that the ban list names.
pub(crate) fn banned(lock: &str, deny: &str) -> Vec<Breach> {
    let bans: Vec<Ban<'_>> = deny.lines().filter_map(Ban::of).collect();
    assert!(!bans.is_empty(), "deny.toml bans nothing, or in a form that is not understood");
    let mut breaches = Vec::new();
    let mut name = "";
    for (at, line) in lock.lines().enumerate() {
        if let Some(text) = quoted(line, "name = ") {
            name = text;
        } else if let Some(version) = quoted(line, "version = ") {
            let found = bans.iter().filter(|ban| ban.is(name, version));
            breaches.extend(found.map(|ban| Breach {
                path: LOCK.to_owned(),
                line: at + 1,
                what: format!("{name} {version} {}; update it", ban.reason),
            }));
        }
    }
    breaches
}

/// One entry of the ban list: `{ crate = "h2:<0.4.16", reason = "…" }`.
struct Ban<'d> {
    name: &'d str,
    versions: Versions,
    reason: &'d str,
}

enum Versions {
    Any,
    Below(Vec<u64>),
    Only(Vec<u64>),
}

impl<'d> Ban<'d> {
    fn of(line: &'d str) -> Option<Self> {
        let line = line.trim().strip_prefix('{')?;
        let named = quoted(line.trim(), "crate = ")?;
        let reason = line.split_once("reason = ").map_or("", |(_, rest)| rest);
        let reason = quoted(reason, "").unwrap_or("is banned");
        let (name, range) = named.split_once(':').unwrap_or((named, ""));
        let versions = match (range.strip_prefix('<'), range.strip_prefix('=')) {
            (Some(version), _) => Versions::Below(numbers(version)),
            (_, Some(version)) => Versions::Only(numbers(version)),
            _ if range.is_empty() => Versions::Any,
            _ => panic!("deny.toml: the range {range} is not understood here"),
        };
        Some(Self { name, versions, reason })
    }

    fn is(&self, name: &str, version: &str) -> bool {
        let is_in = match &self.versions {
            Versions::Any => true,
            Versions::Below(bound) => numbers(version) < *bound,
            Versions::Only(only) => numbers(version) == *only,
        };
        self.name == name && is_in
    }
}

/// The numbers of a version, without what follows them in a pre-release or a build.
fn numbers(version: &str) -> Vec<u64> {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    plain.split('.').map(|number| number.parse().unwrap()).collect()
}

fn quoted<'t>(line: &'t str, before: &str) -> Option<&'t str> {
    line.strip_prefix(before)?.strip_prefix('"')?.split('"').next()
}

#[test]
fn a_banned_version_is_found_with_its_line() {
    let deny = "deny = [\n  { crate = \"evil\", reason = \"malicious\" },\n\
                { crate = \"h2:<0.4.16\", reason = \"has known advisories\" },\n\
                { crate = \"rand:=0.10.0\" },\n]\n";
    let lock = |name: &str, version: &str| {
        format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n")
    };
    for (name, version, is_banned) in [
        ("h2", "0.4.15", true),
        ("h2", "0.4.9", true),
        ("h2", "0.4.16", false),
        ("h2", "0.10.0", false),
        ("h2x", "0.4.0", false),
        ("rand", "0.10.0", true),
        ("rand", "0.10.1", false),
        ("evil", "9.9.9", true),
    ] {
        let breaches = banned(&lock(name, version), deny);
        assert_eq!(breaches.len(), usize::from(is_banned), "{name} {version}");
        assert!(breaches.iter().all(|breach| breach.line == 3));
    }
}
