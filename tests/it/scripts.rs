//! Class files as rows call them: what they answer, and how one call ends without another.

use callgate::backend::script::Limits;
use serde_json::json;

use crate::support::scripts::Scripts;

#[tokio::test]
async fn a_class_answers_a_row() {
    let text = r#"
        import { OutgoingMessage } from "callgate";
        import { greeting } from "./lib/words.js";
        export default class Mail {
            seen = 0;
            async greet(request, session) {
                this.seen += 1;
                return new OutgoingMessage().setBody(`${greeting} ${request.verb}`).setStatus(201);
            }
            count() { return this.seen; }
            async mint(request, session) { return (await session.createOTP()).length; }
            later() { return new Promise((done) => setTimeout(() => done("later"), 1)); }
            nothing() {}
        }"#;
    let words = "export const greeting = 'hello';";
    let targets = ["Mail.greet", "Mail.count", "Mail.mint", "Mail.later", "Mail.nothing"];
    let scripts = Scripts::open(&[("Mail.js", text), ("lib/words.js", words)], &targets).await;

    let greeting = scripts.ask("Mail.greet").await;
    assert_eq!((greeting.status, &*greeting.text()), (201, "hello GET"));
    assert_eq!(scripts.ask("Mail.count").await.json(), json!({"result": 1}));
    assert_eq!(scripts.ask("Mail.mint").await.json(), json!({"result": 32}));
    assert_eq!(scripts.ask("Mail.later").await.json(), json!({"result": "later"}));
    let nothing = scripts.ask("Mail.nothing").await;
    assert_eq!((nothing.status, nothing.body.len()), (200, 0));
}

#[tokio::test]
async fn a_call_that_spins_ends_alone() {
    let text = r"
        export default class Spinner {
            spin() { for (;;); }
            async jobs() { for (;;) await null; }
            fine() { return 1; }
        }";
    let limits = Limits { cpu: std::time::Duration::from_millis(50), ..Limits::default() };
    let targets = ["Spinner.spin", "Spinner.jobs", "Spinner.fine"];
    let scripts = Scripts::within(limits, &[("Spinner.js", text)], &targets).await;
    assert_eq!(scripts.ask("Spinner.spin").await.status, 500);
    assert_eq!(scripts.ask("Spinner.jobs").await.status, 500);
    assert_eq!(scripts.ask("Spinner.fine").await.json(), json!({"result": 1}));
}
