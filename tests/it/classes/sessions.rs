//! `session`: privileges, tokens, and errors that keep what they mean.

use callgate::store::faulty::Lose;
use callgate::store::faulty::When;
use callgate::store::port::OperationKind;
use serde_json::Value;
use serde_json::json;

use crate::classes::Stage;
use crate::classes::environment;

#[tokio::test]
async fn every_member_checks_what_it_is_given() {
    let stage = Stage::of("Visit").await;
    for function in ["knowsItself", "hasPrivileges", "mints", "logout"] {
        stage.holds(function).await;
    }
}

#[tokio::test]
async fn restore_moves_a_request_into_the_session_that_minted() {
    let stage = Stage::of("Visit").await;
    let (owner, phone) = (stage.visitor(), stage.visitor());
    let token = owner.get("mint?from=shop").await.text();
    let restore = async |token: &str| -> Value {
        phone.get(&format!("restore?token={token}")).await.json()["result"].clone()
    };
    let expected = json!({
        "restored": true,
        "outcome": "restored",
        "used": "undefined",
        "moved": true,
        "storage": { "from": "shop" },
    });
    assert_eq!(restore(&token).await, expected);
    let again = restore(&token).await;
    let (outcome, used) = (&again["outcome"], &again["used"]);
    assert_eq!(
        (&again["restored"], outcome, used),
        (&json!(false), &json!("used"), &json!("string"))
    );
    assert_eq!(restore("nonsense").await["outcome"], json!("unknown"));
}

#[tokio::test]
async fn what_is_written_after_restore_is_written_to_the_restored_session() {
    let stage = Stage::of("Visit").await;
    let owner = stage.visitor();
    let token = owner.get("mint?from=shop").await.text();
    let answer = stage.visitor().get(&format!("writeAfterRestore?token={token}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let storage = owner.get("read").await.json()["result"]["storage"].clone();
    assert_eq!(storage, json!({ "from": "shop", "answered": "shop" }));
}

#[tokio::test]
async fn a_callback_restores_the_session_before_a_class_runs() {
    let stage = Stage::of("Visit").await;
    let token = stage.visitor().get("mint?from=shop").await.text();
    let answer = stage.visitor().get(&format!("read?$4DSID={token}")).await;
    assert_eq!(answer.json()["result"]["storage"], json!({ "from": "shop" }));
}

#[tokio::test]
async fn privileges_and_devices_are_the_sessions() {
    let stage = Stage::of("Visit").await;
    let visitor = stage.visitor();
    assert_eq!(visitor.get("login").await.status, 200);
    assert_eq!(visitor.get("read").await.json()["result"]["user"], json!("ann"));
    let devices = visitor.get("devices").await.json()["result"].clone();
    assert_eq!((devices.as_array().unwrap().len(), &devices[0]["current"]), (1, &json!(true)));
}

#[tokio::test]
async fn a_store_that_fails_under_a_class_is_no_failure_of_the_class() {
    let text = r#"
export default class Careless {
  async mint(_, session) { return await session.createOTP(); }
  update(_, session) { return session.update("n", () => 1); }
  write(_, session) { session.storage.a = 1; }
  restore(_, session) { return session.restore("2E5D0D57751D471DB29FD110D2DCE253"); }
  logout(_, session) { return session.logout(); }
  async careful(_, session) {
    try {
      await session.createOTP();
    } catch (error) {
      return [error instanceof Error, error.name, error.code];
    }
  }
  async careless(_, session) {
    try {
      await session.createOTP();
    } catch {
      throw new Error("my own words");
    }
  }
}"#;
    let stage = Stage::with(environment(), "Careless", text).await;
    for verb in [
        OperationKind::Create,
        OperationKind::Patch,
        OperationKind::Mint,
        OperationKind::Redeem,
        OperationKind::End,
    ] {
        stage.store.lose(verb, Lose::Request, When::Every(1));
    }
    for function in ["mint", "update", "write", "restore", "logout"] {
        let answer = stage.visitor().get(function).await;
        assert_eq!(answer.status, 503, "{function}: {}", answer.text());
        assert_eq!(answer.header("retry-after"), "2");
    }
    let careful = stage.visitor().get("careful").await.json();
    assert_eq!(careful["result"], json!([true, "SessionError", "storeUnavailable"]));
    let careless = stage.visitor().get("careless").await;
    assert_eq!(careless.status, 500);
    assert!(
        careless.text().contains("my own words (classes/Careless.js:19:"),
        "{}",
        careless.text()
    );
}

#[tokio::test]
async fn the_class_of_the_contract_answers_as_it_says() {
    let text = r#"
import { OutgoingMessage } from "callgate";

export default class RequestHandler {
  async validateEmail(request, session) {
    if (session.storage.status?.step !== "Waiting for validation email") return new OutgoingMessage().setStatus(403).setBody("Invalid token");
    session.storage.status = { ...session.storage.status, step: "Email validated" };
    return new OutgoingMessage().setBody(`Congratulations, ${session.storage.status.email}`).setHeader("Content-Type", "text/html");
  }
  async start(request, session) {
    session.storage.status = { step: "Waiting for validation email", email: request.urlQuery.email };
    return session.createCallbackURL("/RequestHandler/validateEmail");
  }
}"#;
    let stage = Stage::with(environment(), "RequestHandler", text).await;
    let started = stage.visitor().get("start?email=ann@shop.example").await.json();
    let link = started["result"].as_str().unwrap().strip_prefix("http://127.0.0.1:8044").unwrap();
    let stranger = stage.visitor();
    let answer = stranger.client.get(link).as_browser().send().await;
    assert_eq!((answer.status, &*answer.text()), (200, "Congratulations, ann@shop.example"));
    assert_eq!(answer.header("content-type"), "text/html");
    let again = stage.visitor().client.get(link).as_browser().send().await;
    assert_eq!((again.status, &*again.text()), (403, "Invalid token"));
}
