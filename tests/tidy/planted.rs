//! Proof that each rule catches what it is there for, and lets pass what only looks like it.

use super::face;
use super::floors;
use super::homes;
use super::promises;
use super::secrets;
use super::shape;
use super::source::Breach;
use super::source::Source;
use super::source::paths;
use super::tree;

/// The breaches as they are printed.
fn told(breaches: &[Breach]) -> Vec<String> {
    breaches.iter().map(Breach::to_string).collect()
}

fn imports(path: &str, text: &str) -> Vec<String> {
    told(&floors::imports(&Source::new(path, text)))
}

fn strays(path: &str, text: &str) -> Vec<String> {
    told(&homes::strays(&Source::new(path, text)))
}

#[test]
fn an_import_that_goes_up_is_caught_at_its_line() {
    assert_eq!(
        imports(
            "src/session/mod.rs",
            "//! Sessions.\n\nuse crate::base::Id;\nuse crate::store::Store;\n"
        ),
        ["src/session/mod.rs:4: session (floor 1) names store (floor 2); move the shared type \
             down or invert the call"]
    );
    assert_eq!(
        imports("src/http/server.rs", "fn f() -> crate::settings::Settings { g() }"),
        ["src/http/server.rs:1: http (floor 4) names settings (floor 6); move the shared type \
             down or invert the call"]
    );
}

#[test]
fn siblings_of_one_floor_may_not_know_each_other() {
    assert_eq!(
        imports("src/token/mint.rs", "use crate::session::Record;"),
        ["src/token/mint.rs:1: token (floor 1) names session (floor 1); modules of one floor do \
             not know each other: move the shared type down"]
    );
    assert_eq!(imports("src/token/mint.rs", "use crate::token::Token;"), [""; 0]);
}

#[test]
fn a_module_without_a_floor_is_caught() {
    assert_eq!(
        imports("src/helpers/mod.rs", ""),
        ["src/helpers/mod.rs:1: helpers has no floor; give it one in tests/tidy/floors.rs"]
    );
    assert_eq!(
        imports("src/http/mod.rs", "use crate::Gate;"),
        ["src/http/mod.rs:1: crate::Gate is no module of a floor; name the module it lives in"]
    );
}

#[test]
fn imports_that_hide_whom_they_name_are_caught() {
    for text in ["use crate::*;", "use crate as c;", "use crate::{*};", "use crate::{self as c};"] {
        let told = imports("src/http/mod.rs", text);
        assert_eq!(
            told,
            ["src/http/mod.rs:1: the whole crate is named; name the module that is meant"]
        );
    }
    assert_eq!(
        imports("src/http/mod.rs", "use crate::store as s;"),
        ["src/http/mod.rs:1: store gets another name; use its own"]
    );
    assert_eq!(
        imports("src/base/mod.rs", "extern crate callgate;"),
        ["src/base/mod.rs:1: `extern crate` goes around the floors; use a path"]
    );
}

#[test]
fn nested_imports_are_read_as_the_paths_that_they_stand_for() {
    let nested = "use crate::{base::Id, store::{self, port::{Store, Take}}, cli};";
    assert_eq!(
        imports("src/token/mint.rs", nested),
        [
            "src/token/mint.rs:1: token (floor 1) names store (floor 2); move the shared type down or invert the call",
            "src/token/mint.rs:1: token (floor 1) names store (floor 2); move the shared type down or invert the call",
            "src/token/mint.rs:1: token (floor 1) names store (floor 2); move the shared type down or invert the call",
            "src/token/mint.rs:1: token (floor 1) names cli (floor 8); move the shared type down or invert the call",
        ]
    );
    assert_eq!(imports("src/cli/mod.rs", nested), [""; 0]);
    assert_eq!(
        imports("src/http/mod.rs", "use crate ::\n{store as s, base};"),
        ["src/http/mod.rs:2: store gets another name; use its own"]
    );
    assert_eq!(
        imports("src/table/mod.rs", "use self::{super::store::Store, row::Row};").len(),
        1,
        "a group does not hide a climb"
    );
    let own = Source::new("src/base/mod.rs", "use crate::base::{hosts::{Host}, url::Url};");
    assert_eq!(
        floors::outside(&own, &["url".to_owned()]),
        [],
        "a module may be called like a crate"
    );
}

#[test]
fn climbing_out_of_a_module_is_no_way_around() {
    assert_eq!(
        imports("src/table/row.rs", "use super::Pattern;\nuse super::super::store::Store;"),
        [
            "src/table/row.rs:2: `super::super` leaves table; write crate::… so that the floors see it"
        ]
    );
    assert_eq!(
        imports("src/table/mod.rs", "use super::store::Store;\nuse self::super::store::Store;")
            .len(),
        2
    );
    let inline = "mod deep { use super::super::Pattern; }\nuse super::super::Store;";
    let told = imports("src/table/row.rs", inline);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told.iter().all(|line| line.starts_with("src/table/row.rs:2: ")), "{told:?}");
    assert_eq!(
        imports("src/table/mod.rs", "pub(super) fn f(self) {}\npub(crate) fn g() {}"),
        [""; 0]
    );
}

#[test]
fn nobody_below_the_gate_names_a_concrete_store() {
    let told = imports("src/http/server.rs", "use crate::store::memory::MemoryStore;");
    assert_eq!(
        told,
        [
            "src/http/server.rs:1: http names the store memory; take a `dyn Store`, which gate or cli chose"
        ]
    );
    let grouped = "use crate::store::{port::Store, embedded::{self, Folder}};";
    assert_eq!(imports("src/admin/mod.rs", grouped).len(), 2);
    assert_eq!(imports("src/gate/mod.rs", grouped), [""; 0]);
    assert_eq!(imports("src/http/server.rs", "use crate::store::port::Store;"), [""; 0]);
    let address = "use crate::store::redis::Address as RedisAddress;";
    assert_eq!(imports("src/settings/names.rs", address), [""; 0]);
    assert_eq!(imports("src/admin/mod.rs", address).len(), 1);
    assert_eq!(imports("src/settings/names.rs", "use crate::store::redis::open;").len(), 1);
}

#[test]
fn an_outside_crate_that_nobody_allowed_is_caught() {
    let crates = floors::dependencies(
        "[package]\nname = \"x\"\n\n[dependencies]\n# why\nhyper-util = \"1\"\nregex = { version = \"1\" }\n\n[dev-dependencies]\ntempfile = \"3\"\n",
    );
    assert_eq!(crates, ["hyper_util", "regex"]);
    let outside = |path, text| told(&floors::outside(&Source::new(path, text), &crates));
    let what = "names the crate hyper_util; keep it out, or allow it in tests/tidy/floors.rs";
    for text in ["use hyper_util::rt::TokioIo;", "use hyper_util;", "fn f(x: ::hyper_util::A) {}"] {
        assert_eq!(
            outside("src/table/row.rs", text),
            [format!("src/table/row.rs:1: table (floor 1) {what}")]
        );
    }
    let innocent =
        "use regex::Regex;\nuse super::hyper_util::X;\nlet hyper_util = 1; // hyper_util::X";
    assert_eq!(outside("src/table/row.rs", innocent), [""; 0]);
    assert_eq!(outside("src/http/server.rs", "use hyper_util::rt::TokioIo;"), [""; 0]);
}

#[test]
fn waiting_locking_and_reaching_out_are_caught_on_the_floors_of_values() {
    let impure = |path, text| told(&floors::impurities(&Source::new(path, text)));
    assert_eq!(
        impure(
            "src/token/mint.rs",
            "async fn f() {}\nuse std::{fmt, fs::File};\nuse std::sync::Mutex;"
        ),
        [
            "src/token/mint.rs:1: token (floor 1) uses async; hand the value in, or move the work up to store",
            "src/token/mint.rs:3: token (floor 1) uses Mutex; hand the value in, or move the work up to store",
            "src/token/mint.rs:2: token (floor 1) uses std::fs; hand the value in, or move the work up to store",
        ]
    );
    let innocent = "use std::fmt;\n// async\nconst A: &str = \"std::fs\";\n#[cfg(any(test, feature = \"testing\"))]\nstruct S(std::sync::Mutex<u8>);";
    assert_eq!(impure("src/base/secret/entropy.rs", innocent), [""; 0]);
    assert_eq!(impure("src/store/memory.rs", "async fn f() {}"), [""; 0]);
}

#[test]
fn what_has_a_home_is_caught_away_from_it() {
    let clock =
        "only src/base/clock.rs reads a clock: take `now` as an argument, or hold a `Clock`";
    assert_eq!(
        strays("src/http/stall.rs", "fn f() {\n    let now = tokio::time::Instant::now();\n}"),
        [format!("src/http/stall.rs:2: Instant::now; {clock}")]
    );
    let print = "only cli prints: return the text, or log it with tracing";
    assert_eq!(
        strays("src/gate/mod.rs", "fn f() { println!(\"x\"); }\nuse std::io::{Write, stdout};"),
        [
            format!("src/gate/mod.rs:1: println!; {print}"),
            format!("src/gate/mod.rs:2: stdout; {print}"),
        ]
    );
    for (text, count) in [
        ("use std::env::{var, args};", 2),
        ("use std::env::*;", 1),
        ("let a = std::env::var_os(b);", 1),
        ("ring::rand::SystemRandom::new()", 2),
        ("eprintln!()", 1),
    ] {
        assert_eq!(strays("src/http/mod.rs", text).len(), count, "{text}");
    }
    for (path, text) in [
        ("src/base/clock.rs", "SystemTime::now()"),
        ("src/base/secret/entropy.rs", "ring::rand::SystemRandom::new()"),
        ("src/settings/reading/sources.rs", "std::env::vars_os()"),
        ("src/cli/mod.rs", "println!(); std::env::args_os()"),
        ("src/http/mod.rs", "operand::f(); reprint!(x); self.clock.now(); env!(\"HOME\")"),
    ] {
        assert_eq!(strays(path, text), [""; 0], "{text}");
    }
}

#[test]
fn giving_up_is_caught_in_shipped_code_only() {
    let banned = |text| told(&homes::banned(&Source::new("src/http/mod.rs", text)));
    assert_eq!(
        banned("fn f() {\n    g().unwrap();\n}"),
        [
            "src/http/mod.rs:2: .unwrap(); return the error, or say with `expect` which invariant rules it out"
        ]
    );
    assert_eq!(banned("fn f() { todo!() }\nfn g() { std::process::exit(1) }").len(), 2);
    let innocent = r##"
        /// Calls `.unwrap()`, and `todo!()`.
        fn f() { g().unwrap_or(1); let a = ".unwrap()"; let b = r#".unwrap() " "#; let c = '"'; }
        /* .unwrap() /* todo!() */ dbg!() */
        #[cfg(test)]
        mod tests {
            fn h() { g().unwrap(); }
        }
    "##;
    assert_eq!(banned(innocent), [""; 0]);
}

#[test]
fn slack_is_caught_in_tests_too() {
    let slack = |text| told(&homes::slack(&Source::new("tests/it/main.rs", text)));
    assert_eq!(
        slack("// TODO: later"),
        ["tests/it/main.rs:1: TODO in a comment; do it, or file it where it is not forgotten"]
    );
    assert_eq!(
        slack("#[cfg(test)]\nmod tests {\n#[test]\n#[ignore]\nfn f() { std::thread::sleep(x) }\n}")
            .len(),
        2
    );
    assert_eq!(slack("#[allow(dead_code)]\nfn f() {}\n#[expect(dead_code)]\nfn g() {}").len(), 2);
    let innocent = "#[expect(dead_code, reason = \"read by hand\")]\nfn f() { let a = \"TODO #[ignore]\"; tokio::time::sleep(b) } // the todo list";
    assert_eq!(slack(innocent), [""; 0]);
}

#[test]
fn a_file_that_does_not_say_what_it_is_is_caught() {
    let first = |text| told(&shape::first_sentence(&Source::new("src/a.rs", text)));
    let missing = ["src/a.rs:1: begin the file with a `//!` sentence that says what it is"];
    for text in ["", "use std::fmt;\n//! Too late for this file.", "\n//! One line too late."] {
        assert_eq!(first(text), missing, "{text}");
    }
    assert_eq!(
        first("//! What a session is"),
        ["src/a.rs:1: end the first `//!` sentence with a full stop or a colon"]
    );
    assert_eq!(
        first("//! This module.\n"),
        ["src/a.rs:1: say in the first `//!` sentence what the file is, in four words or more"]
    );
    assert_eq!(
        first("//! What a session is, over\n//! two lines of text:\n//!\n//! More"),
        [""; 0]
    );
}

#[test]
fn a_file_with_a_line_too_many_is_caught() {
    let sizes = |lines: usize, tests: &str| {
        told(&shape::sizes(&Source::new("src/a.rs", &format!("{}{tests}", "// a\n".repeat(lines)))))
    };
    let tests = "#[cfg(test)]\nmod tests {\n".to_owned() + &"// b\n".repeat(400) + "}\n";
    assert_eq!(
        sizes(401, &tests),
        [
            "src/a.rs:1: 401 shipped lines, 400 are the limit; split the file by what changes together"
        ]
    );
    assert_eq!(sizes(400, &tests), [""; 0]);
    let elsewhere = "#[cfg(test)]\nuse a::b;\n".to_owned() + &"// c\n".repeat(399);
    assert_eq!(sizes(0, &elsewhere).len(), 1, "only a test module ends the shipped lines");
}

#[test]
fn a_function_with_a_line_too_many_is_caught() {
    let sizes = |lines: usize| {
        let body = "    \"{\";\n".repeat(lines - 2);
        let text =
            format!("type F = fn(u8);\nfn long(a: [u8; 4])\n{{\n{body}}}\nfn short() {{}}\n");
        told(&shape::sizes(&Source::new("src/a.rs", &text)))
    };
    assert_eq!(
        sizes(70),
        ["src/a.rs:2: long has 71 lines, 70 are the limit; give a part of it a name of its own"]
    );
    assert_eq!(sizes(69), [""; 0]);
}

#[test]
fn an_example_that_does_not_say_how_to_run_it_is_caught() {
    let example = |text: &str| told(&shape::example(&Source::new("examples/embed.rs", text)));
    let good = "//! A gate in a program of yours: `cargo run --example embed`.\n";
    assert_eq!(example(good), [""; 0]);
    assert_eq!(
        example("fn main() {}\n"),
        ["examples/embed.rs:1: say at the top how to run it: `cargo run --example embed`"]
    );
    assert_eq!(
        example(&(good.to_owned() + &"\n".repeat(60))),
        ["examples/embed.rs:1: 61 lines, 60 are the limit of an example; one idea each"]
    );
}

#[test]
fn a_file_that_no_mod_leads_to_is_caught() {
    let files = [
        Source::new("src/lib.rs", "pub mod a;\n// mod c;\nmod e { fn f() {} }"),
        Source::new("src/a/mod.rs", "mod b;\n#[cfg(test)]\nmod d;"),
        Source::new("src/a/b.rs", ""),
        Source::new("src/a/d.rs", ""),
        Source::new("src/c.rs", ""),
    ];
    assert_eq!(
        told(&tree::strangers(&files)),
        ["src/c.rs:1: no `mod` leads here; declare it or delete it"]
    );
}

#[test]
fn a_secret_that_is_compared_is_caught() {
    let compared = |text| told(&secrets::compared(&Source::new("src/a.rs", text)));
    let both = "fn f() {\n    if one.expose() == other.expose() {}\n}";
    assert_eq!(compared(both).len(), 2);
    assert_eq!(
        compared("fn f() {\n    let same = a != b.expose();\n}"),
        ["src/a.rs:2: a secret is compared; compare digests, or MACs with ring"]
    );
    assert_eq!(compared("fn f() {\n    let text = a.expose(); let same = b == c;\n}").len(), 0);
    assert_eq!(compared("#[cfg(test)]\nmod tests {\n    fn f() { a.expose() == b; }\n}").len(), 0);
}

#[test]
fn a_secret_that_learns_to_show_itself_is_caught() {
    let leaks = |text| told(&secrets::leaks(&Source::new("src/base/secret.rs", text)));
    assert_eq!(
        leaks(
            "#[derive(Clone)]\n#[derive(Debug, PartialEq)]\npub struct Secret<const N: usize>([u8; N]);"
        ),
        ["src/base/secret.rs:2: Secret gets PartialEq; a secret is only seen through `expose`"]
    );
    assert_eq!(
        leaks(
            "impl fmt::Display for TokenSecret {\n}\nimpl<'a> serde::Serialize for session::Keyring {}"
        ),
        [
            "src/base/secret.rs:1: TokenSecret gets Display; a secret is only seen through `expose`",
            "src/base/secret.rs:3: Keyring gets Serialize; a secret is only seen through `expose`",
        ]
    );
    let innocent = "#[derive(Debug, Clone)]\nstruct Secret;\n#[derive(PartialEq)]\nstruct SecretKind;\nimpl fmt::Debug for Secret {}\nimpl PartialEq for Kept<Secret> {}\n// impl Display for Secret {}";
    assert_eq!(leaks(innocent), [""; 0]);
}

#[test]
fn a_line_that_names_this_machine_or_a_registry_is_caught() {
    let foreign = |path, text: &str| told(&secrets::foreign(path, text));
    let place = concat!("/wo", "rk/");
    assert_eq!(
        foreign("README.md", &format!("first\nsee {place}main")),
        [format!("README.md:2: a path of one machine, {place}…; write it relative")]
    );
    assert_eq!(foreign("README.md", &format!("https://shop.example{place}x")), [""; 0]);
    let host = concat!("crates", ".io");
    assert_eq!(
        foreign("ci.sh", &format!("curl {host}")),
        [format!("ci.sh:1: a package registry, {host}; leave it to the tool's default")]
    );
    let entry = format!("source = \"registry+https://example/{host}-index\"");
    assert_eq!(foreign("Cargo.lock", &entry), [""; 0]);
    assert_eq!(foreign("Cargo.toml", &entry).len(), 1);
}

#[test]
fn views_of_a_file_keep_every_offset() {
    let text = "let a = 'é'; let b: &'static str = \"ü\\\"//\"; /* ö */ b'\\''; c // ß\nd'\\u{e9}'";
    let source = Source::new("src/a.rs", text);
    for view in [&source.code, &source.shipped, &source.comments] {
        assert_eq!(view.len(), text.len());
    }
    let squeezed: Vec<&str> = source.code.split_whitespace().collect();
    assert_eq!(squeezed.join(" "), "let a = ; let b: &'static str = ; b ; c d");
}

#[test]
fn groups_are_spelt_out() {
    let named = |text| -> Vec<String> {
        paths(text, "std").iter().map(|named| named.segments.join("::")).collect()
    };
    assert_eq!(
        named("use std::{fmt, io::{self, Read as R}, env::*};"),
        ["std::fmt", "std::io", "std::io::Read", "std::env::*"]
    );
    assert_eq!(
        named("crate::std::x(); astd::b; a.std::c; std::fs::read::<T>(p)"),
        ["std::fs::read"]
    );
    assert_eq!(named("use ::std::fs; 0..std::u8::MAX"), ["std::fs", "std::u8::MAX"]);
}

#[test]
fn a_promise_without_a_test_that_exists_is_caught() {
    let find = |path: &str| match path {
        "tests/it/a.rs" => Some("fn it_holds() {}".to_owned()),
        "tests/browser/b.cjs" => Some("function itHolds() {}\nawait itHolds();".to_owned()),
        _ => None,
    };
    let page = "| no. | promise | held by |\n|---|---|---|\n\
                | P1 | kept | [`it_holds`](../tests/it/a.rs) |\n\
                | P2 | kept too | [`itHolds`](../tests/browser/b.cjs) |\n\
                | P3 | empty words | |\n\
                | P4 | renamed | [`it_held`](../tests/it/a.rs) |\n\
                | P5 | moved | [`it_holds`](../tests/it/c.rs) |\n\
                | P1 | again | [`it_holds`](../tests/it/a.rs) |\n";
    assert_eq!(
        told(&promises::unheld(page, find)),
        [
            "docs/PROMISES.md:5: a promise without a test; link the one that holds it",
            "docs/PROMISES.md:6: no test it_held in tests/it/a.rs",
            "docs/PROMISES.md:7: no file tests/it/c.rs",
            "docs/PROMISES.md:8: P1 is another promise already; take the next free number",
        ]
    );
}

#[test]
fn the_public_face_is_what_another_crate_can_name() {
    let src = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| std::fs::write(src.path().join(path), text).unwrap();
    write(
        "lib.rs",
        "mod inner; pub use inner::{Shown as Renamed, part::*, part::Id}; use inner::Hidden;
         pub mod prelude { pub use crate::Renamed; }
         #[doc(hidden)] pub mod quiet { pub struct Unlisted; }
         #[cfg(feature = \"testing\")] pub use inner::Tested;
         pub(crate) fn own() {}",
    );
    write(
        "inner.rs",
        "pub struct Shown { pub field: u8, secret: u8 }
         impl Shown { pub fn new() {} fn private() {} #[doc(hidden)] pub fn quiet() {} }
         impl Clone for Shown { fn clone(&self) {} }
         pub struct Hidden; pub struct Tested;
         pub mod part { pub enum Kind { One, Two { inside: u8 } } pub trait Port { fn work(); }
            macro_rules! id { ($n:ident) => { impl $n { pub const fn bytes() {} } } }
            id!(Id); pub use self::deep::Far; mod deep { pub struct Far; } }",
    );
    let listed = |extent| face::Face::read(src.path(), extent).listing();
    let lines: Vec<String> = listed(face::Extent::Crate).into_iter().collect();
    assert_eq!(
        lines,
        [
            "callgate::Far",
            "callgate::Id",
            "callgate::Id::bytes",
            "callgate::Kind",
            "callgate::Kind::One",
            "callgate::Kind::Two",
            "callgate::Kind::Two::inside",
            "callgate::Port",
            "callgate::Port::work",
            "callgate::Renamed",
            "callgate::Renamed::field",
            "callgate::Renamed::new",
            "callgate::prelude",
            "callgate::prelude::Renamed",
        ]
    );
    let listed = listed(face::Extent::Testing);
    assert!(listed.contains("callgate::Tested"), "{listed:?}");
    let example = "use callgate::Renamed; use callgate::prelude::*; use callgate::inner::Hidden;";
    assert_eq!(
        told(&face::strangers(&Source::new("examples/a.rs", example), &listed)),
        ["examples/a.rs:1: callgate::inner::Hidden is not public"]
    );
}
