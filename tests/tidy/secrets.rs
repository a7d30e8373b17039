//! What the types of secrets must not be able to do, and what no committed file may give away.

use super::source::Breach;
use super::source::Source;
use super::source::end_of_item;
use super::source::line_of;
use super::source::occurrences;
use super::source::words;

/// The types that hold something which opens something.
pub(crate) const SECRETS: [&str; 7] =
    ["Secret", "SecretText", "TokenSecret", "Credential", "Keyring", "Binding", "Nonce"];

/// Traits by which a secret would be printed, stored or compared without anybody noticing.
const LEAKS: [&str; 8] =
    ["Display", "Serialize", "PartialEq", "LowerHex", "UpperHex", "Deref", "AsRef", "Borrow"];

/// A secret type that derives or implements a leak.
pub(crate) fn leaks(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for secret in SECRETS {
        for leak in LEAKS {
            let at = derived(source, secret, leak).chain(implemented(source, secret, leak));
            breaches.extend(at.map(|at| {
                source.breach(
                    at,
                    format!("{secret} gets {leak}; a secret is only seen through `expose`"),
                )
            }));
        }
    }
    breaches
}

/// A comparison of what `expose` shows: `==` ends at the first byte that differs, and so tells how
/// much of a guess is right. MACs are compared with `ring`, everything else by its digest.
pub(crate) fn compared(source: &Source) -> Vec<Breach> {
    let code = &source.shipped;
    let at = occurrences(code, ".expose()").filter(|at| {
        let (before, behind) = code.split_at_checked(*at).unwrap_or_default();
        let before = before.rsplit([';', '{', '}']).next().unwrap_or_default();
        let behind = behind.split([';', '{', '}']).next().unwrap_or_default();
        ["==", "!=", ".eq(", ".cmp(", ".starts_with(", ".contains("]
            .iter()
            .any(|operator| before.contains(operator) || behind.contains(operator))
    });
    at.map(|at| source.breach(at, "a secret is compared; compare digests, or MACs with ring"))
        .collect()
}

/// Whether this file declares the type.
pub(crate) fn declares(source: &Source, secret: &str) -> bool {
    words(&source.shipped, &format!("struct {secret}")).next().is_some()
}

fn derived<'s>(
    source: &'s Source,
    secret: &'s str,
    leak: &'s str,
) -> impl Iterator<Item = usize> + 's {
    let code = &source.shipped;
    occurrences(code, "#[derive(").filter(move |at| {
        let item = code.get(*at..end_of_item(code, *at)).unwrap_or("");
        let derives = item.split(')').next().unwrap_or("");
        words(item, &format!("struct {secret}")).next().is_some()
            && words(derives, leak).next().is_some()
    })
}

fn implemented<'s>(
    source: &'s Source,
    secret: &'s str,
    leak: &'s str,
) -> impl Iterator<Item = usize> + 's {
    let code = &source.shipped;
    words(code, "impl").filter(move |at| {
        let header = code.get(*at..).and_then(|rest| rest.split('{').next()).unwrap_or("");
        let Some((of, on)) = header.split_once(" for ") else { return false };
        words(of, leak).next().is_some()
            && words(on, secret).next().is_some_and(|at| !on.get(..at).unwrap_or("").contains('<'))
    })
}

/// The parts of a machine's address, put together here so that this file does not hold them.
const MACHINE: [&str; 4] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/tmp/", "target"),
    concat!("/tmp/", "brief"),
];
const REGISTRIES: [&str; 4] = [
    concat!("crates", ".io"),
    concat!("npmjs", "."),
    concat!("pypi", ".org"),
    concat!("rubygems", ".org"),
];

/// A line that names the machine it was written on, or the host of a package registry.
///
/// A lock file names the default registry in each entry, as cargo wants it.
pub(crate) fn foreign(path: &str, text: &str) -> Vec<Breach> {
    let machine = MACHINE.iter().flat_map(|place| {
        let at = occurrences(text, place).filter(|at| {
            let before = text.get(..*at).unwrap_or("").chars().next_back();
            !before.is_some_and(|letter| letter.is_alphanumeric() || "._-/}".contains(letter))
        });
        at.map(move |at| (at, format!("a path of one machine, {place}…; write it relative")))
    });
    let registries = REGISTRIES.iter().flat_map(|host| {
        let at = occurrences(text, host).filter(|at| {
            let line = text.get(..*at).unwrap_or("").rsplit('\n').next().unwrap_or("");
            !(is_lock(path) && line.starts_with("source = \"registry+"))
        });
        at.map(move |at| {
            (at, format!("a package registry, {host}; leave it to the tool's default"))
        })
    });
    machine
        .chain(registries)
        .map(|(at, what)| Breach { path: path.to_owned(), line: line_of(text, at), what })
        .collect()
}

/// The crate's own, and that of the fuzzers.
fn is_lock(path: &str) -> bool {
    matches!(path, "Cargo.lock" | "fuzz/Cargo.lock")
}
