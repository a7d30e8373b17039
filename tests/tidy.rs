//! Holds the tree up: the rules of the house that neither the compiler nor clippy can see.
//!
//! Imports go down the floors only. Time, randomness, the environment and printing have one home
//! each. Files say at the top what they are and stay short enough to read. Secrets cannot be
//! printed, stored or compared by accident. A breach is reported as `file:line: what; way out`.
//!
//! The rules look at one file's path and text at a time, so `planted` proves on small texts that
//! each of them catches what it is there for, and nothing that only looks like it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by failing; clippy spares only functions marked test"
)]

#[path = "tidy/citations.rs"]
mod citations;
#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/events.rs"]
mod events;
#[path = "tidy/face.rs"]
mod face;
#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/homes.rs"]
mod homes;
#[path = "tidy/planted.rs"]
mod planted;
#[path = "tidy/promises.rs"]
mod promises;
#[path = "tidy/secrets.rs"]
mod secrets;
#[path = "tidy/settings.rs"]
mod settings;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tree.rs"]
mod tree;

use callgate::base::clock::Clock;
use callgate::base::clock::ManualClock;
use callgate::base::secret::entropy::SeededEntropy;
use callgate::session::credential::Credential;
use callgate::session::credential::Keyring;
use callgate::table::Table;
use callgate::token::TokenSecret;

use source::Breach;
use source::Source;

/// Fails with every breach on a line of its own.
fn none(breaches: impl IntoIterator<Item = Breach>) {
    let lines: Vec<String> = breaches.into_iter().map(|breach| breach.to_string()).collect();
    assert!(lines.is_empty(), "{} to mend:\n{}", lines.len(), lines.join("\n"));
}

fn shipped() -> impl Iterator<Item = &'static Source> {
    tree::sources().iter().filter(|source| source.path.starts_with("src/"))
}

fn manifest() -> String {
    std::fs::read_to_string(tree::root().join("Cargo.toml")).unwrap()
}

#[test]
fn imports_go_down_the_floors_only() {
    none(shipped().flat_map(floors::imports));
}

#[test]
fn a_floor_names_only_the_outside_crates_it_is_allowed() {
    let crates = floors::dependencies(&manifest());
    assert!(crates.contains(&"hyper".to_owned()), "Cargo.toml lists no hyper: {crates:?}");
    none(shipped().flat_map(|source| floors::outside(source, &crates)));
}

#[test]
fn every_dependency_is_named_by_some_file() {
    let sources: Vec<&Source> = shipped().collect();
    let mut idle = floors::dependencies(&manifest());
    idle.retain(|name| !sources.iter().any(|source| !source::paths(&source.code, name).is_empty()));
    assert!(idle.is_empty(), "Cargo.toml: nothing in src names {idle:?}; take them out");
}

#[test]
fn no_dependency_is_locked_in_a_version_with_a_known_hole() {
    let read = |path: &str| std::fs::read_to_string(tree::root().join(path)).unwrap();
    none(dependencies::banned(&read("Cargo.lock"), &read("deny.toml")));
}

#[test]
fn values_do_not_wait_lock_or_reach_out() {
    none(shipped().flat_map(floors::impurities));
}

#[test]
fn clock_randomness_environment_and_printing_have_one_home_each() {
    none(shipped().flat_map(homes::strays));
}

#[test]
fn shipped_code_neither_gives_up_nor_leaves_business_unfinished() {
    none(shipped().flat_map(homes::banned));
    none(tree::sources().iter().flat_map(homes::slack));
}

#[test]
fn every_file_begins_with_a_sentence_that_says_what_it_is() {
    none(tree::sources().iter().flat_map(shape::first_sentence));
}

#[test]
fn files_and_functions_stay_short_enough_to_read() {
    let sources: Vec<&Source> = shipped().collect();
    let mut lines: Vec<usize> = sources.iter().map(|source| source.shipped_lines()).collect();
    lines.sort_unstable();
    println!("{} files, {:?} shipped lines at the median", lines.len(), lines.get(lines.len() / 2));
    none(sources.into_iter().flat_map(shape::sizes));
}

#[test]
fn every_event_that_is_logged_is_listed_in_the_docs() {
    let mut logged = events::Events::new();
    shipped().for_each(|source| events::logged(source, &mut logged));
    let page = std::fs::read_to_string(tree::root().join("docs/EVENTS.md")).unwrap_or_default();
    let lines = events::differences(&logged, &events::listed(&page));
    assert!(lines.is_empty(), "{} to mend:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn every_event_is_asked_for_by_a_test_or_says_why_not() {
    let page = std::fs::read_to_string(tree::root().join("docs/EVENTS.md")).unwrap_or_default();
    let asked = |event: &str| tree::sources().iter().any(|source| events::asks(source, event));
    let lines = events::not_asked_for(&events::listed(&page), asked, events::NOT_ASKED_FOR);
    assert!(lines.is_empty(), "{} to mend:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn every_control_is_listed_with_the_promises_that_it_concerns() {
    let texts = tree::texts();
    let controls: Vec<_> =
        texts.iter().filter_map(|(path, text)| promises::control(path, text)).collect();
    assert!(!controls.is_empty(), "the walk missed tests/broken");
    let page = std::fs::read_to_string(tree::root().join(promises::PAGE)).unwrap();
    none(promises::unlisted(&page, &controls));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it says whether to write the pages")]
fn the_pages_about_settings_say_what_is_declared() {
    let (page, readme) = (tree::root().join(settings::PAGE), tree::root().join("README.md"));
    let text = std::fs::read_to_string(&readme).unwrap();
    let wanted = settings::readme(&text).expect("the README has the marks of its settings table");
    if std::env::var_os(settings::WRITE).is_some() {
        std::fs::write(&page, settings::page()).unwrap();
        std::fs::write(&readme, &wanted).unwrap();
    }
    let fix = format!("run {}=1 cargo test --test tidy", settings::WRITE);
    let found = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(found == settings::page(), "{} is not what is declared; {fix}", settings::PAGE);
    let text = std::fs::read_to_string(&readme).unwrap();
    assert!(text == wanted, "the settings of README.md are not what is declared; {fix}");
}

#[test]
fn an_example_shows_one_idea_and_how_to_run_it() {
    let examples = tree::sources().iter().filter(|each| each.path.starts_with("examples/"));
    none(examples.flat_map(shape::example));
}

#[test]
fn the_public_face_is_small() {
    let listed = face::Face::read(&tree::root().join("src"), face::Extent::Crate).listing();
    println!("{} public items", listed.len());
    // A walk that lost its way would find little.
    assert!(listed.contains("callgate::Gate::serve"), "{listed:#?}");
    assert!(listed.contains("callgate::Outcome::Used::at"), "{listed:#?}");
    assert!(listed.len() < face::ITEMS_MAX, "{} public items: {listed:#?}", listed.len());
}

#[test]
fn an_example_names_only_what_is_public() {
    let listed = face::Face::read(&tree::root().join("src"), face::Extent::Testing).listing();
    let examples = tree::sources().iter().filter(|each| each.path.starts_with("examples/"));
    none(examples.flat_map(|source| face::strangers(source, &listed)));
}

#[test]
fn every_file_of_the_crate_is_compiled() {
    none(tree::strangers(tree::sources()));
}

#[test]
fn secrets_cannot_be_printed_stored_or_compared() {
    let sources: Vec<&Source> = shipped().collect();
    for secret in secrets::SECRETS {
        let declared = sources.iter().any(|source| secrets::declares(source, secret));
        assert!(declared, "src declares no {secret}; enter its new name in tests/tidy/secrets.rs");
    }
    none(sources.into_iter().flat_map(secrets::leaks));
}

#[test]
fn no_secret_is_compared_in_a_time_that_tells_how_much_of_it_is_right() {
    none(shipped().flat_map(secrets::compared));
}

#[test]
fn debug_shows_no_secret() {
    let entropy = SeededEntropy::new(3);
    let now = ManualClock::default().now();
    let token = TokenSecret::random(&entropy).unwrap();
    let key = Keyring::fresh_key(&entropy).unwrap();
    let ring = Keyring::read("shop", std::slice::from_ref(&key)).unwrap();
    let nonce = Credential::nonce(&entropy).unwrap();
    let session = Credential::guest(&entropy, now).unwrap().session();
    let credential = Credential::member(session, nonce.clone(), now);
    let sealed = ring.seal(&credential);
    let operator = ring.operator(("GET", "/sessions"), now);
    let hex: Vec<String> = nonce.expose().iter().map(|byte| format!("{byte:02X}")).collect();
    let hex = hex.concat();
    let bytes = format!("{:?}", nonce.expose());
    let bytes = bytes.trim_matches(['[', ']']);
    let secrets = [&token.expose(), key.expose(), sealed.expose(), operator.expose(), &hex, bytes];

    let shown =
        format!("{token:?} {key:?} {ring:?} {nonce:?} {credential:?} {sealed:?} {operator:?}");
    let shown = shown.to_lowercase();
    assert!(shown.contains(&format!("{session:?}").to_lowercase()), "a session's name may be seen");
    for secret in secrets {
        assert!(!shown.contains(&secret.to_lowercase()), "{secret} is in {shown}");
    }
}

#[test]
fn the_shipped_table_loads_without_a_problem() {
    let path = tree::root().join("handlers.json");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("handlers.json: {e}; a newcomer's first start needs it"));
    let problems = match Table::read("handlers.json", &text) {
        Ok(checked) => [checked.table.prove("handlers.json").problems, checked.warnings].concat(),
        Err(problems) => problems,
    };
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn every_promise_is_held_by_a_test_that_exists() {
    let read = |path: &str| std::fs::read_to_string(tree::root().join(path)).ok();
    let page = read(promises::PAGE).expect("docs/PROMISES.md says what callgate promises");
    none(promises::unheld(&page, read));
}

#[test]
fn what_comments_cite_can_be_opened() {
    let read = |path: &str| std::fs::read_to_string(tree::root().join(path)).unwrap();
    let (security, contract) = (read("docs/SECURITY.md"), read("docs/CONTRACT.md"));
    let (security, contract) = (citations::security(&security), citations::contract(&contract));
    let mut breaches = citations::unknown_promises(&security, &read(promises::PAGE));
    let texts = tree::texts().into_iter().filter(|(path, _)| path != citations::OWN);
    let texts: Vec<_> = texts.collect();
    for page in [security, contract] {
        breaches.extend(page.doubled());
        breaches.extend(texts.iter().flat_map(|(path, text)| page.lost(path, text)));
    }
    breaches.extend(texts.iter().flat_map(|(path, text)| citations::without_page(path, text)));
    none(breaches);
}

#[test]
fn no_file_names_the_machine_it_was_written_on_or_a_registry() {
    none(tree::texts().iter().flat_map(|(path, text)| secrets::foreign(path, text)));
}
