//! Class files beside the table: found, loaded, and taken anew while the gate serves.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;

use callgate::Gate;
use callgate::Settings;
use callgate::base::clock::ManualClock;
use callgate::gate::Answer;
use callgate::gate::GateError;
use callgate::gate::Reload;
use callgate::http::hosts::HostRule;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::support::probe;
use crate::support::probe::Probe;
use crate::support::settings;
use crate::support::wire::soon;

/// Rows for three functions, two of one class.
const TABLE: &str = r#"[
  { "class": "Counter", "method": "hit", "pattern": "hit" },
  { "class": "Counter", "method": "name", "pattern": "name" },
  { "class": "Greeter", "method": "greet", "pattern": "greet" }
]"#;

/// Counts on its `this`, for as long as that lasts.
const COUNTER: &str = "export default class Counter {
  hits = 0;
  hit() { return ++this.hits; }
  name() { return \"counter\"; }
}
";

/// Says what a file that it imports exports.
const GREETER: &str = "import { word } from \"./lib/words.js\";

export default class Greeter {
  greet() { return word; }
}
";

/// A folder with a table and class files that a test may do anything to.
struct Site(TempDir);

impl Site {
    fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        site.lay("handlers.json", TABLE);
        site.lay("classes/Counter.js", COUNTER);
        site.lay("classes/Greeter.js", GREETER);
        site.lay("classes/lib/words.js", "export const word = \"hello\";\n");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file in place.
    fn lay(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn settings(&self) -> Settings {
        Settings { handlers: self.path("handlers.json"), ..settings() }
    }

    async fn try_open(&self, settings: Settings) -> Result<Gate, GateError> {
        let clock = Arc::new(ManualClock::default());
        Gate::builder(settings).clock(clock).open().await
    }

    async fn open(self) -> Place {
        let gate = self.try_open(self.settings()).await.unwrap();
        Place { site: self, gate }
    }

    /// Every problem for which the gate does not open, one in a line.
    async fn refused(&self) -> Vec<String> {
        let refused = self.try_open(self.settings()).await.map(|_| ()).unwrap_err();
        assert!(matches!(refused, GateError::Table(_)), "{refused:?}");
        let folder = format!("{}/", self.0.path().display());
        refused.to_string().replace(&folder, "").lines().map(str::to_owned).collect()
    }
}

/// The same with a gate that is made of it.
struct Place {
    site: Site,
    gate: Gate,
}

impl Place {
    async fn ask(&self, path: &str) -> Answer {
        self.gate.client().get(path).send().await
    }

    /// What the handler returned.
    async fn says(&self, path: &str) -> Value {
        let answer = self.ask(path).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["result"].take()
    }

    /// Looks twice, as often as a change needs to be taken.
    async fn look(&self) -> Reload {
        assert_eq!(self.gate.look().await, Reload::Unchanged, "one look alone takes nothing");
        self.gate.look().await
    }

    /// Fails unless what lies there is refused and the old plan serves on; what is wrong, with
    /// files named from the folder on.
    async fn refuses(&self) -> Vec<String> {
        let before = self.gate.table();
        let Reload::Refused(lines) = self.look().await else { panic!("it was not refused") };
        let now = self.gate.table();
        assert_eq!(now.generation, before.generation);
        assert_eq!(now.refused.expect("it is remembered as refused").problems, lines);
        assert_eq!(self.look().await, Reload::Unchanged, "the same is not judged twice");
        assert_eq!(self.says("/name").await, "counter");
        let folder = format!("{}/", self.site.0.path().display());
        lines.iter().map(|line| line.replace(&folder, "")).collect()
    }
}

#[tokio::test]
async fn class_files_beside_the_table_answer_its_rows() {
    let place = Site::new().open().await;
    assert!(place.gate.warnings().is_empty(), "{:?}", place.gate.warnings());
    assert_eq!(place.says("/greet").await, "hello");
    assert_eq!((place.says("/hit").await, place.says("/hit").await), (json!(1), json!(2)));
}

#[tokio::test]
async fn class_files_lie_where_the_settings_say() {
    let site = Site::new();
    fs::rename(site.path("classes"), site.path("elsewhere")).unwrap();
    let settings = Settings { classes: Some(site.path("elsewhere")), ..site.settings() };
    let gate = site.try_open(settings).await.unwrap();
    let place = Place { site, gate };
    assert_eq!(place.says("/greet").await, "hello");
}

#[tokio::test]
async fn a_changed_class_is_taken_whole() {
    let place = Site::new().open().await;
    place.says("/hit").await;
    place.site.lay("classes/Counter.js", &COUNTER.replace("\"counter\"", "\"abacus\""));
    assert_eq!(place.look().await, Reload::Taken);
    assert_eq!(place.says("/name").await, "abacus");
    assert_eq!(place.says("/hit").await, 1, "a new class begins anew");
    assert_eq!(place.gate.table().generation, 2);
}

#[tokio::test]
async fn a_class_that_did_not_change_keeps_its_this() {
    let place = Site::new().open().await;
    place.says("/hit").await;
    place.site.lay("classes/lib/words.js", "export const word = \"good day\";\n");
    assert_eq!(place.look().await, Reload::Taken);
    assert_eq!(place.says("/greet").await, "good day", "an import counts as part of the class");
    assert_eq!(place.says("/hit").await, 2);
    place.site.lay("handlers.json", &TABLE.replace("\"greet\" }", "\"hail\" }"));
    assert_eq!(place.look().await, Reload::Taken);
    assert_eq!(place.says("/hail").await, "good day");
    assert_eq!(place.says("/hit").await, 3, "nor does another table disturb it");
}

#[tokio::test]
async fn a_row_and_its_class_change_together() {
    let place = Site::new().open().await;
    let (table, counter) =
        (TABLE.replace("\"hit\"", "\"strike\""), COUNTER.replace(" hit()", " strike()"));
    place.site.lay("handlers.json", &table);
    place.site.lay("classes/Counter.js", &counter);
    assert_eq!(place.look().await, Reload::Taken);
    assert_eq!(place.says("/strike").await, 1);
    assert_eq!(place.ask("/hit").await.status, 404);
    assert_eq!(place.gate.table().generation, 2, "both at once");
}

#[tokio::test]
async fn a_new_row_may_name_a_new_class() {
    let place = Site::new().open().await;
    let row = r#"{ "class": "shop.Till", "method": "open", "pattern": "till" },"#;
    place.site.lay("handlers.json", &TABLE.replacen('[', &format!("[{row}"), 1));
    place.site.lay("classes/shop.Till.js", "export default class { open() { return \"ding\"; } }");
    assert_eq!(place.look().await, Reload::Taken);
    assert_eq!(place.says("/till").await, "ding");
}

#[tokio::test]
async fn a_broken_class_is_refused_with_its_place_and_the_old_one_serves_on() {
    let place = Site::new().open().await;
    for (file, text, expected) in [
        (
            "Counter.js",
            "export default class Counter {\n  hit() { return ; ; ) }\n}\n",
            "classes/Counter.js:2:",
        ),
        (
            "Counter.js",
            "export default class {\n  constructor() { this.no.such; }\n}\n",
            "classes/Counter.js:2:",
        ),
        ("Greeter.js", "import \"./lib/nowhere.js\";\n", "classes/Greeter.js:1:"),
        ("lib/words.js", "export const word = ;\n", "classes/lib/words.js:1:"),
        ("lib/words.js", "export const name = 1;\n", "classes/Greeter.js:1:"),
        ("Counter.js", "while (true) {}\n", "classes/Counter.js:1:"),
    ] {
        let file = format!("classes/{file}");
        let whole = fs::read_to_string(place.site.path(&file)).unwrap();
        place.site.lay(&file, text);
        let lines = place.refuses().await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with(expected), "{expected}: {lines:?}");
        assert!(lines[0].contains(": error: "), "{lines:?}");
        place.site.lay(&file, &whole);
        assert_eq!(place.look().await, Reload::Unchanged);
        assert_eq!(place.gate.table().refused, None, "what is in use is welcome back");
    }
}

#[tokio::test]
async fn a_class_that_is_broken_and_mended_differently_is_taken() {
    let place = Site::new().open().await;
    place.says("/hit").await;
    place.site.lay("classes/Greeter.js", "export default class {");
    place.refuses().await;
    place.site.lay("classes/Greeter.js", "export default class { greet() { return 1; } }");
    assert_eq!(place.look().await, Reload::Taken);
    assert_eq!((place.says("/greet").await, place.says("/hit").await), (json!(1), json!(2)));
}

#[tokio::test]
async fn a_call_ends_by_the_class_that_it_began_with() {
    const DOOR: &str = "export default class Counter {
  name() { return \"counter\"; }
  async hit(request) {
    const answer = await fetch(request.urlQuery.door);
    return `first ${await answer.text()}`;
  }
}
";
    // Where a call of the old class waits for as long as the test wants it to.
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = door.local_addr().unwrap();
    let site = Site::new();
    site.lay("classes/Counter.js", DOOR);
    let fetch_hosts = vec![HostRule::parse(&address.to_string()).unwrap()];
    let gate = site.try_open(Settings { fetch_hosts, ..site.settings() }).await.unwrap();
    let place = Place { site, gate };
    let under_way = place.gate.client().get(&format!("/hit?door=http://{address}/"));
    let under_way = tokio::spawn(under_way.send());
    let (mut stream, _) = soon(door.accept()).await.unwrap();
    place.site.lay("classes/Counter.js", &DOOR.replace("first", "second"));
    assert_eq!(place.look().await, Reload::Taken);
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone";
    stream.write_all(answer).await.unwrap();
    let answer = soon(under_way).await.unwrap();
    assert_eq!((answer.status, &answer.json()["result"]), (200, &json!("first done")));
    let next = place.gate.client().get(&format!("/hit?door=http://{address}/"));
    let next = tokio::spawn(next.send());
    let (mut stream, _) = soon(door.accept()).await.unwrap();
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
    assert_eq!(soon(next).await.unwrap().json()["result"], "second ");
}

#[tokio::test]
async fn a_row_never_loses_the_function_that_answers_it() {
    let place = Site::new().open().await;
    let lost = |line: &str| line.contains("\"Counter.hit\" answered and is gone");
    // Cut to nothing, as a full disk does it; without the function; away, as during a checkout.
    for text in ["", "export default class { name() { return \"counter\"; } }", "export default 7;"]
    {
        place.site.lay("classes/Counter.js", text);
        let lines = place.refuses().await;
        assert!(lines.iter().any(|line| lost(line)), "{text}: {lines:?}");
        assert!(lines[0].starts_with("handlers.json:2:3: error: row 1: "), "{lines:?}");
    }
    fs::remove_dir_all(place.site.path("classes")).unwrap();
    let lines = place.refuses().await;
    assert_eq!(lines.len(), 3, "every row of both classes: {lines:?}");
    // Whoever means it takes the row out as well.
    place.site.lay("classes/Counter.js", "export default class { name() { return \"counter\"; } }");
    place.site.lay(
        "handlers.json",
        &TABLE
            .lines()
            .filter(|line| !line.contains("\"hit\"") && !line.contains("Greeter"))
            .collect::<String>()
            .replace("},]", "}]"),
    );
    assert_eq!(place.look().await, Reload::Taken);
    assert_eq!(place.ask("/hit").await.status, 404);
}

#[tokio::test]
async fn problems_of_table_and_classes_are_told_together() {
    let site = Site::new();
    site.lay("handlers.json", &TABLE.replace("\"pattern\": \"greet\"", "\"regexPattern\": \"(\""));
    site.lay("classes/Counter.js", "export default class Counter {\n  7();\n}\n");
    site.lay("classes/unused/odd.js", "let = ;\n");
    let lines = site.refused().await;
    let starts: Vec<bool> =
        ["handlers.json:4:", "classes/Counter.js:2:", "classes/unused/odd.js:1:"]
            .iter()
            .map(|start| lines.iter().any(|line| line.starts_with(start)))
            .collect();
    assert_eq!((starts, lines.len()), (vec![true; 3], 3), "{lines:?}");
}

#[tokio::test]
async fn a_missing_class_does_not_keep_a_gate_from_opening() {
    let site = Site::new();
    fs::remove_dir_all(site.path("classes")).unwrap();
    let place = site.open().await;
    let warnings: Vec<&str> = place.gate.warnings().iter().map(|warning| warning.code).collect();
    assert_eq!(warnings, ["missing-function"; 3]);
    let answer = place.ask("/hit").await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["__ERROR"][0]["message"], "Cannot find singleton function");
    place.site.lay("classes/Counter.js", COUNTER);
    assert_eq!(place.look().await, Reload::Taken);
    assert_eq!(place.says("/hit").await, 1, "its file may come later");
}

#[tokio::test]
async fn under_strict_a_missing_class_refuses_the_start() {
    let site = Site::new();
    fs::remove_file(site.path("classes/Greeter.js")).unwrap();
    let settings = Settings { strict: true, ..site.settings() };
    let refused = site.try_open(settings).await.map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("warning: row 3: nothing answers \"Greeter.greet\""), "{refused}");
}

#[tokio::test]
async fn a_default_export_that_is_no_class_is_no_singleton() {
    let site = Site::new();
    site.lay("classes/Greeter.js", "export default { greet() {} };\n");
    let place = site.open().await;
    let answer = place.ask("/greet").await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["__ERROR"][0]["message"], "Cannot find singleton");
}

#[tokio::test]
async fn a_class_of_the_program_answers_before_its_file() {
    let site = Site::new();
    site.lay("handlers.json", r#"[{ "class": "Probe", "method": "whoami", "pattern": "whoami" }]"#);
    site.lay("classes/Probe.js", "throw new Error(\"nobody loads this\");\n");
    let probe = probe::singleton(Arc::new(Probe::new()));
    let gate = Gate::builder(site.settings()).singleton(probe).open().await.unwrap();
    let answer = gate.client().get("/whoami").send().await;
    assert!(answer.json()["id"].is_string(), "{}", answer.text());
}

#[tokio::test]
async fn a_folder_that_a_link_leads_to_is_followed_when_it_leads_elsewhere() {
    let site = Site::new();
    fs::rename(site.path("classes"), site.path("v1")).unwrap();
    symlink("v1", site.path("classes")).unwrap();
    let place = site.open().await;
    assert_eq!(place.says("/greet").await, "hello");
    place.site.lay("v2/Counter.js", COUNTER);
    place.site.lay("v2/Greeter.js", &GREETER.replace("return word", "return word + \"!\""));
    place.site.lay("v2/lib/words.js", "export const word = \"hello\";\n");
    symlink("v2", place.site.path("new")).unwrap();
    fs::rename(place.site.path("new"), place.site.path("classes")).unwrap();
    fs::remove_dir_all(place.site.path("v1")).unwrap();
    assert_eq!(place.look().await, Reload::Taken);
    assert_eq!(place.says("/greet").await, "hello!");
}

#[tokio::test]
async fn a_volume_of_kubernetes_that_is_swapped_is_taken() {
    let site = Site(tempfile::tempdir().unwrap());
    site.lay("handlers.json", r#"[{ "class": "Greeter", "method": "greet", "pattern": "greet" }]"#);
    for (version, word) in [("..2026_1", "one"), ("..2026_2", "two")] {
        let class = format!("export default class {{ greet() {{ return \"{word}\"; }} }}");
        site.lay(&format!("classes/{version}/Greeter.js"), &class);
    }
    symlink("..2026_1", site.path("classes/..data")).unwrap();
    symlink("..data/Greeter.js", site.path("classes/Greeter.js")).unwrap();
    let place = site.open().await;
    assert_eq!(place.says("/greet").await, "one");
    symlink("..2026_2", place.site.path("classes/..data_tmp")).unwrap();
    fs::rename(place.site.path("classes/..data_tmp"), place.site.path("classes/..data")).unwrap();
    fs::remove_dir_all(place.site.path("classes/..2026_1")).unwrap();
    assert_eq!(place.look().await, Reload::Taken);
    assert_eq!(place.says("/greet").await, "two");
}

#[tokio::test]
async fn a_change_that_file_times_do_not_tell_is_taken() {
    let place = Site::new().open().await;
    let path = place.site.path("classes/Counter.js");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    // In place, as long as before, and as old.
    place.site.lay("classes/Counter.js", &COUNTER.replace("\"counter\"", "\"retnuoc\""));
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(place.look().await, Reload::Taken);
    assert_eq!(place.says("/name").await, "retnuoc");
}

#[tokio::test]
async fn an_editor_that_keeps_a_backup_breaks_nothing() {
    let place = Site::new().open().await;
    let (path, backup) =
        (place.site.path("classes/Counter.js"), place.site.path("classes/Counter.js~"));
    let new = COUNTER.replace("\"counter\"", "\"abacus\"");
    // What vim does with backupcopy=no: the file is away for a moment, and then half there.
    fs::rename(&path, &backup).unwrap();
    assert_eq!(place.gate.look().await, Reload::Unchanged);
    fs::write(&path, &new[..40]).unwrap();
    assert_eq!(place.gate.look().await, Reload::Unchanged);
    fs::write(&path, &new).unwrap();
    assert_eq!(place.gate.look().await, Reload::Unchanged);
    fs::remove_file(backup).unwrap();
    assert_eq!(place.gate.table().refused, None, "nothing of it was worth a complaint");
    assert_eq!(place.gate.look().await, Reload::Taken);
    assert_eq!(place.says("/name").await, "abacus");
}

#[tokio::test]
async fn what_is_no_class_file_does_not_disturb() {
    let place = Site::new().open().await;
    for name in
        ["README.md", ".Counter.js.swp", ".#Counter.js", "Counter.js~", "4913", "callgate.d.ts"]
    {
        place.site.lay(&format!("classes/{name}"), "export default {");
    }
    assert_eq!(place.look().await, Reload::Unchanged);
    assert_eq!((place.gate.table().generation, place.gate.table().refused), (1, None));
}

#[tokio::test]
async fn class_files_beside_a_table_that_is_a_text_are_taken_anew() {
    let site = Site::new();
    let gate = Gate::builder(site.settings()).table(TABLE).open().await.unwrap();
    let place = Place { site, gate };
    fs::remove_file(place.site.path("handlers.json")).unwrap();
    place.site.lay("classes/lib/words.js", "export const word = \"good day\";\n");
    assert_eq!(place.look().await, Reload::Taken);
    assert_eq!(place.says("/greet").await, "good day");
}

#[tokio::test]
async fn without_class_files_nothing_is_missed() {
    let site = Site(tempfile::tempdir().unwrap());
    site.lay("handlers.json", "[]");
    let place = site.open().await;
    assert!(place.gate.warnings().is_empty());
    assert_eq!(place.look().await, Reload::Unchanged);
}
