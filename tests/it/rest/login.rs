//! `/rest/$directory`: signing in and out below `/rest`. On every store.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use callgate::IncomingMessage;
use callgate::Session;
use callgate::Singleton;
use callgate::account::Config;
use callgate::account::Login;
use callgate::account::Profile;
use callgate::account::client_digest;
use callgate::base::clock::ManualClock;
use callgate::base::secret::SecretText;
use callgate::base::secret::entropy::OsEntropy;
use callgate::flow::directory::Directory;
use callgate::flow::directory::Draft;
use callgate::flow::directory::NewPassword;
use callgate::gate::Answer;
use callgate::http::HandlerError;
use callgate::http::session::Privileges;
use callgate::store::Store;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;

use super::called;
use super::fresh;
use super::under;
use super::with_roles;
use crate::support::House;
use crate::support::probe;
use crate::support::program;
use crate::support::settings;
use crate::support::visitor::Visitor;

pub(super) const PASSWORD: &str = "correct horse battery";
const WASID: &str = "WASID4D";
pub(super) const LOGIN: &str = "/rest/$directory/login";
const USER: &str = "/rest/$directory/currentUser";

/// Creates the account of Ada past the gate, as the operator does.
pub(super) async fn add_ada(house: &House, config: Config) {
    let store: Arc<dyn Store> = house.store.clone();
    let (clock, entropy) = (Arc::new(ManualClock::default()), Arc::new(OsEntropy::new()));
    let draft = Draft {
        login: Login::read("ada").unwrap(),
        profile: Profile { name: "Ada Lovelace".to_owned(), ..Profile::default() },
        password: Some(NewPassword::Plain(SecretText::new(PASSWORD.to_owned()))),
        roles: vec!["member".to_owned()],
        groups: vec!["Berlin office".to_owned()],
    };
    Directory::new(store, clock, entropy, config).add(draft).await.unwrap();
}

async fn login(visitor: &Visitor, user: &str, password: &str) -> Answer {
    let call = visitor.post(LOGIN).header("username-4D", user);
    call.header("password-4D", password).send().await
}

async fn user(visitor: &Visitor) -> Value {
    visitor.get(USER).send().await.json()["result"]["userName"].clone()
}

/// The `Set-Cookie` of an answer for this cookie.
fn set(answer: &Answer, name: &str) -> Option<String> {
    let mut given = answer.headers.get_all("set-cookie").iter();
    given.find_map(|it| it.to_str().unwrap().strip_prefix(&format!("{name}=")).map(str::to_owned))
}

#[tokio::test]
async fn a_login_gives_one_fresh_credential_under_both_names() {
    let house = called().await;
    let ada = house.visitor();
    ada.write("a", "1").await;
    let before = ada.cookie().unwrap();
    let thief = house.visitor();
    thief.plant(&before);
    let own = thief.id().await;
    let answer = login(&ada, "ada", PASSWORD).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "result": true })));
    let (session, rest) = (set(&answer, house.cookie_name()), set(&answer, WASID));
    assert!(session.is_some() && session == rest, "value and attributes are the same");
    assert_eq!(answer.header("cache-control"), "no-store");
    // Whoever had the session before does not share it.
    assert_eq!(user(&ada).await, "ada");
    assert_eq!(user(&thief).await, Value::Null);
    assert_ne!(thief.id().await, own);
}

#[tokio::test]
async fn either_cookie_opens_the_session_below_rest_and_only_the_session_cookie_elsewhere() {
    let house = called().await;
    let ada = house.visitor();
    login(&ada, "ada", PASSWORD).await;
    let credential = ada.find_cookie(WASID).unwrap();
    let (by_rest, by_session) = (house.visitor(), house.visitor());
    by_rest.plant_as(WASID, &credential);
    by_session.plant(&credential);
    assert_eq!(user(&by_rest).await, "ada");
    assert_eq!(user(&by_session).await, "ada");
    assert_eq!(by_session.find_cookie(WASID), None);
    let outside = house.visitor();
    outside.plant_as(WASID, &credential);
    assert_eq!(outside.session().await["guest"], true, "on a row it is no session cookie");
    // Of two sessions that of the session cookie counts.
    let guest = house.visitor();
    let own = guest.write("a", "1").await;
    guest.plant_as(WASID, &credential);
    assert_eq!(user(&guest).await, Value::Null);
    assert_eq!(guest.id().await, own);
    // A client that has nothing but this cookie is given each fresh credential in it, and signs out.
    let answer = login(&by_rest, "ada", PASSWORD).await;
    assert_eq!(set(&answer, WASID), set(&answer, house.cookie_name()));
    assert_ne!(by_rest.find_cookie(WASID).unwrap(), credential);
    let only = house.visitor();
    only.plant_as(WASID, &by_rest.find_cookie(WASID).unwrap());
    let answer = only.get("/rest/$directory/logout").send().await;
    assert_eq!(answer.json(), json!({ "result": true }));
    assert_eq!((user(&only).await, user(&by_rest).await), (Value::Null, Value::Null));
}

#[tokio::test]
async fn a_page_of_another_site_signs_nobody_in_or_out() {
    let house = called().await;
    let (guest, ada) = (house.visitor(), house.visitor());
    login(&ada, "ada", PASSWORD).await;
    for (field, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://elsewhere.example"),
        ("origin", "null"),
    ] {
        let call = guest.post(LOGIN).header("username-4D", "ada").header(field, value);
        let refused = call.header("password-4D", PASSWORD).send().await;
        assert_eq!(refused.status, 403, "{field}: {value}");
        let logout = ada.get("/rest/$directory/logout").header(field, value).send().await;
        assert_eq!(logout.status, 403, "{field}: {value}");
    }
    assert_eq!((user(&guest).await, user(&ada).await), (Value::Null, json!("ada")));
}

#[tokio::test]
async fn a_locked_login_answers_as_a_wrong_password_does_and_opens_again() {
    let mut settings = settings();
    (settings.accounts.attempts, settings.accounts.lock_minutes) = (3, 15);
    let house = under(settings).await;
    let told = |answer: &Answer| {
        let names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        (answer.status, answer.text(), names)
    };
    let mut answers = Vec::new();
    for name in ["ada", "ada", "ada", "nobody"] {
        answers.push(told(&login(&house.visitor(), name, "wrong").await));
    }
    let locked = login(&house.visitor(), "ada", PASSWORD).await;
    assert_eq!((locked.status, locked.json()), (401, json!({ "result": false })));
    answers.push(told(&locked));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(set(&locked, WASID), None);
    house.wait_secs(15 * 60 + 1);
    assert_eq!(login(&house.visitor(), "ada", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn under_force_login_a_login_is_open_to_guests_and_the_rest_of_the_directory_is_not() {
    let house =
        with_roles(r#"{ "forceLogin": true, "privileges": [{ "privilege": "member" }] }"#).await;
    let ada = house.visitor();
    for target in [USER, "/rest/$directory/logout", "/rest/$info"] {
        assert_eq!(ada.get(target).send().await.status, 401, "{target}");
    }
    let belongs = ada.post("/rest/$directory/currentUserBelongsTo").body(r#"["Berlin office"]"#);
    assert_eq!(belongs.send().await.status, 401);
    assert_eq!(login(&ada, "ada", "wrong").await.json(), json!({ "result": false }));
    assert_eq!(login(&ada, "ada", PASSWORD).await.json(), json!({ "result": true }));
    assert_eq!(user(&ada).await, "ada");
    assert_eq!(ada.session().await["privileges"], json!(["member"]));
}

#[tokio::test]
async fn a_digest_enters_where_the_settings_accept_it() {
    let mut settings = settings();
    settings.accounts.client_digest = true;
    let house = under(settings).await;
    let digest = client_digest(&SecretText::new(PASSWORD.to_owned()));
    for (digest, status) in [
        (digest.expose().to_owned(), 200),
        (digest.expose().to_uppercase(), 200),
        (PASSWORD.to_owned(), 401),
    ] {
        let call = house.visitor().post(LOGIN).header("username-4D", "ada");
        let answer = call.header("hashed-password-4D", &digest).send().await;
        assert_eq!(answer.json(), json!({ "result": status == 200 }), "{digest}");
        assert_eq!(answer.status, status, "{digest}");
    }
}

async fn check(
    calls: Arc<AtomicUsize>,
    request: IncomingMessage,
    session: Session,
) -> Result<Value, HandlerError> {
    calls.fetch_add(1, Ordering::Relaxed);
    let [user, password, hashed, address] = request.arguments() else { unreachable!() };
    assert!(hashed.is_boolean() && address.is_string());
    session.set("tried", user)?;
    if user == "boss" {
        session.set_privileges(Privileges {
            user_name: Some("Boss".to_owned()),
            ..Privileges::from("till")
        })?;
    }
    let is_right = password == "right" && *hashed == json!(false);
    Ok(if is_right { json!(1) } else { json!("") })
}

#[tokio::test]
async fn a_class_of_the_application_checks_in_place_of_the_accounts() {
    let calls = Arc::new(AtomicUsize::new(0));
    let class =
        Singleton::shared("OnRestAuthentication", Arc::clone(&calls)).method("authenticate", check);
    let add = |builder: callgate::GateBuilder| builder.singleton(class);
    let house = House::with_classes(fresh().await, (settings(), probe::TABLE), add).await;
    let mut config = settings().accounts;
    (config.memory_kib, config.passes) = (64, 1);
    add_ada(&house, config).await;
    let client = house.visitor();
    // The accounts are not asked, and what a refused sign-in has set is not kept.
    for (name, password) in [("ada", PASSWORD), ("boss", "wrong")] {
        let refused = login(&client, name, password).await;
        assert_eq!((refused.status, refused.json()), (401, json!({ "result": false })));
        let session = client.session().await;
        assert_eq!((&session["guest"], &session["privileges"]), (&json!(true), &json!([])));
    }
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    // What it sets is kept beside the name of the user, or in place of it.
    assert_eq!(login(&client, "boss", "right").await.status, 200);
    assert_eq!(calls.load(Ordering::Relaxed), 3, "once for each login");
    assert_eq!(user(&client).await, "Boss");
    assert_eq!(client.session().await["privileges"], json!(["till"]));
    let before = client.find_cookie(WASID).unwrap();
    client.write("of", "boss").await;
    assert_eq!(login(&client, "ada", "wrong").await.status, 401);
    assert_eq!(user(&client).await, "Boss", "a refusal leaves the session as it was");
    // Another user gets none of it.
    assert_eq!(login(&client, "ada", "right").await.status, 200);
    assert_ne!(client.find_cookie(WASID).unwrap(), before);
    assert_eq!(user(&client).await, "ada");
    assert_eq!(client.session().await["privileges"], json!([]));
    assert_eq!(client.get("/read?key=of").send().await.json()["result"], Value::Null);
    assert_eq!(client.get("/read?key=tried").send().await.json()["result"], "ada");
    // No client calls it by its name.
    for call in
        ["/rest/$singleton/OnRestAuthentication/authenticate", "/rest/$catalog/authenticate"]
    {
        let answer = client.post(call).body(r#"["boss", "right", false, ""]"#).send().await;
        assert_eq!(answer.status, 404, "{call}");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn a_class_without_the_function_lets_nobody_in() {
    let class = Singleton::new("OnRestAuthentication", ());
    let add = |builder: callgate::GateBuilder| builder.singleton(class);
    let house = House::with_classes(fresh().await, (settings(), probe::TABLE), add).await;
    let mut config = settings().accounts;
    (config.memory_kib, config.passes) = (64, 1);
    add_ada(&house, config).await;
    let client = house.visitor();
    assert_eq!(login(&client, "ada", PASSWORD).await.status, 500);
    assert_eq!(client.session().await["guest"], true);
}

/// A client without a browser: a program that keeps cookies in a file.
#[tokio::test]
async fn curl_signs_in_asks_who_it_is_and_signs_out() {
    if Command::new("curl").arg("--version").output().is_err() {
        return println!("skipped: curl is missing");
    }
    let house = called().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let gate = house.gate;
    let serving =
        tokio::spawn(async move { gate.serve(listener, async { drop(stopped.await) }).await });
    let run = move || {
        let folder = tempfile::tempdir().unwrap();
        let curl = |more: &[&str], path: &str| {
            let mut command = Command::new("curl");
            command.current_dir(folder.path()).args(["-s", "-b", "jar", "-c", "jar"]);
            let out = program::output(command.args(more).arg(format!("{origin}{path}"))).stdout;
            String::from_utf8(out).unwrap()
        };
        let ada = |password: &str| {
            let password = format!("password-4D: {password}");
            curl(&["-X", "POST", "-H", "username-4D: ada", "-H", &password], LOGIN)
        };
        let belongs = "/rest/$directory/currentUserBelongsTo";
        let said = [
            curl(&[], USER),
            ada("wrong"),
            ada(PASSWORD),
            curl(&["-d", r#"["Berlin office"]"#], belongs),
            curl(&[], "/rest/$directory/logout"),
            curl(&[], USER),
        ];
        let jar = std::fs::read_to_string(folder.path().join("jar")).unwrap();
        (said, jar.contains(WASID))
    };
    let (said, has_cookie) = tokio::task::spawn_blocking(run).await.unwrap();
    let expected = ["null", "false", "true", "true", "true", "null"];
    assert_eq!(said, expected.map(|it| format!("{{\"result\":{it}}}")));
    assert!(has_cookie, "it was given {WASID}");
    let _ = stop.send(());
    serving.await.unwrap();
}
