//! A gate whose rows are answered by class files that stand in the test.

use std::collections::BTreeSet;
use std::sync::Arc;

use callgate::Gate;
use callgate::Singleton;
use callgate::backend::script::ClassProblem;
use callgate::backend::script::Classes;
use callgate::backend::script::Environment;
use callgate::backend::script::Limits;
use callgate::backend::script::Sources;
use callgate::gate::Answer;
use callgate::gate::Builder;
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
    let class = |target: &&str| target.rsplit_once('.').unwrap().0.to_owned();
    let wanted: BTreeSet<String> = targets.iter().map(class).collect();
    Classes::load(&Sources::of_texts(files.iter().copied()), &wanted, environment, None)
}

impl Scripts {
    /// The gate for `targets`, each `Class.function`.
    pub(crate) async fn open(files: &[(&str, &str)], targets: &[&str]) -> Self {
        Self::within(Limits::default(), files, targets).await
    }

    /// The same on smaller budgets.
    pub(crate) async fn within(limits: Limits, files: &[(&str, &str)], targets: &[&str]) -> Self {
        let environment = Environment { limits, ..Environment::new(Handle::current()) };
        Self::on(Gate::builder(settings()), &environment, files, targets).await
    }

    /// The same on a gate that the test has begun.
    pub(crate) async fn on(
        mut builder: Builder,
        environment: &Environment,
        files: &[(&str, &str)],
        targets: &[&str],
    ) -> Self {
        let classes = Arc::new(load(environment, files, targets).unwrap());
        let mut rows = Vec::new();
        for target in targets {
            let (class, function) = target.rsplit_once('.').unwrap();
            rows.push(json!({
                "pattern": format!("{class}/{function}"),
                "class": target,
                "method": "run",
            }));
            let (shared, name) = (Arc::clone(&classes), (class.to_owned(), function.to_owned()));
            let singleton =
                Singleton::shared(*target, shared).method(
                    "run",
                    move |classes: Arc<Classes>, request, session| {
                        let (class, function) = name.clone();
                        async move {
                            classes.find(&class, &function).unwrap().call(request, session).await
                        }
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
