//! Every verb of a store loses its request or its reply, under every kind of request
//! (docs/SECURITY.md G03, G42): the answer is the right one or 503, nobody becomes a guest, and
//! nothing is granted twice.

use callgate::gate::Answer;
use callgate::store::faulty::Lose;
use callgate::store::faulty::When;
use callgate::store::port::OperationKind;
use serde_json::json;

use crate::support::House;
use crate::support::house;
use crate::support::outcome;
use crate::support::visitor::Visitor;
use crate::support::visitor::with_token;

/// The verbs that requests use; the others are the operator's and the sweep's.
const VERBS: [OperationKind; 8] = [
    OperationKind::Resume,
    OperationKind::Create,
    OperationKind::Patch,
    OperationKind::Mint,
    OperationKind::Redeem,
    OperationKind::Detach,
    OperationKind::End,
    OperationKind::Look,
];

/// What is asked for.
const TARGETS: [&str; 8] = [
    "/whoami",
    "/write?key=k&value=v",
    "/add?key=n",
    "/mint",
    "/login?privileges=admin&user=ann",
    "/logout",
    "/endDevice?id=",
    "/restore?token=",
];

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Stranger,
    Member,
}

/// One request under one loss.
#[derive(Debug, Clone, Copy)]
struct Case {
    verb: OperationKind,
    lose: Lose,
    when: When,
    who: Who,
    target: &'static str,
    /// Whether the request carries a token under the reserved key.
    carries: bool,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for verb in VERBS {
        for lose in [Lose::Request, Lose::Reply] {
            for when in [When::Next(1), When::Every(1)] {
                for who in [Who::Stranger, Who::Member] {
                    for target in TARGETS {
                        for carries in [false, true] {
                            cases.push(Case { verb, lose, when, who, target, carries });
                        }
                    }
                }
            }
        }
    }
    cases
}

/// A house with a session that minted a token, and somebody who asks.
struct Scene {
    house: House,
    token: String,
    /// The session that minted.
    original: String,
    asker: Visitor,
    /// The session of the one who asks, if there is one.
    own: Option<String>,
    /// What is asked for, in full.
    target: String,
}

impl Scene {
    async fn set(case: Case) -> Self {
        let house = house().await;
        let (shopper, asker) = (house.visitor(), house.visitor());
        let original = shopper.write("a", "1").await;
        let token = shopper.mint("").await;
        let devices = shopper.get("/devices").send().await.json();
        let device = devices["result"][0]["id"].as_str().unwrap().to_owned();
        let own = match case.who {
            Who::Stranger => None,
            Who::Member => Some(asker.write("a", "1").await),
        };
        let target = match case.target {
            "/endDevice?id=" => format!("/endDevice?id={device}"),
            "/restore?token=" => format!("/restore?token={token}"),
            target => target.to_owned(),
        };
        let target = if case.carries { with_token(&target, &token) } else { target };
        Self { house, token, original, asker, own, target }
    }

    /// Asks, with the loss; whether it was met.
    async fn ask(&self, case: Case) -> (Answer, bool) {
        self.house.store.lose(case.verb, case.lose, case.when);
        let mut ask = self.asker.get(&self.target).as_browser();
        if !case.carries {
            // What a handler reads by hand is a token to nobody before the handler runs.
            ask = ask.no_token_here();
        }
        let answer = ask.send().await;
        self.house.store.heal();
        (answer, self.house.store.losses() > 0)
    }

    /// What becomes of the token when somebody else brings it now.
    async fn later(&self) -> String {
        outcome(&self.house.visitor().follow("/whoami", &self.token).await).to_owned()
    }
}

/// Whether the request tried to redeem the token.
fn brings(case: Case) -> bool {
    case.carries || case.target == "/restore?token="
}

fn check_outage(case: Case, scene: &Scene, answer: &Answer, cookie: Option<&str>) {
    assert_eq!(answer.status, 503, "{case:?}: {}", answer.text());
    assert_eq!(answer.header("retry-after"), "2", "{case:?}");
    // Whoever came into the session by a token that is spent keeps that much.
    let entered =
        case.carries && case.verb != OperationKind::Redeem && case.verb != OperationKind::Resume;
    if !entered && case.target != "/restore?token=" {
        assert!(answer.headers.get("set-cookie").is_none(), "{case:?}");
        assert_eq!(scene.asker.cookie().as_deref(), cookie, "{case:?}");
    }
    let text = answer.text();
    assert!(!text.contains(&scene.original) && !text.contains("guest"), "{case:?}: {text}");
}

#[tokio::test]
async fn a_loss_is_the_right_answer_or_a_503_and_never_a_guest() {
    let (mut met, mut outages) = (0, 0);
    for case in cases() {
        let scene = Scene::set(case).await;
        let (cookie, runs) = (scene.asker.cookie(), scene.house.probe.runs());
        let (answer, lost) = scene.ask(case).await;
        met += usize::from(lost);
        // A redemption is asked again under the same claim, which is as good as no loss.
        let mended = case.verb == OperationKind::Redeem && case.when == When::Next(1);
        if lost && !mended {
            outages += 1;
            check_outage(case, &scene, &answer, cookie.as_deref());
            assert_eq!(scene.house.probe.runs(), runs, "{case:?}: the handler ran");
        } else {
            assert_eq!(answer.status, 200, "{case:?}: {}", answer.text());
            let id = &answer.json()["id"];
            if case.target == "/whoami" && case.carries {
                assert_eq!(id, &json!(scene.original), "{case:?}");
            } else if let (Some(own), "/whoami") = (&scene.own, case.target) {
                assert_eq!(id, &json!(own), "{case:?}");
            }
        }
        let later = scene.later().await;
        match (brings(case), case.verb, case.lose) {
            (true, OperationKind::Redeem, Lose::Request) if !mended => {
                assert_eq!(later, "restored");
            }
            (true, OperationKind::Resume, _) if answer.status == 503 => {
                assert_eq!(later, "restored");
            }
            (true, ..) => assert_ne!(later, "restored", "{case:?}: granted twice"),
            (false, ..) => assert_eq!(later, "restored", "{case:?}: spent by nobody"),
        }
    }
    assert!(met > 150 && outages > 100, "{met} losses were met, {outages} of them outages");
}

#[tokio::test]
async fn after_an_outage_everything_goes_on_where_it_was() {
    for case in cases().into_iter().filter(|case| !brings(*case)) {
        let scene = Scene::set(case).await;
        let (answer, _) = scene.ask(case).await;
        let session = scene.asker.session().await;
        let left = case.target == "/logout" && (answer.status == 200 || case.lose == Lose::Reply);
        // Who signed in and never got the response holds a credential that was replaced. No response
        // replaces the newer one, until it must have arrived if it ever does.
        let unheard = case.target.starts_with("/login") && answer.status == 503;
        match &scene.own {
            // Nothing was lost to him, and he is still who he was.
            Some(own) if !left => {
                assert!(unheard || session["id"] == json!(own), "{case:?}: {session}");
            }
            _ => assert!(session["id"].is_string()),
        }
        if unheard {
            scene.house.wait_secs(121);
        }
        let written = scene.asker.write("late", "1").await;
        let token = scene.asker.mint("").await;
        let back = scene.house.visitor().follow("/whoami", &token).await;
        assert_eq!((outcome(&back), &back.json()["id"]), ("restored", &json!(written)), "{case:?}");
    }
}

/// What a request was told has happened, and what it was told has not.
#[tokio::test]
async fn a_lost_request_changes_nothing_and_a_lost_reply_changes_it_once() {
    for (lose, after) in [(Lose::Request, 1), (Lose::Reply, 2)] {
        let house = house().await;
        let member = house.visitor();
        assert_eq!(member.get("/add?key=n").send().await.json()["result"], json!(1));
        house.store.lose(OperationKind::Patch, lose, When::Next(1));
        assert_eq!(member.get("/add?key=n").send().await.status, 503);
        let read = member.get("/read?key=n").send().await.json();
        assert_eq!(read["result"], json!(after), "{lose:?}");
    }
}
