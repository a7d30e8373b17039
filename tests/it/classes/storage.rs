//! What `session.storage` and `session.update` keep, and when.

use callgate::store::faulty::Lose;
use callgate::store::faulty::When;
use callgate::store::port::OperationKind;
use serde_json::json;

use crate::classes::Stage;

#[tokio::test]
async fn storage_is_an_object_that_loses_nothing() {
    let stage = Stage::of("Storage").await;
    for function in [
        "isAnObjectLikeAnyOther",
        "hasNoKeysOfItsOwn",
        "staysWhatItIs",
        "losesNothingInSilence",
        "refusesWhatDoesNotFit",
        "showsWhatUpdateWrote",
    ] {
        stage.holds(function).await;
    }
}

#[tokio::test]
async fn what_changes_inside_of_a_value_is_kept() {
    let stage = Stage::of("Storage").await;
    let visitor = stage.visitor();
    assert_eq!(visitor.get("assign?plain=x").await.status, 200);
    assert_eq!(visitor.get("reach").await.status, 200);
    let read = visitor.get("read").await.json();
    let expected = json!({
        "cart": { "items": ["A", "b"] },
        "when": "1970-01-01T00:00:00.000Z",
        "plain": "x",
    });
    assert_eq!(read["result"], expected);
    assert_eq!(visitor.get("reachAroundAMint").await.status, 200);
    let items = visitor.get("read").await.json()["result"]["cart"]["items"].clone();
    assert_eq!(items, json!(["A", "b", "before", "after"]));
}

#[tokio::test]
async fn a_request_that_fails_changes_nothing() {
    let stage = Stage::of("Storage").await;
    let visitor = stage.visitor();
    visitor.get("assign?plain=x").await;
    assert_eq!(visitor.get("reachAndThrow").await.status, 500);
    let spoilt = visitor.get("spoil").await;
    assert_eq!(spoilt.status, 500);
    assert!(spoilt.text().contains("session.storage.cart"), "{}", spoilt.text());
    let read = visitor.get("read").await.json()["result"].clone();
    assert_eq!((&read["cart"]["items"], &read["lost"]), (&json!(["a"]), &json!(null)));
}

#[tokio::test]
async fn what_is_only_read_is_not_written_back() {
    let stage = Stage::of("Storage").await;
    let visitor = stage.visitor();
    visitor.get("assign?plain=x").await;
    stage.store.lose(OperationKind::Patch, Lose::Request, When::Every(1));
    assert_eq!(visitor.get("read").await.status, 200, "reading needs no write");
    assert_eq!(visitor.get("reach").await.status, 503, "and this test could see one");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_updates_of_one_key_are_all_counted() {
    let text = r#"
export default class Counter {
  add(_, session) { return session.update("n", (n = 0) => n + 1); }
  read(_, session) { return session.storage.n; }
}"#;
    let stage = Stage::with(crate::classes::environment(), "Counter", text).await;
    let visitor = stage.visitor();
    visitor.get("add").await;
    let mut adding = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let client = visitor.client.clone();
        adding.spawn(async move { client.get("/Counter/add").send().await.status });
    }
    assert_eq!(adding.join_all().await, [200; 40]);
    assert_eq!(visitor.get("read").await.json()["result"], json!(41));
}
