//! The floors of the crate: who may name whom, and which outside crates.

use super::source::Breach;
use super::source::Named;
use super::source::Source;
use super::source::paths;
use super::source::words;

/// A top-level module: its floor, and the outside crates that it may name.
struct Module {
    name: &'static str,
    floor: u8,
    crates: &'static [&'static str],
}

/// A new module, or a new crate in an old one, is entered here, so that somebody thinks about it.
const MODULES: &[Module] = &[
    Module {
        name: "base",
        floor: 0,
        crates: &[
            "form_urlencoded",
            "percent_encoding",
            "ring",
            "rustix",
            "strsim",
            "time",
            "tokio",
            "uuid",
            "zeroize",
        ],
    },
    Module {
        name: "table",
        floor: 1,
        crates: &["regex", "regex_syntax", "serde", "serde_json", "url"],
    },
    Module { name: "account", floor: 1, crates: &["argon2", "serde", "serde_json"] },
    Module { name: "session", floor: 1, crates: &["base64", "ring", "serde", "serde_json"] },
    Module {
        name: "token",
        floor: 1,
        crates: &["base64", "percent_encoding", "ring", "serde", "serde_json"],
    },
    Module {
        name: "store",
        floor: 2,
        crates: &[
            "arc_swap",
            "percent_encoding",
            "redb",
            "redis",
            "rustix",
            "rustls",
            "rustls_native_certs",
            "serde",
            "serde_json",
            "tokio",
            "tokio_postgres",
            "tokio_postgres_rustls",
            "tokio_rustls",
            "tracing",
            "url",
        ],
    },
    Module {
        name: "flow",
        floor: 3,
        crates: &["arc_swap", "percent_encoding", "serde", "serde_json", "tokio", "tracing"],
    },
    Module {
        name: "http",
        floor: 4,
        crates: &[
            "arc_swap",
            "base64",
            "bytes",
            "encoding_rs",
            "flate2",
            "form_urlencoded",
            "http_body_util",
            "hyper",
            "hyper_rustls",
            "hyper_util",
            "multer",
            "percent_encoding",
            "ring",
            "rustix",
            "rustls",
            "serde",
            "serde_json",
            "tokio",
            "tokio_rustls",
            "tokio_util",
            "tower_service",
            "tracing",
            "url",
        ],
    },
    Module {
        name: "backend",
        floor: 5,
        crates: &[
            "base64",
            "bytes",
            "form_urlencoded",
            "http_body_util",
            "hyper",
            "percent_encoding",
            "ring",
            "rquickjs",
            "serde",
            "serde_json",
            "tokio",
            "tracing",
            "url",
        ],
    },
    Module { name: "rest", floor: 5, crates: &["hyper", "serde_json"] },
    Module {
        name: "admin",
        floor: 5,
        crates: &[
            "bytes",
            "http_body_util",
            "hyper",
            "percent_encoding",
            "serde",
            "serde_json",
            "tokio",
            "tracing",
        ],
    },
    Module { name: "settings", floor: 6, crates: &["rustix", "toml", "tracing", "url", "zeroize"] },
    Module {
        name: "gate",
        floor: 7,
        crates: &[
            "bytes",
            "form_urlencoded",
            "http_body_util",
            "hyper",
            "percent_encoding",
            "rustix",
            "serde_json",
            "tokio",
            "tower_service",
            "tracing",
            "url",
        ],
    },
    Module {
        name: "cli",
        floor: 8,
        crates: &[
            "bytes",
            "clap",
            "http_body_util",
            "hyper",
            "hyper_util",
            "percent_encoding",
            "rustix",
            "serde",
            "serde_json",
            "tokio",
            "tracing",
            "tracing_subscriber",
        ],
    },
    Module {
        name: "fuzz",
        floor: 8,
        crates: &["http_body_util", "hyper", "percent_encoding", "serde_json", "url"],
    },
];

const CONCRETE_STORES: [&str; 6] = ["memory", "embedded", "live", "postgres", "redis", "shared"];

fn module(name: &str) -> Option<&'static Module> {
    MODULES.iter().find(|module| module.name == name)
}

/// The module of a file, if floors concern it: the roots of the crate stand outside the house.
fn home(source: &Source) -> Option<Result<&'static Module, Breach>> {
    let segments = source.module();
    let name = segments.first().filter(|_| source.path.starts_with("src/"))?;
    Some(module(name).ok_or_else(|| {
        source.breach(0, format!("{name} has no floor; give it one in tests/tidy/floors.rs"))
    }))
}

/// Imports that go up, sideways, or by a way that this scan could not follow.
pub(crate) fn imports(source: &Source) -> Vec<Breach> {
    let home = match home(source) {
        None => return Vec::new(),
        Some(Err(breach)) => return vec![breach],
        Some(Ok(home)) => home,
    };
    let code = &source.shipped;
    let mut breaches = hidden(source);
    for named in paths(code, "crate") {
        breaches.extend(import(source, home, &named));
    }
    for named in paths(code, "super").into_iter().chain(paths(code, "self")) {
        breaches.extend(climb(source, home, &named));
    }
    breaches
}

/// Ways to name a module that keep its name out of the path.
fn hidden(source: &Source) -> Vec<Breach> {
    let squeezed = |at: &usize| -> String {
        let rest = source.shipped.get(*at..).unwrap_or("");
        rest.chars().filter(|letter| !letter.is_whitespace()).take(8).collect()
    };
    let whole = "the whole crate is named; name the module that is meant";
    let mut breaches: Vec<Breach> = words(&source.shipped, "crate")
        .filter(|at| squeezed(at).starts_with("crateas"))
        .map(|at| source.breach(at, whole))
        .collect();
    // `pub(crate)` is a path of one segment as well, but no `self` stands at its end.
    let is_self = |named: &Named| {
        source.shipped.get(..named.at).is_some_and(|before| before.ends_with("self"))
    };
    breaches.extend(
        paths(&source.shipped, "crate")
            .iter()
            .filter(|named| match named.segments.as_slice() {
                [_] => is_self(named),
                [_, name] => name == "*",
                _ => false,
            })
            .map(|named| source.breach(named.at, whole)),
    );
    breaches.extend(
        words(&source.shipped, "extern crate")
            .map(|at| source.breach(at, "`extern crate` goes around the floors; use a path")),
    );
    breaches
}

fn import(source: &Source, home: &Module, named: &Named) -> Option<Breach> {
    let name = named.segments.get(1).filter(|name| *name != "*")?;
    if name == home.name {
        return None;
    }
    let Some(target) = module(name) else {
        return Some(source.breach(
            named.at,
            format!("crate::{name} is no module of a floor; name the module it lives in"),
        ));
    };
    if named.segments.len() == 2 && is_renamed(source, named.at) {
        return Some(source.breach(named.at, format!("{name} gets another name; use its own")));
    }
    if target.floor < home.floor {
        return concrete_store(source, home, named);
    }
    let (own, own_floor, floor) = (home.name, home.floor, target.floor);
    let way_out = if own_floor == floor {
        "modules of one floor do not know each other: move the shared type down"
    } else {
        "move the shared type down or invert the call"
    };
    Some(source.breach(
        named.at,
        format!("{own} (floor {own_floor}) names {name} (floor {floor}); {way_out}"),
    ))
}

fn is_renamed(source: &Source, at: usize) -> bool {
    source.shipped.get(at..).is_some_and(|rest| rest.trim_start().starts_with("as "))
}

/// Only gate and cli choose a store; everybody between the stores and them takes the port. That a
/// setting is an address of a store is no choice yet.
fn concrete_store(source: &Source, home: &Module, named: &Named) -> Option<Breach> {
    let [_, module, store, rest @ ..] = named.segments.as_slice() else { return None };
    let is_address = home.name == "settings" && matches!(rest, [item] if item == "Address");
    let concrete = module == "store" && CONCRETE_STORES.contains(&store.as_str()) && !is_address;
    (concrete && (3..=6).contains(&home.floor)).then(|| {
        let own = home.name;
        source.breach(
            named.at,
            format!("{own} names the store {store}; take a `dyn Store`, which gate or cli chose"),
        )
    })
}

/// A chain of `super` that leaves its top-level module, where `import` would not see it.
fn climb(source: &Source, home: &Module, named: &Named) -> Option<Breach> {
    let climbed = named.segments.iter().filter(|segment| *segment == "super").count();
    let inside =
        named.segments.iter().find(|segment| !matches!(segment.as_str(), "super" | "self"));
    let depth = source.module().len() + inline_depth(&source.shipped, named.at);
    if climbed < depth || (inside.is_none() && !is_renamed(source, named.at)) {
        return None;
    }
    let chain = vec!["super"; climbed].join("::");
    Some(source.breach(
        named.at,
        format!("`{chain}` leaves {}; write crate::… so that the floors see it", home.name),
    ))
}

/// How many `mod name { … }` of the same file are open at the offset.
fn inline_depth(code: &str, at: usize) -> usize {
    words(code, "mod")
        .filter(|start| *start < at && super::source::end_of_item(code, *start) > at)
        .count()
}

/// Outside crates where nobody has allowed them; `crates` are the dependencies of the manifest.
pub(crate) fn outside(source: &Source, crates: &[String]) -> Vec<Breach> {
    let Some(Ok(home)) = home(source) else { return Vec::new() };
    let mut breaches = Vec::new();
    for name in crates.iter().filter(|name| !home.crates.contains(&name.as_str())) {
        for named in paths(&source.shipped, name) {
            let before = source.shipped.get(..named.at).unwrap_or("");
            let imported = before.trim_end().ends_with(&format!("use {name}"));
            if named.segments.len() > 1 || imported {
                let (own, floor) = (home.name, home.floor);
                breaches.push(source.breach(
                    named.at,
                    format!(
                        "{own} (floor {floor}) names the crate {name}; keep it out, or allow it in \
                         tests/tidy/floors.rs"
                    ),
                ));
            }
        }
    }
    breaches
}

/// The dependencies of a manifest, as code names them.
pub(crate) fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("\n[").find(|section| section.starts_with("dependencies]"));
    let lines = section.unwrap_or("").lines().skip(1);
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim())
        .filter(|name| !name.starts_with('#'))
        .map(|name| name.replace('-', "_"))
        .collect()
}

/// What would make the floors of pure values impure: waiting, locking, the world outside.
pub(crate) fn impurities(source: &Source) -> Vec<Breach> {
    let Some(Ok(home)) = home(source) else { return Vec::new() };
    if home.floor > 1 {
        return Vec::new();
    }
    let mut breaches = Vec::new();
    for word in ["async", "await", "Mutex", "RwLock", "Condvar"] {
        for at in words(&source.shipped, word) {
            breaches.push(source.breach(at, impure(home, word)));
        }
    }
    for named in paths(&source.shipped, "std") {
        let part = named.segments.get(1).map_or("", String::as_str);
        if matches!(part, "fs" | "net" | "env" | "process" | "io" | "thread") {
            breaches.push(source.breach(named.at, impure(home, &format!("std::{part}"))));
        }
    }
    breaches
}

fn impure(home: &Module, word: &str) -> String {
    let (own, floor) = (home.name, home.floor);
    format!("{own} (floor {floor}) uses {word}; hand the value in, or move the work up to store")
}
