//! The three scenarios of the 4D documentation, with class files that are as close to its code as
//! JavaScript allows (developer.4d.com/docs/WebServer/sessions).

use std::path::Path;
use std::sync::Arc;

use callgate::Gate;
use callgate::Settings;
use callgate::base::clock::ManualClock;
use callgate::base::secret::entropy::SeededEntropy;
use callgate::gate::Answer;
use callgate::gate::Client;
use callgate::table::BasePath;
use serde_json::Value;
use serde_json::json;

use crate::support::settings;

/// A gate over the table and the classes of one scenario.
async fn scenario(name: &str, settings: Settings) -> Gate {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scenarios").join(name);
    let settings = Settings { handlers: folder.join("handlers.json"), ..settings };
    let gate = Gate::builder(settings)
        .clock(Arc::new(ManualClock::default()))
        .entropy(Arc::new(SeededEntropy::new(4)))
        .open()
        .await
        .unwrap();
    // The expressions of the documentation are open at their end, and `check` says so.
    assert!(gate.warnings().iter().all(|warning| warning.code != "missing-handler"));
    gate
}

async fn post(visitor: &Client, path: &str, body: &Value) -> Value {
    let answer = visitor.post(path).body(body.to_string()).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    result(&answer)
}

fn result(answer: &Answer) -> Value {
    answer.json()["result"].clone()
}

/// What follows the origin of an address.
fn local<'u>(url: &'u Value, origin: &str) -> &'u str {
    url.as_str().unwrap().strip_prefix(origin).unwrap()
}

#[tokio::test]
async fn an_email_is_validated_by_the_link_that_was_sent_to_it() {
    let base_path = BasePath::parse("/tools").unwrap();
    let gate = scenario("email", Settings { base_path, ..settings() }).await;
    let (desk, phone, stranger) = (gate.client(), gate.client(), gate.client());
    let account = json!({ "email": "anna@example.com", "password": "a secret of hers" });
    let url = post(&desk, "/tools/users", &account).await;
    let link = local(&url, "https://my.server.com");

    let opened = phone.get(link).as_browser().send().await;
    assert_eq!(opened.header("content-type"), "text/html");
    let said = "Congratulations <br>Your email anna@example.com has been validated";
    assert_eq!((opened.status, opened.text().as_str()), (200, said));
    // Twice, from elsewhere, and without a token: the text of the documentation.
    for (visitor, target) in
        [(&phone, link), (&stranger, link), (&stranger, "/tools/validateEmail"), (&desk, link)]
    {
        assert_eq!(visitor.get(target).as_browser().send().await.text(), "Invalid token");
    }
}

#[tokio::test]
async fn a_platform_without_a_cookie_completes_the_operation_of_the_session() {
    let gate = scenario("payment", settings()).await;
    let (desk, platform) = (gate.client(), gate.client());
    let url = post(&desk, "/my4DApp/validateOperation", &json!({ "amount": 42 })).await;
    let callback = local(&url, "https://acme.com");

    let complete = json!({ "amount": 42, "state": "complete" });
    let called = platform.get(callback).send().await;
    assert_eq!((result(&called), called.header("set-cookie")), (complete.clone(), ""));
    assert_eq!(result(&platform.get(callback).send().await), json!(null), "once");
    let returned = desk.get("/my4DApp/completeOperation").as_browser().send().await;
    assert_eq!(result(&returned), complete, "the front end's session knows");
}

#[tokio::test]
async fn a_state_that_comes_back_restores_the_session_that_sent_it() {
    let gate = scenario("state", settings()).await;
    let (desk, other) = (gate.client(), gate.client());
    let url = post(&desk, "/my4DApp/validate", &json!({ "amount": 7 })).await;
    let url = url.as_str().unwrap();
    let state = url.split(['?', '&']).find(|part| part.starts_with("state=")).unwrap();
    let callback = format!("/my4DApp/completeOperation?{state}");

    let complete = json!({ "restored": true, "operation": { "amount": 7, "state": "complete" } });
    assert_eq!(result(&other.get(&callback).as_browser().send().await), complete);
    let again = json!({ "restored": false, "operation": null });
    assert_eq!(result(&gate.client().get(&callback).as_browser().send().await), again);
    let forgotten = gate.client().get("/my4DApp/completeOperation").send().await;
    assert_eq!(result(&forgotten), again, "a callback without state");
}
