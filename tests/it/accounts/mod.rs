//! The built-in class `callgate.Accounts`, by the rows that ship with callgate: its exchanges as a
//! table (`facade.json`), who may do what, and what a stranger cannot.

mod floods;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use callgate::Settings;
use callgate::account::Login;
use callgate::base::UserId;
use callgate::base::clock::ManualClock;
use callgate::base::secret::entropy::OsEntropy;
use callgate::flow::directory::Directory;
use callgate::gate::Answer;
use callgate::store::Store;
use serde_json::Value;
use serde_json::json;
use std::sync::Arc;

use super::fresh;
use crate::support::House;
use crate::support::log::Log;
use crate::support::settings;

const ROWS: &str = include_str!("../../../examples/accounts/handlers.json");
const PASSWORD: &str = "correct horse battery";

async fn house() -> House {
    let mut settings = settings();
    (settings.accounts.memory_kib, settings.accounts.passes) = (64, 1);
    settings.accounts.attempts = 5;
    on(settings).await
}

async fn on(settings: Settings) -> House {
    let rows = ROWS.trim().trim_start_matches('[').trim_end_matches(']');
    House::rows_on(fresh().await, settings, rows).await
}

/// One request of a client without cookies.
async fn ask(house: &House, line: &str, by: Option<&str>, body: Option<&Value>) -> Answer {
    let (method, target) = line.split_once(' ').unwrap();
    let mut call = house.gate.client().call(method, target);
    if let Some(by) = by {
        call = call.header("x-session-id", by);
    }
    if let Some(body) = body {
        call = call.header("content-type", "application/json").body(body.to_string());
    }
    call.send().await
}

async fn signup(house: &House, email: &str) -> Value {
    let body = json!({ "name": "Somebody", "email": email, "password": PASSWORD });
    let answer = ask(house, "POST /api/v1/signup", None, Some(&body)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

async fn signin(house: &House, login: &str, password: &str) -> Answer {
    let body = json!({ "login": login, "password": password });
    ask(house, "POST /api/v1/signin", None, Some(&body)).await
}

/// Grants a role as the operator does, past the gate.
async fn grant(house: &House, email: &str, role: &str) {
    let store: Arc<dyn Store> = house.store.clone();
    let entropy = Arc::new(OsEntropy::new());
    let directory =
        Directory::new(store, Arc::new(ManualClock::default()), entropy, settings().accounts);
    let user = directory.find(&Login::read(email).unwrap()).await.unwrap().unwrap();
    let role = role.to_owned();
    directory.change(user.id, move |user| user.roles.push(role.clone())).await.unwrap();
}

#[tokio::test]
async fn every_exchange_of_the_table_goes_as_it_says() {
    let house = house().await;
    let mut kept = BTreeMap::<String, String>::new();
    let steps: Vec<Value> = serde_json::from_str(include_str!("facade.json")).unwrap();
    for step in &steps {
        let filled = |text: &str| {
            kept.iter().fold(text.to_owned(), |text, (name, value)| {
                text.replace(&format!("${{{name}}}"), value)
            })
        };
        let what = step["what"].as_str().unwrap();
        let by = step["by"].as_str().map(&filled);
        let line = filled(step["ask"].as_str().unwrap());
        let answer = ask(&house, &line, by.as_deref(), step.get("body")).await;
        let told = format!("{what}: {line}: {} {}", answer.status, answer.text());
        assert_eq!(u64::from(answer.status), step["status"].as_u64().unwrap(), "{told}");
        for (name, value) in step["is"].as_object().into_iter().flatten() {
            let value = value.as_str().map_or(value.clone(), |text| filled(text).into());
            assert_eq!(answer.json()[name], value, "{told}");
        }
        for (name, value) in step["user"].as_object().into_iter().flatten() {
            assert_eq!(answer.json()["user"][name], *value, "{told}");
        }
        if let Some(data) = step["data"].as_u64() {
            assert_eq!(answer.json()["data"].as_array().unwrap().len() as u64, data, "{told}");
        }
        if answer.status >= 400 && answer.status != 405 {
            let body = answer.json();
            assert!(body["code"].is_string() && body["message"].is_string(), "{told}");
        }
        for (name, member) in step["keep"].as_object().into_iter().flatten() {
            let value = answer.json()[member.as_str().unwrap()].as_str().unwrap().to_owned();
            kept.insert(name.clone(), value);
        }
    }
}

/// Every route, asked by nobody, by another account, by its owner and by an admin.
#[tokio::test]
async fn each_route_is_open_to_whom_it_says() {
    let house = house().await;
    let owner = signup(&house, "owner@example.com").await;
    let other = signup(&house, "other@example.com").await;
    signup(&house, "admin@example.com").await;
    grant(&house, "admin@example.com", "admin").await;
    let admin = signin(&house, "admin@example.com", PASSWORD).await.json();
    let owner_id = owner["user_id"].as_str().unwrap();
    let askers = [None, Some(&other), Some(&owner), Some(&admin)];
    let nobody = "0".repeat(32);
    for (line, statuses) in [
        ("GET /api/v1/signup/validate?login=free", [204, 204, 204, 204]),
        ("GET /api/v1/sessions", [401, 403, 403, 200]),
        ("GET /api/v1/sessions/current", [401, 200, 200, 200]),
        (&*format!("POST /api/v1/sessions/restore?session_id={nobody}"), [401, 204, 204, 204]),
        (&*format!("GET /api/v1/sessions/{owner_id}"), [401, 403, 200, 200]),
        (&*format!("DELETE /api/v1/sessions/{owner_id}/{nobody}"), [401, 403, 204, 204]),
        (&*format!("GET /api/v1/sessions/{nobody}"), [401, 403, 403, 200]),
        (&*format!("DELETE /api/v1/sessions/{nobody}/{nobody}"), [401, 403, 403, 204]),
    ] {
        for (asker, status) in askers.iter().zip(statuses) {
            let by = asker.map(|session| session["id"].as_str().unwrap());
            let answer = ask(&house, line, by, None).await;
            assert_eq!(answer.status, status, "{line} by {by:?}: {}", answer.text());
            let code = match status {
                401 => json!("NOT_SIGNED"),
                403 if line == "GET /api/v1/sessions" => json!("NOT_IN_ROLE"),
                403 => json!("FORBIDDEN"),
                _ => continue,
            };
            assert_eq!(answer.json()["code"], code, "{line}");
        }
    }
}

/// The same authorizers in rows of an application.
#[tokio::test]
async fn a_row_may_require_a_sign_in_an_owner_or_a_privilege() {
    let requirements = [
        ("anybody", "\"guest\"", [200, 200, 200, 200, 200]),
        ("signed", r#"{ "signed": true }"#, [401, 200, 200, 200, 200]),
        ("owner", r#"{ "owner": "user_id" }"#, [401, 403, 403, 200, 403]),
        ("owner_or_admin", r#"{ "owner": "user_id", "any": "admin" }"#, [401, 403, 403, 200, 200]),
        ("roles", r#"["admin", "boss"]"#, [401, 403, 403, 403, 200]),
    ];
    let row = |(name, requires, _): &(&str, &str, _)| {
        format!(
            r#"{{ "class": "Probe", "method": "whoami",
                 "regexPattern": "/of/{name}/(?<user_id>[^/]+)$", "requires": {requires} }},"#
        )
    };
    let rows: String = requirements.iter().map(row).collect();
    let accounts = ROWS.trim().trim_start_matches('[').trim_end_matches(']');
    let mut settings = settings();
    (settings.accounts.memory_kib, settings.accounts.passes) = (64, 1);
    let house = House::rows_on(fresh().await, settings, &format!("{rows}{accounts}")).await;
    let guest = house.gate.client();
    let by_name = house.gate.client();
    by_name.get("/login?privileges=simple&user=Somebody").send().await;
    let other = signup(&house, "other@example.com").await;
    let owner = signup(&house, "owner@example.com").await;
    signup(&house, "admin@example.com").await;
    grant(&house, "admin@example.com", "admin").await;
    let admin = signin(&house, "admin@example.com", PASSWORD).await.json();
    let with = |session: &Value| {
        let client = house.gate.client();
        client.plant(house.cookie_name(), session["id"].as_str().unwrap());
        client
    };
    let clients = [guest, by_name, with(&other), with(&owner), with(&admin)];
    let owner_id = owner["user_id"].as_str().unwrap();
    for (name, _, statuses) in requirements {
        for (at, (client, status)) in clients.iter().zip(statuses).enumerate() {
            let answer = client.get(&format!("/of/{name}/{owner_id}")).send().await;
            assert_eq!(answer.status, status, "{name}, client {at}: {}", answer.text());
        }
        let nobody = clients[3].get(&format!("/of/{name}/nobody")).send().await;
        let expected = if name.starts_with("owner") { 403 } else { statuses[3] };
        assert_eq!(nobody.status, expected, "{name}");
    }
}

#[tokio::test]
async fn what_is_listed_opens_nothing() {
    let house = house().await;
    let ada = signup(&house, "ada@example.com").await;
    let (credential, id) = (ada["id"].as_str().unwrap(), ada["user_id"].as_str().unwrap());
    assert!(id.parse::<UserId>().is_ok() && id == id.to_lowercase(), "{id}");
    let list = ask(&house, &format!("GET /api/v1/sessions/{id}"), Some(credential), None).await;
    assert!(!list.text().contains(credential));
    let public = list.json()["data"][0]["id"].as_str().unwrap().to_owned();
    let stolen = ask(&house, "GET /api/v1/sessions/current", Some(&public), None).await;
    assert_eq!(stolen.status, 440);
    // By its public id the owner can end it.
    let line = format!("DELETE /api/v1/sessions/{id}/{public}");
    assert_eq!(ask(&house, &line, Some(credential), None).await.json()["id"], *public);
    let gone = ask(&house, "GET /api/v1/sessions/current", Some(credential), None).await;
    assert_eq!(gone.status, 440);
}

/// Nobody learns from an answer who has an account, or that a login is locked.
#[tokio::test]
async fn all_that_refuses_a_sign_in_answers_alike() {
    let (log, _capture) = Log::capture();
    let house = house().await;
    signup(&house, "ada@example.com").await;
    let mut answers = Vec::new();
    for attempt in 0..8 {
        for login in ["ada@example.com", "nobody@example.com"] {
            let answer = signin(&house, login, &format!("a wrong password {attempt}")).await;
            answers.push((answer.status, answer.text()));
        }
    }
    let locked = signin(&house, "ada@example.com", PASSWORD).await;
    answers.push((locked.status, locked.text()));
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // Only the log tells them apart, and names a login by a digest of it.
    let refused = log.of("account.refused");
    assert_eq!(refused.len(), 17);
    let whys = |user: bool| {
        let of_user = refused.iter().filter(|it| it["user"].is_string() == user);
        of_user.map(|it| it["why"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(whys(false), ["not_checked"; 8]);
    assert_eq!(whys(true)[..5], ["wrong"; 5]);
    assert_eq!(whys(true)[5..], ["not_checked"; 4]);
    let logins: BTreeSet<_> = refused.iter().map(|it| it["login"].as_str().unwrap()).collect();
    assert_eq!(logins.len(), 2, "{logins:?}");
    log.has(&["account.created", "account.signed_in"]);
    assert!(!log.text().contains("@example.com"), "{}", log.text());
    log.has(&["account.locked"]);
    assert!(!log.text().contains("a wrong password") && !log.text().contains(PASSWORD));
    house.wait_secs(15 * 60);
    assert_eq!(signin(&house, "ada@example.com", PASSWORD).await.status, 200);
}

/// A form of a foreign page signs no browser in to an account of that page.
#[tokio::test]
async fn a_form_signs_nobody_in_and_nobody_up() {
    let house = house().await;
    signup(&house, "mallory@example.com").await;
    let body = json!({ "login": "mallory@example.com", "password": PASSWORD, "name": "x",
                       "email": "new@example.com" });
    for path in ["/api/v1/signin", "/api/v1/signup"] {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
            let victim = house.gate.client();
            let call = victim.post(path).header("content-type", kind).body(body.to_string());
            let answer = call.send().await;
            assert_eq!(
                (answer.status, &answer.json()["code"]),
                (415, &json!("NOT_JSON")),
                "{kind}"
            );
            let current = victim.get("/api/v1/sessions/current").send().await;
            assert_eq!(current.status, 401);
        }
    }
}

/// A browser that was moved into a prepared session leaves it by signing in.
#[tokio::test]
async fn a_sign_in_gives_a_fresh_credential_and_ends_the_old_one() {
    let house = house().await;
    signup(&house, "ada@example.com").await;
    let browser = house.gate.client();
    browser.get("/write?key=a&value=1").send().await;
    let planted = browser.cookie(house.cookie_name());
    let attacker = house.gate.client();
    if let Some(planted) = &planted {
        attacker.plant(house.cookie_name(), planted);
    }
    let body = json!({ "login": "ada@example.com", "password": PASSWORD }).to_string();
    let call = browser.post("/api/v1/signin").header("content-type", "application/json").body(body);
    assert_eq!(call.send().await.status, 200);
    assert_ne!(browser.cookie(house.cookie_name()), planted);
    let own = browser.get("/api/v1/sessions/current").send().await;
    assert_eq!(own.json()["user_name"], "ada@example.com");
    let cookie = browser.cookie(house.cookie_name()).unwrap();
    assert!(!own.text().contains(&cookie), "its scripts are not told the cookie");
    let rides = attacker.get("/api/v1/sessions/current").send().await;
    assert_eq!(rides.status, 401, "{}", rides.text());
}

/// A page would read the credential of its cookie in the body, where the cookie is hidden from it.
#[tokio::test]
async fn a_sign_in_of_a_browser_returns_no_credential() {
    let house = house().await;
    signup(&house, "ada@example.com").await;
    let browsers: [&[(&str, &str)]; 4] = [
        &[("sec-fetch-mode", "cors"), ("sec-fetch-site", "same-origin")],
        &[("user-agent", "Mozilla/5.0"), ("accept", "text/html")],
        &[("user-agent", "Mozilla/5.0"), ("origin", "http://shop.example")],
        &[("cookie", "theme=dark")],
    ];
    for (nth, sent) in browsers.into_iter().enumerate() {
        let (known, new) = ("ada@example.com".to_owned(), format!("new{nth}@example.com"));
        for (path, email) in [("/api/v1/signin", known), ("/api/v1/signup", new)] {
            let body = json!({ "login": email, "email": email, "name": "x", "password": PASSWORD });
            let browser = house.gate.client();
            let call = browser.post(path).header("content-type", "application/json");
            let call = sent.iter().fold(call, |call, (name, value)| call.header(name, value));
            let answer = call.body(body.to_string()).send().await;
            assert!(answer.status < 300, "{sent:?}: {}", answer.text());
            let id = answer.json()["id"].as_str().unwrap().to_owned();
            let taken = ask(&house, "GET /api/v1/sessions/current", Some(&id), None).await;
            assert_eq!(taken.status, 440, "{sent:?}: {id}");
            if let Some(cookie) = browser.cookie(house.cookie_name()) {
                assert!(!answer.text().contains(&cookie), "{sent:?}");
            }
        }
    }
    // A browser that has its session cookie, and says nothing else.
    let browser = house.gate.client();
    browser.get("/write?key=a&value=1").send().await;
    let body = json!({ "login": "ada@example.com", "password": PASSWORD }).to_string();
    let call = browser.post("/api/v1/signin").header("content-type", "application/json").body(body);
    let answer = call.send().await;
    let cookie = browser.cookie(house.cookie_name()).unwrap();
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains(&cookie), "a page must not read the value of its cookie");
}

#[tokio::test]
async fn a_row_of_the_application_may_use_the_field_as_it_likes() {
    let house = house().await;
    let answer = house.gate.client().get("/whoami").header("x-session-id", "its-own").send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_name_that_an_application_sets_is_no_account() {
    let house = house().await;
    signup(&house, "ada@example.com").await;
    let browser = house.gate.client();
    browser.get("/login?privileges=admin&user=ada@example.com").send().await;
    let current = browser.get("/api/v1/sessions/current").send().await;
    assert_eq!((current.status, &current.json()["code"]), (401, &json!("NOT_SIGNED")));
}
