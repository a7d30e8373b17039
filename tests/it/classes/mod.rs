//! What classes see: each member by class files that say their own expectations, and what becomes
//! of them outside.

mod console;
mod fetch;
mod messages;
mod sessions;
mod storage;
mod web;

use std::path::Path;
use std::sync::Arc;

use callgate::Gate;
use callgate::Settings;
use callgate::backend::Budgets;
use callgate::backend::script::Environment;
use callgate::base::clock::ManualClock;
use callgate::gate::Answer;
use callgate::gate::Client;
use callgate::settings::PublicOrigin;
use callgate::store::faulty::Faulty;
use callgate::store::memory::MemoryStore;
use tokio::runtime::Handle;

use crate::support::scripts::Scripts;
use crate::support::settings;

/// One class of `files`, or one that stands in a test, behind a gate whose store can be cut off.
pub(crate) struct Stage {
    scripts: Scripts,
    class: String,
    pub(crate) store: Arc<Faulty>,
}

impl Stage {
    /// The class of that name in `files`.
    pub(crate) async fn of(class: &str) -> Self {
        Self::with(environment(), class, &read(class)).await
    }

    /// A class with that text.
    pub(crate) async fn with(environment: Environment, class: &str, text: &str) -> Self {
        let store = Arc::new(Faulty::new(Arc::new(MemoryStore::new())));
        let settings = Settings {
            public_origin: Some(PublicOrigin::parse("http://127.0.0.1:8044").unwrap()),
            development: true,
            ..settings()
        };
        let builder =
            Gate::builder(settings).store(store.clone()).clock(Arc::new(ManualClock::default()));
        let targets: Vec<String> =
            functions(text).iter().map(|name| format!("{class}.{name}")).collect();
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        let file = format!("{class}.js");
        let files = [(&*file, text), ("check.js", &*read("check"))];
        let scripts = Scripts::on(builder, &environment, &files, &targets).await;
        Self { scripts, class: class.to_owned(), store }
    }

    /// Somebody who has not been here.
    pub(crate) fn visitor(&self) -> Visitor {
        Visitor { client: self.scripts.gate.client(), class: self.class.clone() }
    }

    /// Calls a function that says its own expectations, as somebody new.
    pub(crate) async fn holds(&self, function: &str) {
        let answer = self.visitor().get(function).await;
        assert_eq!(answer.status, 200, "{function}: {}", answer.text());
    }
}

/// Somebody with cookies, who calls functions of one class.
pub(crate) struct Visitor {
    pub(crate) client: Client,
    class: String,
}

impl Visitor {
    /// Asks for `/Class/rest`.
    pub(crate) async fn get(&self, rest: &str) -> Answer {
        self.call("GET", rest).send().await
    }

    pub(crate) fn call(&self, method: &str, rest: &str) -> callgate::gate::Call {
        self.client.call(method, &format!("/{}/{rest}", self.class))
    }
}

/// Budgets that a busy machine keeps within.
pub(crate) fn environment() -> Environment {
    let limits = Budgets { wall: std::time::Duration::from_secs(20), ..Budgets::default() };
    Environment { limits, ..Environment::new(Handle::current()) }
}

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/classes/files");
    std::fs::read_to_string(folder.join(format!("{name}.js"))).unwrap()
}

/// The functions of the one class in a text, which stand two blanks in.
fn functions(text: &str) -> Vec<&str> {
    let class = text.split_once("export default class").map_or("", |(_, class)| class);
    class.lines().filter_map(function).collect()
}

fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("  ")?;
    let (name, rest) = line.strip_prefix("async ").unwrap_or(line).split_once('(')?;
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_') && name != "constructor";
    (is_name && rest.contains('{')).then_some(name)
}
