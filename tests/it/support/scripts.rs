//! A gate whose rows are answered by class files that stand in the test.

use std::collections::BTreeSet;
use std::sync::Arc;

use callgate::Gate;
use callgate::Singleton;
use callgate::backend::Budgets;
use callgate::backend::script::ClassProblem;
use callgate::backend::script::Classes;
use callgate::backend::script::Environment;
use callgate::backend::script::Sources;
use callgate::gate::Answer;
use callgate::gate::GateBuilder;
use callgate::http::Handlers as _;
use serde_json::json;
use tokio::runtime::Handle;

use crate::support::settings;

/// A gate that answers `/Class/function` by that function of that class.
pub(crate) struct Scripts {
    pub(crate) gate: Gate,
    pub(crate) classes: Arc<Classes>,
}

/// Loads class files, given as paths inside the classes folder and texts; `targets` says which
/// classes rows name.
pub(crate) fn load(
    environment: &Environment,
    files: &[(&str, &str)],
    targets: &[&str],
) -> Result<Classes, Vec<ClassProblem>> {
    load_over(None, environment, files, targets)
}

/// The same on default budgets, as the next generation after `before`.
pub(crate) fn load_after(
    before: &Classes,
    files: &[(&str, &str)],
    targets: &[&str],
) -> Result<Classes, Vec<ClassProblem>> {
    load_over(Some(before), &Environment::new(Handle::current()), files, targets)
}

fn load_over(
    before: Option<&Classes>,
    environment: &Environment,
    files: &[(&str, &str)],
    targets: &[&str],
) -> Result<Classes, Vec<ClassProblem>> {
    let class = |target: &&str| target.rsplit_once('.').unwrap().0.to_owned();
    let wanted: BTreeSet<String> = targets.iter().map(class).collect();
    Classes::load(&Sources::of_texts(files.iter().copied()), &wanted, environment, before)
}

impl Scripts {
    /// The gate for `targets`, each `Class.function`, or `Class.function within 300` where the row
    /// gives it so many milliseconds.
    pub(crate) async fn open(files: &[(&str, &str)], targets: &[&str]) -> Self {
        Self::within(Budgets::default(), files, targets).await
    }

    /// The same on smaller budgets.
    pub(crate) async fn within(limits: Budgets, files: &[(&str, &str)], targets: &[&str]) -> Self {
        let environment = Environment { limits, ..Environment::new(Handle::current()) };
        Self::on(Gate::builder(settings()), &environment, files, targets).await
    }

    /// The same on a gate that the test has begun.
    pub(crate) async fn on(
        builder: GateBuilder,
        environment: &Environment,
        files: &[(&str, &str)],
        targets: &[&str],
    ) -> Self {
        Self::in_front_of(load(environment, files, targets).unwrap(), builder, targets).await
    }

    /// A gate for classes that are loaded already.
    pub(crate) async fn of(classes: Classes, targets: &[&str]) -> Self {
        Self::in_front_of(classes, Gate::builder(settings()), targets).await
    }

    async fn in_front_of(classes: Classes, mut builder: GateBuilder, targets: &[&str]) -> Self {
        let classes = Arc::new(classes);
        let mut rows = Vec::new();
        for target in targets {
            let (target, within) = match target.split_once(" within ") {
                Some((target, millis)) => (target, Some(millis)),
                None => (*target, None),
            };
            let (class, function) = target.rsplit_once('.').unwrap();
            let pattern = format!("{class}/{function}");
            // What a class itself says of its time would be lost on the way through a singleton.
            let timeout = classes.find(class, function).unwrap().timeout().unwrap();
            let millis = within.map_or(timeout.as_millis(), |millis| millis.parse().unwrap());
            let limits = json!({"timeoutMs": millis});
            rows.push(json!({
                "pattern": pattern, "class": target, "method": "run", "limits": limits,
            }));
            let (shared, name) = (Arc::clone(&classes), (class.to_owned(), function.to_owned()));
            let singleton = Singleton::shared(target, shared).method(
                "run",
                move |classes: Arc<Classes>, request, session| {
                    let handler = classes.find(&name.0, &name.1).unwrap();
                    let permit = handler.reserve();
                    async move { handler.call(request, session, permit?).await }
                },
            );
            builder = builder.singleton(singleton);
        }
        let gate = builder.table(json!(rows).to_string()).open().await.unwrap();
        Self { gate, classes }
    }

    /// Asks for `/Class/function`, as somebody new.
    pub(crate) async fn ask(&self, target: &str) -> Answer {
        self.gate.client().get(&format!("/{}", target.replacen('.', "/", 1))).send().await
    }
}
