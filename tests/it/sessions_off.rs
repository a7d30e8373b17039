//! The setting `sessions = "off"`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use callgate::Gate;
use callgate::HandlerError;
use callgate::IncomingMessage;
use callgate::MintOptions;
use callgate::Session;
use callgate::SessionError;
use callgate::Settings;
use callgate::Singleton;
use callgate::base::Timestamp;
use callgate::gate::GateError;
use callgate::store::Store;
use callgate::store::memory::MemoryStore;
use serde_json::json;
use tempfile::TempDir;

use crate::support::settings;
use crate::support::upstream::Upstream;

const TOKEN: &str = "2E5D0D57751D471DB29FD110D2DCE253";

const PAGE: &str = r#"
export default class Page {
  static exposed = ["add"];
  show(request, session) { return { session, query: request.urlQuery, otp: request.otp }; }
  add(request, session, one, other) { return one + other; }
}
"#;

fn folder(table: &str, roles: Option<&str>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("handlers.json"), table).unwrap();
    if let Some(roles) = roles {
        fs::write(folder.path().join("roles.json"), roles).unwrap();
    }
    fs::create_dir(folder.path().join("classes")).unwrap();
    fs::write(folder.path().join("classes/Page.js"), PAGE).unwrap();
    folder
}

fn off(folder: &Path) -> Settings {
    Settings { handlers: folder.join("handlers.json"), sessions: false, ..settings() }
}

const SHOW: &str = r#"[{ "class": "Page", "method": "show", "pattern": "show" }]"#;

#[tokio::test]
async fn a_class_is_given_no_session_and_a_browser_no_cookie() {
    let folder = folder(SHOW, None);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let gate = Gate::builder(off(folder.path())).store(Arc::clone(&store)).open().await.unwrap();
    let client = gate.client();
    client.plant(gate.session_cookie_name(), "left-over");
    let answer = client.get(&format!("/show?$4DSID={TOKEN}&a=1")).as_browser().send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("set-cookie"), "");
    let shown = answer.json()["result"].clone();
    assert_eq!(shown["session"], json!(null));
    assert_eq!(shown["query"], json!({ "$4DSID": TOKEN, "a": "1" }));
    assert_eq!(shown["otp"], json!({ "outcome": "absent" }));
    let now = Timestamp::from_millis(u64::MAX >> 16);
    assert_eq!(store.sessions(now, None, 10).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_native_handler_sees_that_there_is_none_and_can_keep_nothing() {
    async fn look(
        _: Arc<()>,
        _: IncomingMessage,
        session: Session,
    ) -> Result<serde_json::Value, HandlerError> {
        let is_off = |error: SessionError| matches!(error, SessionError::Off);
        Ok(json!({
            "off": session.is_off(),
            "guest": session.is_guest(),
            "set": session.set("a", 1).is_err_and(is_off),
            "privileges": session.set_privileges("admin").is_err_and(is_off),
            "mint": session.create_otp(MintOptions::default()).await.is_err_and(is_off),
            "restore": session.restore(TOKEN).await.is_err_and(is_off),
            "update": session.update("a", |value| value).await.is_ok(),
            "logout": session.logout().await.is_err_and(is_off),
        }))
    }
    let page = Singleton::new("Page", ()).method("show", look);
    let settings = Settings { sessions: false, ..settings() };
    let gate = Gate::builder(settings).table(SHOW).singleton(page).open().await.unwrap();
    let answer = gate.client().get("/show").send().await;
    let found = answer.json();
    assert_eq!(
        found["result"],
        json!({
            "off": true, "guest": true, "set": true, "privileges": true, "mint": true,
            "restore": true, "update": false, "logout": true,
        }),
        "{found}"
    );
    assert_eq!(answer.header("set-cookie"), "");
}

#[tokio::test]
async fn rows_that_need_a_session_are_errors_all_of_them_at_once() {
    let table = r#"[
        { "class": "Page", "method": "show", "pattern": "a", "otp": { "mode": "share" } },
        { "class": "Page", "method": "show", "pattern": "b", "requires": "admin", "repeat": 60 },
        { "class": "Page", "method": "show", "pattern": "c" },
        { "class": "callgate.Accounts", "method": "signin", "pattern": "d", "verbs": "POST" }
    ]"#;
    let roles = r#"{ "privileges": [{ "privilege": "admin" }], "forceLogin": true }"#;
    let folder = folder(table, Some(roles));
    let error = Gate::builder(off(folder.path())).open().await.unwrap_err();
    let GateError::Table(problems) = &error else { panic!("{error}") };
    let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let found = found.join("\n");
    for (line, what) in [
        (":2:", "\"otp\" needs sessions"),
        (":3:", "\"requires\" and \"repeat\" need sessions"),
        (":5:", "callgate.Accounts needs sessions"),
        ("roles.json:1:1", "forceLogin needs sessions"),
    ] {
        let is_told = |text: &&str| text.contains(line) && text.contains(what);
        assert!(found.lines().any(|text| is_told(&text)), "{what}: {found}");
    }
    assert_eq!(problems.len(), 4, "{found}");
    let on = Settings { sessions: true, ..off(folder.path()) };
    Gate::builder(on).open().await.unwrap();
}

#[tokio::test]
async fn functions_are_called_and_nobody_can_sign_in() {
    let folder = folder(SHOW, None);
    let gate = Gate::builder(off(folder.path())).open().await.unwrap();
    let client = gate.client();
    let sum = client.post("/rest/$singleton/Page/add").body("[1, 2]").send().await;
    assert_eq!((sum.status, sum.json()), (200, json!({ "result": 3 })));
    let user = client.get("/rest/$directory/currentUser").send().await;
    assert_eq!(user.status, 200, "{}", user.text());
    let login = client.post("/rest/$directory/login");
    let login = login.header("username-4D", "ann").header("password-4D", "a long password");
    let login = login.send().await;
    assert_eq!(login.status, 501, "{}", login.text());
    assert!(login.text().contains("There are no sessions here"), "{}", login.text());
    for answer in [sum, user, login] {
        assert_eq!(answer.header("set-cookie"), "");
    }
}

#[tokio::test]
async fn an_upstream_is_told_of_no_session_and_gets_the_query_as_it_is() {
    let upstream = Upstream::echo().await;
    let table = format!(r#"[{{ "forward": "http://{}/", "pattern": "up" }}]"#, upstream.address);
    let settings = Settings { sessions: false, ..settings() };
    let gate = Gate::builder(settings).table(table).open().await.unwrap();
    let target = format!("/up?state={TOKEN}&$4DSID={TOKEN}");
    let answer = gate.client().get(&target).send().await;
    assert_eq!(answer.status, 200);
    let asked = upstream.asked().pop().unwrap();
    assert_eq!(asked.target, target);
    for field in
        ["x-callgate-session", "x-callgate-user", "x-callgate-otp", "x-callgate-capability"]
    {
        assert!(!asked.headers.contains_key(field), "{field}");
    }
    assert!(asked.headers.contains_key("x-callgate-request-id"));
}

#[tokio::test]
async fn parameters_and_forms_of_callgate_are_the_applications_own() {
    let folder = folder(SHOW, None);
    let gate = Gate::builder(off(folder.path())).open().await.unwrap();
    let client = gate.client();
    let hop = client.get("/show?$4DHOP=ZZ").as_browser().send().await;
    assert_eq!(hop.status, 200, "{}", hop.text());
    assert_eq!(hop.json()["result"]["query"], json!({ "$4DHOP": "ZZ" }));
    let form = client.post("/show?$4DCONFIRM=1").as_browser();
    let form = form.form(&[("$4DSID", TOKEN)]).send().await;
    assert_eq!(form.status, 200, "{}", form.text());
}
