//! Class files whose functions are called by name: the lists of a class, the example of the 4D
//! documentation, and a client in another language.

use std::fs;
use std::path::Path;
use std::process::Command;

use callgate::Gate;
use callgate::Settings;
use callgate::gate::GateError;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::program;
use crate::support::settings;

/// A folder with these class files, and no rows.
fn folder(classes: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("handlers.json"), "[]").unwrap();
    fs::create_dir(folder.path().join("classes")).unwrap();
    for (name, text) in classes {
        fs::write(folder.path().join("classes").join(name), text).unwrap();
    }
    folder
}

async fn open(folder: &Path) -> Result<Gate, GateError> {
    let settings = Settings { handlers: folder.join("handlers.json"), ..settings() };
    Gate::builder(settings).open().await
}

const DATA_STORE: &str = r#"
import { OutgoingMessage, callgate } from "callgate";

export default class DataStore {
  static exposed = ["authentify", "keys", "raw", "redeem", "cookie"];
  static onHTTPGet = ["redeem"];

  authentify(request, session, { name, password }) {
    if (password !== "123") return "Wrong password";
    session.setPrivileges({ privileges: ["member"], userName: name });
    return "Welcome";
  }
  keys(request, session, given, ...rest) { return [Object.keys(given), given.__proto__ === Object.prototype, rest.length]; }
  cookie() { return callgate.sessionCookieName; }
  raw() { return OutgoingMessage.html("<p>raw</p>"); }
  async redeem(request, session, token) { return [await session.restore(token), session.userName]; }
  async mint(request, session) { return await session.createOTP(); }
}
"#;

const BASE: &str = r#"
export default class Base {
  static exposed = ["reach"];
  reach() { return "reached"; }
}
"#;

const DERIVED: &str = r#"
import Base from "./Base.js";
export default class Derived extends Base {
  static onHTTPGet = ["own"];
  own() { return "own"; }
}
"#;

#[tokio::test]
async fn a_class_lists_what_can_be_called_and_gets_its_parameters() {
    let files = [("DataStore.js", DATA_STORE), ("Base.js", BASE), ("Derived.js", DERIVED)];
    let place = folder(&files);
    let gate = open(place.path()).await.unwrap();
    let client = gate.client();
    let call = async |target: &str, body: Value| {
        let answer = client.post(&format!("/rest/{target}")).body(body.to_string()).send().await;
        (answer.status, answer.json()["result"].clone())
    };
    let henry = json!([{ "name": "Henry", "password": "123" }]);
    assert_eq!(call("$catalog/authentify", henry).await, (200, json!("Welcome")));
    // Parameters are plain values, whatever their keys are called.
    let hostile = r#"[{"__proto__": {"x": 1}, "constructor": 2}, 1, 2]"#;
    let answer = client.post("/rest/$catalog/keys").body(hostile).send().await;
    assert_eq!(answer.json()["result"], json!([["__proto__", "constructor"], false, 2]));
    assert_eq!(client.post("/rest/$catalog/raw").send().await.text(), "<p>raw</p>");
    let name = gate.session_cookie_name();
    assert_eq!(call("$catalog/cookie", json!([])).await, (200, json!(name)));
    assert!(client.cookie(name).is_some(), "{name}");
    // What a class does not list, or only inherits, is not there.
    for target in
        ["$catalog/mint", "$catalog/constructor", "$catalog/toString", "$singleton/Derived/reach"]
    {
        assert_eq!(call(target, json!([])).await.0, 404, "{target}");
    }
    assert_eq!(call("$singleton/Base/reach", json!([])).await, (200, json!("reached")));
    assert_eq!(client.get("/rest/$singleton/Derived/own").send().await.json()["result"], "own");
    // A parameter that the function takes apart, and that is not there.
    let answer = client.post("/rest/$catalog/authentify").body("[]").send().await;
    assert_eq!(answer.status, 500, "{}", answer.text());
    assert_eq!(answer.json()["__ERROR"][0]["message"], "The handler failed.");
}

#[tokio::test]
async fn a_list_that_names_no_function_is_an_error_of_its_class() {
    for (list, said) in [
        ("exposed = [\"cites\"]", "static exposed names \"cites\""),
        ("onHTTPGet = [1]", "static onHTTPGet is not a list of names"),
        ("exposed = \"cities\"", "static exposed is not a list of names"),
        ("actions = null", "static actions is not a list of names"),
    ] {
        let class = format!("export default class Shop {{ static {list}; cities() {{}} }}");
        let place = folder(&[("Shop.js", &class)]);
        let error = open(place.path()).await.unwrap_err().to_string();
        assert!(error.contains(said), "{list}: {error}");
    }
}

#[tokio::test]
async fn the_example_of_the_documentation_signs_a_salesperson_in() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/crm");
    let gate = open(&examples).await.unwrap();
    assert_eq!(gate.warnings(), []);
    let browser = gate.client();
    let sent = browser.get("/authenticationOK.shtml?from=mail").as_browser().send().await;
    assert_eq!((sent.status, sent.header("location")), (303, "/authenticate.shtml"));
    let form = browser.get("/authenticate.shtml").as_browser().send().await;
    assert!(form.text().contains("action=\"/4DACTION/authenticate\""), "{}", form.text());
    for (id, password) in [("7", "let me in"), ("8", "let me sell"), ("", ""), ("7", "")] {
        let wrong = browser.post("/4DACTION/authenticate");
        let wrong = wrong.form(&[("userId", id), ("password", password)]).send().await;
        assert_eq!((wrong.status, &*wrong.text()), (403, "This userId or password is wrong"));
    }
    let right = browser.post("/4DACTION/authenticate");
    let right = right.form(&[("userId", "7"), ("password", "let me sell"), ("OK", "Log In")]);
    let right = right.send().await;
    let back = "/authenticationOK.shtml?from=mail";
    assert_eq!((right.status, right.header("location")), (303, back), "{}", right.text());
    let page = browser.get(back).as_browser().send().await.text();
    assert!(page.contains("Hello, Anna Keller"), "{page}");
    let best =
        "<li>Dunes Hotel: 133700</li><li>Aguada Foods: 91200</li><li>Corner Shop: 40050</li>";
    assert!(page.contains(best) && !page.contains("Bits"), "{page}");
    browser.post("/leave").send().await;
    assert_eq!(browser.get(back).send().await.status, 401, "signed out");
}

const CITIES: &str = r#"
const CITIES = { PR: ["Aguada", "Ponce", "Caguas"] };

export default class Cities {
  static exposed = ["byCountry"];
  static onHTTPGet = ["byCountry"];
  byCountry(request, session, country, count) {
    return { for: session.userName, cities: (CITIES[country] ?? []).slice(0, count) };
  }
  all() { return CITIES; }
}
"#;

#[tokio::test]
async fn a_client_of_sixty_lines_of_python_calls_functions() {
    if Command::new("python3").arg("--version").output().is_err() {
        return println!("skipped: python3 is missing");
    }
    let place = folder(&[("DataStore.js", DATA_STORE), ("Cities.js", CITIES)]);
    let gate = open(place.path()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving =
        tokio::spawn(async move { gate.serve(listener, async { drop(stopped.await) }).await });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/rest_client.py");
    let text = fs::read_to_string(&script).unwrap();
    assert!(text.lines().count() <= 60, "it grew");
    let run = move || program::output(Command::new("python3").arg(script).arg(origin));
    let ended = tokio::task::spawn_blocking(run).await.unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    let expected = "before {'result': {'for': '', 'cities': ['Aguada', 'Ponce']}}
wrong {'result': 'Wrong password'}
right {'result': 'Welcome'}
post {'result': {'for': 'Henry', 'cities': ['Aguada', 'Ponce']}}
get {'result': {'for': 'Henry', 'cities': ['Aguada']}}
hidden {'status': 404, 'errors': [1500, 1804]}
user Henry
";
    assert_eq!((&*out, ended.status.success()), (expected, true), "{err}");
    let _ = stop.send(());
    serving.await.unwrap();
}

const AUTHENTICATION: &str = r#"
export default class OnRestAuthentication {
  authenticate(request, session, user, password, hashed, address) {
    if (hashed !== false || typeof address !== "string" || password !== "right") return;
    session.setPrivileges("member");
    return user;
  }
}
"#;

#[tokio::test]
async fn a_class_file_checks_the_sign_ins_below_rest() {
    let place = folder(&[("OnRestAuthentication.js", AUTHENTICATION)]);
    let settings =
        Settings { handlers: place.path().join("handlers.json"), strict: true, ..settings() };
    let gate = Gate::builder(settings).open().await.unwrap();
    let client = gate.client();
    for (password, status) in [("wrong", 401), ("right", 200)] {
        let call = client.post("/rest/$directory/login").header("username-4D", "ada");
        let answer = call.header("password-4D", password).send().await;
        assert_eq!((answer.status, answer.json()["result"] == true), (status, status == 200));
    }
    let user = client.get("/rest/$directory/currentUser").send().await.json();
    assert_eq!(user["result"]["userName"], "ada");
    let named = client.post("/rest/$singleton/OnRestAuthentication/authenticate");
    assert_eq!(named.body(r#"["eve", "right", false, ""]"#).send().await.status, 404);
}

#[tokio::test]
async fn what_counts_as_true_in_javascript_lets_a_user_in() {
    for (returned, status) in [
        ("true", 200),
        ("1", 200),
        ("'no'", 200),
        ("[]", 200),
        ("{}", 200),
        ("false", 401),
        ("0", 401),
        ("NaN", 500),
        ("''", 401),
        ("null", 401),
        ("undefined", 401),
        ("new OutgoingMessage()", 401),
        ("OutgoingMessage.html('<p>in</p>')", 401),
        ("(() => { throw new Error(user) })()", 500),
    ] {
        let class = format!(
            "import {{ OutgoingMessage }} from \"callgate\";
             export default class OnRestAuthentication {{
               async authenticate(request, session, user) {{ return {returned}; }}
             }}"
        );
        let place = folder(&[("OnRestAuthentication.js", &class)]);
        let client = open(place.path()).await.unwrap().client();
        let call = client.post("/rest/$directory/login").header("username-4D", "ada");
        let answer = call.header("password-4D", "x").send().await;
        assert_eq!(answer.status, status, "{returned}: {}", answer.text());
    }
}

const TILL: &str = r#"
export default class Till {
  static exposed = ["open", "count"];
  open() { return "open"; }
  count() { return "counted"; }
}
"#;

const SHOP_TILL: &str = r#"
import Till from "./Till.js";
export default class ShopTill extends Till {
  static exposed = ["open", "count", "own"];
  count() { return "its own count"; }
  own() { return "own"; }
}
"#;

const NIGHT_TILL: &str = r#"
import ShopTill from "./ShopTill.js";
export default class NightTill extends ShopTill {
  static exposed = ["open", "count", "own"];
}
"#;

#[tokio::test]
async fn a_permission_about_a_class_concerns_the_classes_that_extend_it() {
    let files = [("Till.js", TILL), ("ShopTill.js", SHOP_TILL), ("NightTill.js", NIGHT_TILL)];
    let place = folder(&files);
    let entry = |target: &str, kind: &str, who: &str| json!({ "applyTo": target, "type": kind, "execute": [who] });
    let statuses = async |permissions: Vec<Value>| {
        let roles = json!({
            "privileges": [{ "privilege": "boss" }],
            "permissions": { "allowed": permissions },
        });
        fs::write(place.path().join("roles.json"), roles.to_string()).unwrap();
        let gate = open(place.path()).await.unwrap();
        let warned = gate.warnings().iter().any(|it| it.code == "permission-unused");
        assert!(!warned, "{:?}", gate.warnings());
        let client = gate.client();
        let mut statuses = Vec::new();
        for function in ["NightTill/open", "NightTill/count", "NightTill/own"] {
            let target = format!("/rest/$singleton/{function}");
            statuses.push(client.post(&target).body("[]").send().await.status);
        }
        statuses
    };
    let method = "singletonMethod";
    assert_eq!(statuses(vec![]).await, [200, 200, 200]);
    assert_eq!(statuses(vec![entry("Till.open", method, "boss")]).await, [401, 200, 200]);
    // A function that is written anew is the same function.
    assert_eq!(statuses(vec![entry("Till.count", method, "boss")]).await, [200, 401, 200]);
    assert_eq!(statuses(vec![entry("Till", "singleton", "boss")]).await, [401, 401, 200]);
    assert_eq!(statuses(vec![entry("ShopTill.own", method, "boss")]).await, [200, 200, 401]);
    // The nearest class that says something counts.
    let nearer = vec![entry("Till", "singleton", "boss"), entry("ShopTill", "singleton", "guest")];
    assert_eq!(statuses(nearer).await, [200, 200, 200]);
    let narrower =
        vec![entry("Till.open", method, "boss"), entry("NightTill.open", method, "guest")];
    assert_eq!(statuses(narrower).await, [200, 200, 200]);
}
