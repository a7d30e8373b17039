//! The basics of the web, timers, and what a class can not reach.

use callgate::backend::Budgets;
use serde_json::json;

use crate::classes::Stage;
use crate::classes::environment;

#[tokio::test]
async fn a_class_finds_the_basics_of_the_web() {
    let stage = Stage::of("Web").await;
    for function in [
        "encodesText",
        "readsUrls",
        "readsQueries",
        "digestsAndSigns",
        "isRandom",
        "clones",
        "tells",
        "waitsForSoManyThingsAtOnce",
        "givesUp",
    ] {
        stage.holds(function).await;
    }
}

#[tokio::test]
async fn a_class_finds_nothing_else() {
    let stage = Stage::of("Web").await;
    stage.holds("hasNothingElse").await;
    stage.holds("cannotImportWhatIsOurs").await;
}

#[tokio::test]
async fn a_timer_ends_with_its_request() {
    let text = r"
export default class Late {
  fired = 0;
  begin() {
    setTimeout(() => (this.fired += 1), 1);
    setInterval(() => (this.fired += 1), 1);
    return this.fired;
  }
  async look() {
    await new Promise((done) => setTimeout(done, 30));
    return this.fired;
  }
}";
    let stage = Stage::with(environment(), "Late", text).await;
    assert_eq!(stage.visitor().get("begin").await.json(), json!({ "result": 0 }));
    assert_eq!(stage.visitor().get("look").await.json(), json!({ "result": 0 }));
}

#[tokio::test]
async fn requests_of_one_class_share_this_and_wait_for_one_another() {
    let text = r#"
export default class Meeting {
  #arrived = Promise.withResolvers();
  #heard = Promise.withResolvers();
  async wait(request, session) {
    session.storage.who = "waiter";
    this.#arrived.resolve();
    const word = await this.#heard.promise;
    await new Promise((done) => setTimeout(done, 5));
    session.storage.word = word;
    return [session.storage.who, word];
  }
  async speak(request, session) {
    await this.#arrived.promise;
    session.storage.who = "speaker";
    this.#heard.resolve("hello");
    return session.storage.who;
  }
}"#;
    let stage = Stage::with(environment(), "Meeting", text).await;
    let (listener, speaker) = (stage.visitor(), stage.visitor());
    let (heard, spoke) = tokio::join!(listener.get("wait"), speaker.get("speak"));
    assert_eq!(heard.json(), json!({ "result": ["waiter", "hello"] }));
    assert_eq!(spoke.json(), json!({ "result": "speaker" }));
}

#[tokio::test]
async fn what_belongs_to_a_request_ends_with_it() {
    let text = r"
export default class Keeper {
  keep(request, session) {
    this.kept = [request, session, session.storage, request.verb];
  }
  use() {
    const [request, session, storage] = this.kept;
    const uses = [
      () => request.getText(), () => request.getHeader('a'), () => session.id, () => session.isGuest(),
      () => storage.a, () => (storage.a = 1), () => Object.keys(storage), () => session.setPrivileges('a'),
    ];
    return uses.map((use) => { try { return use(); } catch (error) { return error.message; } });
  }
  async useLater() {
    const session = this.kept[1];
    const uses = [session.createOTP(), session.logout(), session.update('a', () => 1), session.restore('x')];
    const ends = await Promise.allSettled(uses);
    return ends.map(({ reason }) => reason?.message);
  }
}";
    let stage = Stage::with(environment(), "Keeper", text).await;
    assert_eq!(stage.visitor().get("keep").await.status, 200);
    let ended = "the request has ended";
    assert_eq!(stage.visitor().get("use").await.json()["result"], json!(vec![ended; 8]));
    assert_eq!(stage.visitor().get("useLater").await.json()["result"], json!(vec![ended; 4]));
}

#[tokio::test]
async fn a_class_that_is_loaded_has_no_request_yet() {
    let text = r"
const problems = [];
for (const use of [() => setTimeout(() => {}, 1), () => structuredClone({}), () => console.log('loading')]) {
  try { use(); } catch (error) { problems.push(error.message); }
}
export default class Early {
  constructor() { this.fetched = fetch('https://a.example/').catch((error) => error.message); }
  async look() { return [...problems, await this.fetched]; }
}";
    let stage = Stage::with(environment(), "Early", text).await;
    let why = "this works only while a request is handled, not while a class is loaded";
    assert_eq!(stage.visitor().get("look").await.json()["result"], json!([why, why]));
}

#[tokio::test]
async fn an_answer_beyond_its_limit_is_refused() {
    let limits = Budgets { output_bytes: 1_000, ..Budgets::default() };
    let environment = callgate::backend::script::Environment { limits, ..environment() };
    let text = r#"
import { OutgoingMessage } from "callgate";
export default class Large {
  text({ urlQuery }) { return new OutgoingMessage().setBody("x".repeat(Number(urlQuery.n))); }
  bytes({ urlQuery }) { return new OutgoingMessage().setBody(new Uint8Array(Number(urlQuery.n))); }
  value({ urlQuery }) { return "x".repeat(Number(urlQuery.n) - 13); }
}"#;
    let stage = Stage::with(environment, "Large", text).await;
    for function in ["text", "bytes", "value"] {
        let status =
            async |n: usize| stage.visitor().get(&format!("{function}?n={n}")).await.status;
        assert_eq!((status(1_000).await, status(1_001).await), (200, 500), "{function}");
    }
}
