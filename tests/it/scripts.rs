//! Class files as rows call them: what they answer, and how one call ends without another.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use callgate::Gate;
use callgate::Settings;
use callgate::backend::Budgets;
use callgate::backend::script::ClassProblem;
use callgate::backend::script::Environment;
use callgate::http::Handlers as _;
use callgate::http::Missing;
use serde_json::Value;
use serde_json::json;
use tokio::runtime::Handle;

use crate::support::log::Log;
use crate::support::scripts::Scripts;
use crate::support::scripts::load;
use crate::support::scripts::load_after;
use crate::support::settings;

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
    let (log, _capture) = Log::capture();
    let text = r"
        export default class Spinner {
            spin() { for (;;); }
            async jobs() { for (;;) await null; }
            fine() { return 1; }
        }";
    let limits = Budgets { cpu: Duration::from_millis(50), ..Budgets::default() };
    let targets = ["Spinner.spin", "Spinner.jobs", "Spinner.fine"];
    let scripts = Scripts::within(limits, &[("Spinner.js", text)], &targets).await;
    assert_eq!(scripts.ask("Spinner.spin").await.status, 500);
    assert_eq!(scripts.ask("Spinner.jobs").await.status, 500);
    assert_eq!(scripts.ask("Spinner.fine").await.json(), json!({"result": 1}));
    log.has(&["script.stopped"]);
}

/// Whatever a call is in: a search in C, what is left in the queue of jobs, or the host.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_on_its_budget_whatever_it_is_in() {
    let text = r#"
        const text = "a".repeat(1 << 20), part = `${"a".repeat(1 << 19)}b`;
        const marks = "a" + "\u0301\u0316".repeat(1 << 18);
        const map = Object.fromEntries(Array.from({ length: 1 << 14 }, (_, at) => [`k${at}`, at]));
        export default class Busy {
            kept = 0;
            search() { return text.includes(part); }
            borrowed() { return Reflect.apply("".lastIndexOf, text, [part]); }
            normal() { return marks.normalize("NFKC").localeCompare(marks); }
            holes() { return new Array(2 ** 32 - 1).join(""); }
            endless() { return Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1); }
            bytes() { for (;;) new Uint8Array(1 << 22).fill(7).toSorted(); }
            digits() { return BigInt("7".repeat(300_000)) ** 3n; }
            operators() { for (;;) ({ ...map }); }
            equal() { for (;;) if (`${text}x` === `${text}y`) return; }
            pattern() { return /(a+)*b/.test(text); }
            shared() {
                let all = [1];
                for (let depth = 0; depth < 60; depth += 1) all = [all, all];
                return JSON.stringify(all);
            }
            digests() { for (;;) crypto.subtle.digest("SHA-512", new Uint8Array(1 << 20)); }
            compiles() { return new Function(`let ${Array.from({ length: 40_000 }, (_, at) => `a${at}`)};`); }
            fine() { return (this.kept += 1); }
        }"#;
    let functions = [
        "search",
        "borrowed",
        "normal",
        "holes",
        "endless",
        "bytes",
        "digits",
        "operators",
        "equal",
        "pattern",
        "shared",
        "digests",
        "compiles",
    ];
    let mut targets: Vec<String> = functions.iter().map(|name| format!("Busy.{name}")).collect();
    targets.push("Busy.fine".to_owned());
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let cpu = Duration::from_millis(30);
    let limits = Budgets { cpu, wall: Duration::from_secs(30), ..Budgets::default() };
    let scripts = Scripts::within(limits, &[("Busy.js", text)], &targets).await;
    for (kept, function) in (1..).zip(functions) {
        let answer = scripts.ask(&format!("Busy.{function}")).await;
        // Neither the time of the request nor the memory of the class ended it.
        assert_eq!(answer.status, 500, "{function}: {}", answer.text());
        assert_eq!(scripts.ask("Busy.fine").await.json(), json!({"result": kept}), "{function}");
    }
}

/// One search in C, which would take minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_built_in_is_broken_off_when_nobody_waits_for_it_any_more() {
    let text = r#"
        const text = "a".repeat(1 << 20), part = `${"a".repeat(1 << 19)}b`;
        export default class Slow {
            kept = 0;
            search() { return text.includes(part); }
            fine() { return (this.kept += 1); }
        }"#;
    let limits = Budgets { cpu: Duration::from_hours(1), ..Budgets::default() };
    let targets = ["Slow.search within 100", "Slow.fine within 20000"];
    let scripts = Scripts::within(limits, &[("Slow.js", text)], &targets).await;
    for kept in 1..=2 {
        assert_eq!(scripts.ask("Slow.search").await.status, 500);
        assert_eq!(scripts.ask("Slow.fine").await.json(), json!({"result": kept}));
    }
}

/// Two calls that never leave the queue of jobs, and others of the class that wait for something.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fills_the_queue_of_jobs_ends_alone() {
    let text = r"
        export default class Queue {
            kept = 0;
            waiting = [];
            async starve() { for (;;) await 0; }
            async starveByThen() { const again = () => Promise.resolve().then(again); await again(); }
            async starveInside() {
                const endless = async () => { for (;;) await null; };
                for (;;) try { await Promise.all([endless(), endless(), endless()]); } catch {}
            }
            async starveInGenerator() {
                async function* endless() { for (;;) yield await 1; }
                for await (const one of endless());
            }
            async wait() {
                await new Promise((done) => this.waiting.push(done));
                return (this.kept += 1);
            }
            async sleep() {
                await new Promise((done) => setTimeout(done, 50));
                return (this.kept += 1);
            }
            waits() { return this.waiting.length; }
            go() { this.waiting.splice(0).forEach((done) => done()); }
        }";
    let functions = ["starve", "starveByThen", "starveInside", "starveInGenerator"];
    let others = ["wait", "sleep", "waits", "go"];
    let targets: Vec<String> =
        functions.iter().chain(&others).map(|name| format!("Queue.{name}")).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let cpu = Duration::from_millis(30);
    let limits = Budgets { cpu, wall: Duration::from_secs(30), ..Budgets::default() };
    let scripts = Scripts::within(limits, &[("Queue.js", text)], &targets).await;
    let starving = async {
        while scripts.ask("Queue.waits").await.json() != json!({"result": 1}) {}
        for function in functions {
            let answer = scripts.ask(&format!("Queue.{function}")).await;
            assert_eq!(answer.status, 500, "{function}: {}", answer.text());
        }
        assert_eq!(scripts.ask("Queue.go").await.status, 200);
    };
    let (waited, slept, ()) =
        tokio::join!(scripts.ask("Queue.wait"), scripts.ask("Queue.sleep"), starving);
    // Both are answered, by one instance.
    let mut kept = [&waited, &slept].map(|answer| answer.json()["result"].as_u64());
    kept.sort();
    assert_eq!(kept, [Some(1), Some(2)], "{} {}", waited.text(), slept.text());
}

#[tokio::test]
async fn an_engine_that_looks_at_no_budget_inside_of_its_built_ins_is_named_or_refused() {
    let (log, _capture) = Log::capture();
    let files = [("Mail.js", "export default class { hello() { return 'hello'; } }")];
    let targets = ["Mail.hello"];
    // The engine that callgate is built with does.
    let bounded = Environment { demands_bounds: true, ..environment() };
    load(&bounded, &files, &targets).unwrap();
    assert!(log.of("script.unbounded").is_empty());
    let strict = Environment { is_bounded: false, ..bounded };
    let refused = load(&strict, &files, &targets).unwrap_err();
    let [problem] = &refused[..] else { panic!("{refused:?}") };
    assert_eq!((&*problem.file, problem.code), ("classes", "engine-unbounded"));
    assert!(problem.fix.contains("vendor/rquickjs-sys"), "{problem}");
    let normal = Environment { demands_bounds: false, ..strict };
    for _ in 0..2 {
        load(&normal, &files, &targets).unwrap();
    }
    assert_eq!(log.of("script.unbounded").len(), 1, "once");
}

fn environment() -> Environment {
    Environment::new(Handle::current())
}

/// The lines `file:line:column code` of what is wrong with class files.
fn problems(files: &[(&str, &str)], targets: &[&str]) -> Vec<String> {
    let problems = load(&environment(), files, targets).unwrap_err();
    let told = problems.iter().map(|problem| {
        let ClassProblem { file, line, column, code, .. } = problem;
        format!("{file}:{line}:{column} {code}")
    });
    told.collect()
}

#[tokio::test]
async fn every_problem_of_every_file_is_told_with_its_place() {
    let files = [
        ("Fine.js", "export default class Fine { run() {} }"),
        ("Unnamed.js", "export default class Unnamed {\n  run( { }\n}"),
        ("Imports.js", "import a from \"./lib/gone.js\";\nexport default class Imports {}"),
        ("Throws.js", "export default class Throws {\n  constructor() {\n    null.x;\n  }\n}"),
        ("Outer.js", "import \"./lib/broken.js\";\nexport default class Outer {}"),
        ("lib/broken.js", "const a = ;"),
    ];
    let told = problems(&files, &["Fine.run", "Imports.run", "Throws.run", "Outer.run"]);
    assert_eq!(
        told,
        [
            "classes/Imports.js:1:15 class-import",
            "classes/Throws.js:3:5 class-threw",
            "classes/Unnamed.js:3:1 class-syntax",
            "classes/lib/broken.js:1:11 class-syntax",
        ]
    );
}

#[tokio::test]
async fn an_import_that_is_refused_says_why() {
    let why = |specifier: &str| {
        let text = format!("import \"{specifier}\";\nexport default class A {{}}");
        let files = [("A.js", text.as_str()), ("lib/b.js", "")];
        load(&environment(), &files, &["A.run"]).unwrap_err()[0].what.clone()
    };
    let told = why("./lib/b");
    assert!(told.ends_with("there is no classes/lib/b; write \"./lib/b.js\""), "{told}");
    for file in ["./lib/words.json", "./words.yaml"] {
        let told = why(file);
        assert!(told.contains("only modules can be imported, and a ."), "{told}");
        assert!(told.ends_with("behind `export default` into a .js file"), "{told}");
    }
    let told = why("../../etc/passwd.js");
    assert!(told.ends_with("it leads out of the classes folder"), "{told}");
    for specifier in ["fs", "/etc/passwd.js", "https://example.com/a.js", "callgate/main"] {
        let told = why(specifier);
        assert!(told.contains("only \"callgate\" and files of the classes folder"), "{told}");
    }
}

#[tokio::test]
async fn what_is_no_singleton_or_has_no_such_function_is_told_apart() {
    let files = [
        ("Plain.js", "export default function Plain() {}"),
        ("Nothing.js", "export const a = 1;"),
        ("Base.js", "export class Base { inherited() {} }"),
        (
            "Mail.js",
            "import { Base } from './Base.js';
            export default class Mail extends Base {
                own = () => 1;
                static fixed() {}
                get computed() { return () => 1; }
                validate() {}
            }",
        ),
    ];
    let targets = ["Plain.run", "Nothing.run", "Mail.run", "Gone.run"];
    let classes = load(&environment(), &files, &targets).unwrap();
    let missing = |class, function| classes.find(class, function).err();
    assert_eq!(missing("Plain", "run"), Some(Missing::Singleton));
    assert_eq!(missing("Nothing", "run"), Some(Missing::Singleton));
    assert_eq!(missing("Gone", "run"), Some(Missing::Class));
    for function in ["validate", "own", "inherited"] {
        assert_eq!(missing("Mail", function), None, "{function}");
    }
    for function in ["constructor", "fixed", "computed", "toString", "gone"] {
        assert_eq!(missing("Mail", function), Some(Missing::Method), "{function}");
    }
    assert_eq!(classes.nearest("Mail", "valdiate").as_deref(), Some("Mail.validate"));
    assert_eq!(classes.nearest("Mial", "something").as_deref(), Some("Mail"));
}

#[tokio::test]
async fn what_no_request_reaches_is_told() {
    let files = [
        (
            "Mail.js",
            "export default class Mail {\n  a() { this.helper(); }\n  helper() {}\n  b() {}\n}",
        ),
        ("Spare.js", "export default class Spare {}"),
    ];
    let classes = load(&environment(), &files, &["Mail.a"]).unwrap();
    let told = classes.unreached(&|class, function| (class, function) == ("Mail", "a"));
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("classes/Spare.js: no row names it"), "{told:?}");
    assert!(told[1].starts_with("classes/Mail.js:4:3: no row names Mail.b"), "{told:?}");
}

/// Loads the second edition of a folder over the first and asks both for `Mail.count`.
async fn count_after(first: &[(&str, &str)], second: &[(&str, &str)]) -> Value {
    let before = load(&environment(), first, &["Mail.count"]).unwrap();
    let gate = Scripts::of(before, &["Mail.count"]).await;
    assert_eq!(gate.ask("Mail.count").await.json(), json!({"result": 1}));
    let after = load_after(&gate.classes, second, &["Mail.count"]).unwrap();
    Scripts::of(after, &["Mail.count"]).await.ask("Mail.count").await.json()["result"].clone()
}

#[tokio::test]
async fn a_class_keeps_its_state_while_none_of_its_files_changes() {
    let mail = |import: &str| {
        format!(
            "{import}\nexport default class Mail {{ n = 0; count() {{ return this.n += 1; }} }}"
        )
    };
    let (plain, importing) = (mail(""), mail("import './lib/a.js';"));
    let later = mail("const later = () => import('./lib/b.js');");
    let other = [("Mail.js", plain.as_str()), ("Other.js", "1;")];
    assert_eq!(count_after(&other, &[("Mail.js", &plain), ("Other.js", "2;")]).await, 2);
    let importing = |text| [("Mail.js", importing.as_str()), ("lib/a.js", text)];
    assert_eq!(count_after(&importing("1;"), &importing("1;")).await, 2);
    assert_eq!(count_after(&importing("1;"), &importing("2;")).await, 1);
    let later = |text| [("Mail.js", later.as_str()), ("lib/b.js", text)];
    assert_eq!(count_after(&later("1;"), &later("2;")).await, 1, "it may be imported any time");
}

#[tokio::test]
async fn a_call_that_waits_ends_on_the_class_it_began_on() {
    let text = |edition| {
        format!(
            "export default class Mail {{
                wait() {{ return new Promise((done) => {{ this.done = done; }}); }}
                go() {{ this.done?.({edition}); return {edition}; }}
            }}"
        )
    };
    let targets = ["Mail.wait", "Mail.go"];
    let old = Scripts::open(&[("Mail.js", &text(1))], &targets).await;
    let client = old.gate.client();
    let waiting = tokio::spawn(async move { client.get("/Mail/wait").send().await });
    let new = load_after(&old.classes, &[("Mail.js", &text(2))], &targets).unwrap();
    let new = Scripts::of(new, &targets).await;
    assert_eq!(new.ask("Mail.go").await.json(), json!({"result": 2}));
    while !waiting.is_finished() {
        old.ask("Mail.go").await;
    }
    assert_eq!(waiting.await.unwrap().json(), json!({"result": 1}));
}

#[tokio::test]
async fn a_call_that_is_one_too_many_is_told_to_come_back() {
    let text = "export default class A { wait() { return new Promise(() => {}); } run() {} }";
    let limits = Budgets { calls: 1, ..Budgets::default() };
    let scripts = Scripts::within(limits, &[("A.js", text)], &["A.wait", "A.run"]).await;
    let mut waiting = Box::pin(scripts.gate.client().get("/A/wait").send());
    assert!(polled_once(&mut waiting).await.is_none());
    let refused = scripts.ask("A.run").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "2"));
    assert!(refused.text().contains("handler_busy"), "{}", refused.text());
}

/// Its handler was not called, so nothing is known to have been cut off.
#[tokio::test]
async fn a_callback_that_was_one_too_many_may_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let text = "export default class A {
        mint(request, session) { return session.createOTP(); }
        wait() { return new Promise(() => {}); }
        pay() { return (this.paid = (this.paid ?? 0) + 1); }
    }";
    std::fs::write(folder.path().join("A.js"), text).unwrap();
    let settings = Settings {
        classes: Some(folder.path().to_owned()),
        scripts: Budgets { calls: 1, ..Budgets::default() },
        ..settings()
    };
    let rows = json!([
        {"pattern": "mint", "class": "A", "method": "mint"},
        {"pattern": "wait", "class": "A", "method": "wait", "limits": {"timeoutMs": 200}},
        {"pattern": "pay", "class": "A", "method": "pay", "repeat": 60},
    ]);
    let gate = Gate::builder(settings).table(rows.to_string()).open().await.unwrap();
    let minted = gate.client().get("/mint").send().await.json();
    let target = format!("/pay?$4DSID={}", minted["result"].as_str().unwrap());
    let call_back = async || gate.client().get(&target).send().await;
    let mut waiting = Box::pin(gate.client().get("/wait").send());
    assert!(polled_once(&mut waiting).await.is_none());
    let refused = call_back().await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    waiting.await;
    let mut paid = call_back().await;
    while paid.status == 503 {
        paid = call_back().await;
    }
    assert_eq!((paid.status, paid.json()), (200, json!({"result": 1})));
    assert_eq!(call_back().await.json(), json!({"result": 1}), "the handler ran again");
}

/// Nobody has waited for it, so it can come again; on a row without `repeat` as well.
#[tokio::test]
async fn a_callback_that_finds_no_room_leaves_its_token_unspent() {
    let folder = tempfile::tempdir().unwrap();
    let text = "export default class A {
        mint(request, session) { return session.createOTP(); }
        wait() { return new Promise(() => {}); }
        paid(request) { return request.otp.outcome; }
    }";
    std::fs::write(folder.path().join("A.js"), text).unwrap();
    let settings = Settings {
        classes: Some(folder.path().to_owned()),
        scripts: Budgets { calls: 1, ..Budgets::default() },
        ..settings()
    };
    let rows = json!([
        {"pattern": "mint", "class": "A", "method": "mint"},
        {"pattern": "wait", "class": "A", "method": "wait", "limits": {"timeoutMs": 200}},
        {"pattern": "paid", "class": "A", "method": "paid"},
    ]);
    let gate = Gate::builder(settings).table(rows.to_string()).open().await.unwrap();
    let minted = gate.client().get("/mint").send().await.json();
    let target = format!("/paid?$4DSID={}", minted["result"].as_str().unwrap());
    let call_back = async || gate.client().get(&target).send().await;
    let mut waiting = Box::pin(gate.client().get("/wait").send());
    assert!(polled_once(&mut waiting).await.is_none());
    let refused = call_back().await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (503, Some("handler_busy")));
    waiting.await;
    let mut paid = call_back().await;
    while paid.status == 503 {
        paid = call_back().await;
    }
    assert_eq!((paid.status, paid.json()), (200, json!({"result": "restored"})));
    assert_eq!(call_back().await.json(), json!({"result": "used"}));
}

#[tokio::test]
async fn a_call_whose_time_is_up_is_ended_with_all_it_waits_for() {
    let text = "export default class A {
        ticks = 0;
        wait() {
            setInterval(() => { this.ticks += 1; }, 5);
            return new Promise(() => {});
        }
        async ticked() {
            const before = this.ticks;
            await new Promise((done) => setTimeout(done, 50));
            return [before > 0, this.ticks - before];
        }
    }";
    let limits = Budgets { wall: Duration::from_secs(2), ..Budgets::default() };
    let scripts = Scripts::within(limits, &[("A.js", text)], &["A.wait", "A.ticked"]).await;
    assert_eq!(scripts.ask("A.wait").await.status, 500);
    assert_eq!(scripts.ask("A.ticked").await.json(), json!({"result": [true, 0]}));
}

/// Begins a future, and goes on without waiting for it.
async fn polled_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|context| match Pin::new(&mut *future).poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn a_hog_that_waits_leaves_its_neighbours_room() {
    let text = "export default class A {
        async hog() {
            const held = [];
            for (let mib = 0; mib < 7; mib += 1) held.push(new Uint8Array(1 << 20).fill(1));
            await new Promise((done) => setTimeout(done, 60_000));
            return held.length;
        }
        run() { return new Uint8Array(2 << 20).fill(1).length; }
    }";
    let limits = Budgets { heap_bytes: 8 << 20, ..Budgets::default() };
    let scripts = Scripts::within(limits, &[("A.js", text)], &["A.hog", "A.run"]).await;
    assert_eq!(scripts.ask("A.hog").await.status, 500, "ended when it began to wait");
    assert_eq!(scripts.ask("A.run").await.json(), json!({"result": 2 << 20}));
}

#[tokio::test]
async fn a_class_that_fills_its_memory_begins_anew() {
    let (log, _capture) = Log::capture();
    let text = "export default class A {
        kept = [];
        fill() { this.kept.push(new Uint8Array(1 << 20).fill(1)); return this.kept.length; }
    }";
    let limits = Budgets { heap_bytes: 8 << 20, ..Budgets::default() };
    let scripts = Scripts::within(limits, &[("A.js", text)], &["A.fill"]).await;
    let mut full = 0;
    for _ in 0..30 {
        let answer = scripts.ask("A.fill").await;
        full += u32::from(answer.status == 500);
    }
    assert!((1..=6).contains(&full), "{full} of 30 calls found no room");
    log.has(&["script.restarted"]);
}

#[tokio::test]
async fn a_storm_of_jobs_ends_without_the_class() {
    let text = "export default class A {
        n = 0;
        async storm() {
            const spin = async () => { for (;;) await null; };
            await Promise.all(Array.from({ length: 1000 }, spin));
        }
        count() { return this.n += 1; }
    }";
    let limits = Budgets { cpu: Duration::from_millis(50), ..Budgets::default() };
    let scripts = Scripts::within(limits, &[("A.js", text)], &["A.storm", "A.count"]).await;
    assert_eq!(scripts.ask("A.count").await.json(), json!({"result": 1}));
    assert_eq!(scripts.ask("A.storm").await.status, 500);
    assert_eq!(scripts.ask("A.count").await.json(), json!({"result": 2}), "the same instance");
}

#[tokio::test]
async fn one_class_does_not_see_what_another_does_to_the_language() {
    let bad = "export default class Bad {
        run() {
            Array.prototype.map = () => { throw new Error('poisoned'); };
            globalThis.mine = 1;
            Object.prototype.status = 404;
        }
    }";
    let good = "export default class Good { run() { return [typeof mine, ...[1].map(String)]; } }";
    let files = [("Bad.js", bad), ("Good.js", good)];
    let scripts = Scripts::open(&files, &["Bad.run", "Good.run"]).await;
    assert_eq!(scripts.ask("Bad.run").await.status, 200);
    assert_eq!(scripts.ask("Good.run").await.json(), json!({"result": ["undefined", "1"]}));
}
