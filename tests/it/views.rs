//! What a handler in a class file sees of what other requests of its session write meanwhile; on
//! every store.

use std::sync::Arc;
use std::time::Duration;

use callgate::Gate;
use callgate::backend::Budgets;
use callgate::backend::script::Environment;
use callgate::base::clock::Clock as _;
use callgate::base::clock::SystemClock;
use callgate::gate::Client;
use callgate::settings::PublicOrigin;
use callgate::store::Store;
use serde_json::json;
use tokio::runtime::Handle;

use super::fresh;
use crate::support::scripts::Scripts;
use crate::support::settings;

/// `write?key=value` writes; the others begin with a view in which nothing is written, wait until
/// `go`, and then look.
const TEXT: &str = r#"
export default class View {
  waiting = [];
  write({ urlQuery }, { storage }) { Object.assign(storage, urlQuery); }
  seed(_, { storage }) { storage.cart = { items: ["a"] }; }
  read(_, { storage }) { return { ...storage }; }
  waits() { return this.waiting.length; }
  go() { this.waiting.splice(0).forEach((done) => done()); }
  pause() { return new Promise((done) => this.waiting.push(done)); }

  /** What `update` shows of a key that the view does not have, and takes away. */
  async takeAway(_, session) {
    const before = session.storage.late;
    await this.pause();
    const saw = [];
    await session.update("late", (late) => void saw.push(late));
    return [before ?? "nothing", saw.at(-1) ?? "nothing", "late" in session.storage];
  }

  async leaveNothing(_, session) {
    await session.update("late", () => undefined);
    return session.isGuest();
  }

  /** What the storage shows once each call of the session was awaited. */
  async look({ urlQuery }, session) {
    const { storage } = session;
    const before = [storage.late, storage.cart];
    const { cart } = storage;
    await this.pause();
    const calls = {
      createOTP: () => session.createOTP(),
      createCallbackURL: () => session.createCallbackURL("/View/read"),
      update: () => session.update("other", () => 1),
      updateToNothing: () => session.update("other", () => undefined),
      restore: () => session.restore("0".repeat(32)),
      reload: () => session.reload(),
    };
    await calls[urlQuery.by]();
    // What nobody has changed is the same object still.
    cart.items.push("mine");
    return [before[0] ?? "nothing", storage.late ?? "nothing", storage.cart === cart];
  }
}
"#;

async fn scripts() -> Scripts {
    scripts_on(fresh().await).await
}

async fn scripts_on(store: Arc<dyn Store>) -> Scripts {
    let settings = callgate::Settings {
        public_origin: Some(PublicOrigin::parse("http://127.0.0.1:8044").unwrap()),
        ..settings()
    };
    let limits = Budgets { wall: Duration::from_secs(30), ..Budgets::default() };
    let environment = Environment { limits, ..Environment::new(Handle::current()) };
    let targets = [
        "View.write",
        "View.seed",
        "View.read",
        "View.waits",
        "View.go",
        "View.takeAway",
        "View.leaveNothing",
        "View.look",
    ];
    let builder = Gate::builder(settings).store(store);
    Scripts::on(builder, &environment, &[("View.js", TEXT)], &targets).await
}

/// What `waiter` answers when `late` is written while it waits.
async fn beside(client: &Client, waiter: &str) -> serde_json::Value {
    let writing = async {
        while client.get("/View/waits").send().await.json() != json!({"result": 1}) {}
        assert_eq!(client.get("/View/write?late=new").send().await.status, 200);
        assert_eq!(client.get("/View/go").send().await.status, 200);
    };
    let (answer, ()) = tokio::join!(client.get(waiter).send(), writing);
    assert_eq!(answer.status, 200, "{waiter}: {}", answer.text());
    answer.json()["result"].clone()
}

#[tokio::test]
async fn update_works_on_what_the_store_has_even_where_the_view_has_nothing() {
    let scripts = scripts().await;
    let client = scripts.gate.client();
    client.get("/View/write?early=1").send().await;
    let told = beside(&client, "/View/takeAway").await;
    assert_eq!(told, json!(["nothing", "new", false]));
    let left = client.get("/View/read").send().await.json();
    assert_eq!(left, json!({"result": {"early": "1"}}), "what was seen was removed");
}

#[tokio::test]
async fn a_guest_who_takes_nothing_away_is_not_kept_for_it() {
    let store = fresh().await;
    let scripts = scripts_on(store.clone()).await;
    let client = scripts.gate.client();
    assert_eq!(client.get("/View/leaveNothing").send().await.json(), json!({"result": true}));
    let kept = store.sessions(SystemClock.now(), None, 10).await.unwrap();
    assert!(kept.is_empty(), "nothing was written: {kept:?}");
}

#[tokio::test]
async fn after_each_awaited_call_the_view_is_the_newest() {
    let calls =
        ["createOTP", "createCallbackURL", "update", "updateToNothing", "restore", "reload"];
    for by in calls {
        let scripts = scripts().await;
        let client = scripts.gate.client();
        client.get("/View/seed").send().await;
        let told = beside(&client, &format!("/View/look?by={by}")).await;
        assert_eq!(told, json!(["nothing", "new", true]), "{by}");
        let stored = client.get("/View/read").send().await.json()["result"].clone();
        assert_eq!(stored["cart"]["items"], json!(["a", "mine"]), "{by}");
    }
}
