//! The program as a person or a script runs it: what it prints, and how it ends.

use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::program;

/// A key that must never be seen in any output.
const KEY: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7beef";
/// The start of it: nor may a part of it be seen.
const KEY_PART: &str = "5ec2e75ec2e7";

const TABLE: &str = r#"[
  { "class": "Post", "method": "validate", "pattern": "validate", "verbs": "GET" },
  { "class": "Fee", "method": "done", "pattern": "pay", "verbs": "POST" }
]"#;

/// A folder to run the program in.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, file: &str, text: &str) -> Self {
        let path = self.0.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command.args(words).current_dir(self.0.path()).env_clear().stdin(Stdio::null());
        command
    }

    /// Runs the program and holds what no output may ever show.
    fn run(&self, words: &[&str], variables: &[(&str, &str)]) -> Ended {
        let output = program::output(self.command(words).envs(variables.iter().copied()));
        let ended = Ended::of(&output);
        assert!(!ended.out.contains(KEY_PART), "a key was shown: {}", ended.out);
        assert!(!ended.err.contains(KEY_PART), "a key was shown: {}", ended.err);
        ended
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// What the program printed, and its exit code.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The line that `callgate settings` prints for a setting.
    fn line(&self, start: &str) -> &str {
        let mut lines = self.out.lines();
        lines.find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {self:?}"))
    }
}

#[test]
fn help_and_version_end_well() {
    let place = Place::new();
    let version = place.run(&["--version"], &[]);
    assert_eq!(version.code, Some(0));
    assert_eq!(version.out, format!("callgate {}\n", env!("CARGO_PKG_VERSION")));
    let short = place.run(&["-h"], &[]);
    assert_eq!(short.code, Some(0));
    assert!(short.out.contains("--listen") && !short.out.contains("--limits-headers"));
    let long = place.run(&["--help"], &[]);
    assert!(long.out.contains("--limits-headers") && !long.out.contains("--keys "), "{}", long.out);
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_64() {
    let place = Place::new();
    for words in [&["chekc"][..], &["check", "--formt", "json"], &["explain", "GET"], &["--listen"]]
    {
        let ended = place.run(words, &[]);
        assert_eq!(ended.code, Some(64), "{words:?}: {ended:?}");
        assert_eq!(ended.out, "");
        assert!(ended.err.starts_with("error: "), "{ended:?}");
    }
}

#[test]
fn the_default_file_is_printed_and_can_be_used_as_it_is() {
    let bare = Place::new();
    let file = bare.run(&["settings", "--default"], &[]);
    assert_eq!(file.code, Some(0));
    assert_eq!(file.out, callgate::settings::default_file());
    let place = Place::new().with("callgate.toml", &file.out);
    let values = |ended: &Ended| {
        let lines = ended.out.lines().map(|line| line.split("  #").next().unwrap().trim_end());
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let from_file = place.run(&["settings"], &[]);
    assert_eq!((from_file.code, &*from_file.err), (Some(0), ""));
    assert_eq!(values(&from_file), values(&bare.run(&["settings"], &[])));
    assert!(from_file.line("listen =").ends_with("# file callgate.toml:21"), "{}", from_file.out);
}

#[test]
fn flags_win_over_variables_over_the_file_over_the_default() {
    let place = Place::new().with("callgate.toml", "app = \"in_file\"\n");
    let bare = Place::new();
    let flag: &[&str] = &["settings", "--app", "in_flag"];
    let variable: &[(&str, &str)] = &[("CALLGATE_APP", "in_variable")];
    let seen = |place: &Place, words: &[&str], variables: &[(&str, &str)]| {
        let ended = place.run(words, variables);
        assert_eq!((ended.code, &*ended.err), (Some(0), ""));
        ended.line("app =").split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let settings: &[&str] = &["settings"];
    let by_flag = r#"app = "in_flag" # flag --app"#;
    let by_variable = r#"app = "in_variable" # environment CALLGATE_APP"#;
    let by_file = r#"app = "in_file" # file callgate.toml:1"#;
    assert_eq!(seen(&bare, settings, &[]), r#"app = "callgate" # default"#);
    assert_eq!(seen(&place, settings, &[]), by_file);
    assert_eq!(seen(&bare, settings, variable), by_variable);
    assert_eq!(seen(&place, settings, variable), by_variable);
    assert_eq!(seen(&bare, flag, &[]), by_flag);
    assert_eq!(seen(&place, flag, &[]), by_flag);
    assert_eq!(seen(&bare, flag, variable), by_flag);
    assert_eq!(seen(&place, flag, variable), by_flag);
}

#[test]
fn the_settings_are_printed_as_a_settings_file() {
    let place = Place::new().with("callgate.toml", "public_origin = \"https://Shop.Example\"\n");
    let words = ["settings", "--session-idle-minutes", "90", "--strict"];
    let printed = place.run(&words, &[("CALLGATE_KEYS", KEY)]);
    let copy = Place::new().with("copy.toml", &printed.out);
    let again = copy.run(&["settings", "--settings", "copy.toml"], &[]);
    assert_eq!((again.code, &*again.err), (Some(0), ""));
    for start in ["public_origin =", "idle_minutes = 90", "strict = true"] {
        assert!(again.line(start).contains("file copy.toml:"), "{}", again.out);
    }
}

#[test]
fn an_unknown_setting_is_refused_with_the_nearest_name() {
    let place = Place::new().with("callgate.toml", "\n[session]\nidle_minuts = 90\n");
    let ended = place.run(&["settings"], &[]);
    assert_eq!(ended.code, Some(78));
    assert_eq!(ended.out, "");
    assert_eq!(
        ended.err,
        "callgate: bad settings\ncallgate.toml:3:1: error: unknown setting \
         \"session.idle_minuts\"; did you mean \"session.idle_minutes\"\n"
    );
    let variable = Place::new().run(&["settings"], &[("CALLGATE_LISTN", "x")]);
    assert_eq!(variable.code, Some(0));
    assert_eq!(
        variable.err,
        "warning: CALLGATE_LISTN is not known; did you mean CALLGATE_LISTEN\n"
    );
}

#[test]
fn a_key_is_never_shown() {
    // `Place::run` looks for the key in every output.
    let with_key = Place::new().with("handlers.json", "[]");
    let given = with_key.run(&["settings"], &[("CALLGATE_KEYS", &format!("{KEY},{KEY}"))]);
    assert!(given.line("#keys").starts_with("#keys = [2 keys]"), "{}", given.out);
    assert!(given.line("#keys").ends_with("# environment CALLGATE_KEYS"), "{}", given.out);
    let key = KEY;
    for file in [
        format!("keys = [\"{key}\"]\n"),
        format!("keys = [\"{key}x\"]\n"),
        format!("keys = \"{key}\"\n"),
        format!("keys = [{key}]\n"),
        format!("keys = [\"{key}\n"),
        format!("key = [\"{key}\"]\n"),
        format!("\"{key}\" = 1\n"),
        format!("app = \"{key}\"\n"),
    ] {
        let place = Place::new().with("handlers.json", "[]").with("callgate.toml", &file);
        for words in [
            &["settings"][..],
            &["check"],
            &["check", "--format", "json"],
            &["explain", "GET", "/"],
        ] {
            let ended = place.run(words, &[]);
            let fine = file.starts_with(&format!("keys = [\"{key}\"]"));
            assert_eq!(ended.code == Some(0), fine, "{file}: {ended:?}");
        }
    }
    let bad = with_key.run(&["check"], &[("CALLGATE_KEYS", &KEY[1..])]);
    assert!(bad.out.contains("error: CALLGATE_KEYS has no key at place 1; "), "{}", bad.out);
}

#[test]
fn every_problem_of_every_file_is_reported_at_once() {
    let table = "[\n  { \"class\": \"Fee\", \"method\": \"done\", \"pattern\": \"a\", \"otp\": { \"mode\": \"shar\" } },\n  { \"class\": \"Fee\", \"method\": \"done\", \"regexPattern\": \"(\" }\n]";
    let place = Place::new()
        .with("handlers.json", table)
        .with("roles.json", "{ \"privileges\": [{ \"privilege\": \"\" }] }")
        .with("callgate.toml", "app = \"my shop\"\n");
    let variables = [("CALLGATE_LISTEN", "nowhere")];
    let ended = place.run(&["check", "--log-level", "loud"], &variables);
    assert_eq!(ended.code, Some(65));
    let starts = |start: &str| ended.out.lines().any(|line| line.starts_with(start));
    for start in [
        "handlers.json:2:72: error: row 1: ",
        "handlers.json:3:",
        "handlers.json: 2 errors",
        "roles.json:1:33: error: a privilege has no name; name it, or remove the entry",
        "roles.json: 1 error",
        "callgate.toml:1:7: error: app is \"my shop\"; ",
        "error: CALLGATE_LISTEN is \"nowhere\"; ",
        "error: --log-level is \"loud\"; ",
        "settings: 3 errors",
    ] {
        assert!(starts(start), "{start} is not in\n{}", ended.out);
    }
    let lines: Vec<&str> = ended.out.lines().collect();
    let error = lines.iter().position(|line| line.starts_with("handlers.json:2:72: ")).unwrap();
    let at = lines[error + 1].find("\"shar\"").unwrap();
    assert_eq!(lines[error + 2].find('^'), Some(at), "{}", ended.out);
    assert_eq!(lines[error + 2].matches('^').count(), "\"shar\"".len());
}

/// A class for both rows of [`TABLE`], with a function that nobody needs.
#[cfg(feature = "script")]
const POST: &str = "export default class Post {
  validate() { return this.render(); }
  render() { return 1; }
  forgotten() {}
}
";

#[cfg(feature = "script")]
const FEE: &str = "export default class Fee {\n  done() {}\n}\n";

#[cfg(feature = "script")]
#[test]
fn class_files_are_checked_with_the_table() {
    let place = || Place::new().with("handlers.json", TABLE).with("classes/Fee.js", FEE);
    let well = place().with("classes/Post.js", &POST.replace("  forgotten() {}\n", ""));
    let ended = well.run(&["check"], &[]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.out.contains("classes: 2 class files, no problems\n"), "{}", ended.out);

    let broken = POST.replace("return 1;", "return 1 +;");
    let ended = place().with("classes/Post.js", &broken).run(&["check"], &[]);
    assert_eq!(ended.code, Some(65));
    let lines: Vec<&str> = ended.out.lines().collect();
    let first = lines.iter().position(|line| line.starts_with("classes/Post.js:3:")).unwrap();
    assert!(lines[first].contains(": error: SyntaxError: "), "{}", ended.out);
    assert_eq!(lines[first + 1], "    3 |   render() { return 1 +; }", "its line is shown");
    assert!(lines[first + 2].ends_with('^'), "{}", ended.out);
    assert!(!ended.out.contains("nothing answers"), "what Post has is not known: {}", ended.out);
}

#[cfg(feature = "script")]
#[test]
fn functions_and_files_that_nobody_needs_are_warnings() {
    let place = Place::new()
        .with("handlers.json", TABLE)
        .with("classes/Post.js", POST)
        .with("classes/Fee.js", &FEE.replace("done", "dome"))
        .with("classes/lib/old.js", "export {};\n");
    let ended = place.run(&["check", "--format", "json"], &[]);
    let report = ended.json();
    assert_eq!((ended.code, &report["errors"]), (Some(0), &0.into()), "{report}");
    let mut found: Vec<(&str, u64, &str)> = Vec::new();
    for problem in report["problems"].as_array().unwrap() {
        let text = |name: &str| problem[name].as_str().unwrap();
        found.push((text("file"), problem["line"].as_u64().unwrap(), text("what")));
    }
    let of = |file: &str| found.iter().filter(|(of, ..)| *of == file).collect::<Vec<_>>();
    assert_eq!(of("handlers.json")[0].1, 3);
    assert!(of("handlers.json")[0].2.starts_with("nothing answers \"Fee.done\""), "{report}");
    assert!(report["problems"][0]["fix"].as_str().unwrap().contains("\"Fee.dome\""), "{report}");
    assert_eq!((of("classes/Post.js").len(), of("classes/Post.js")[0].1), (1, 4), "{report}");
    assert!(of("classes/Post.js")[0].2.contains("forgotten"), "{report}");
    assert_eq!(of("classes/Fee.js")[0].1, 2, "{report}");
    assert_eq!((of("classes/lib/old.js").len(), found.len()), (1, 4), "{report}");
    let strict = place.run(&["check", "--strict"], &[]);
    assert_eq!(strict.code, Some(65));
}

#[cfg(feature = "script")]
#[test]
fn a_default_export_that_is_no_class_is_a_warning_at_its_row() {
    let place = Place::new()
        .with("handlers.json", TABLE)
        .with("classes/Fee.js", FEE)
        .with("classes/Post.js", "export default { validate() {} };\n");
    let ended = place.run(&["check"], &[]);
    assert_eq!(ended.code, Some(0));
    let line = ended.line("handlers.json:2:3: warning: row 1: ");
    assert!(line.ends_with("Cannot find singleton; let its file export a class as its default"));
}

#[cfg(feature = "script")]
#[test]
fn a_broken_class_refuses_to_serve_with_every_problem() {
    let place = Place::new()
        .with("handlers.json", TABLE)
        .with(
            "classes/Fee.js",
            "export default class { constructor() { throw new Error(\"no\"); } }",
        )
        .with("classes/Post.js", "import \"fs\";\n");
    let ended = place.run(&["serve", "--listen", "127.0.0.1:0", "--store", "memory:"], &[]);
    assert_eq!((ended.code, &*ended.out), (Some(65), ""), "{ended:?}");
    assert!(ended.err.contains("classes/Fee.js:1:"), "{ended:?}");
    assert!(ended.err.contains("classes/Post.js:1:8: error: cannot import \"fs\""), "{ended:?}");
}

#[test]
fn a_program_reads_the_problems_as_json() {
    let place = Place::new()
        .with("handlers.json", "[{ \"class\": \"Fee\", \"method\": \"done\" }]")
        .with("callgate.toml", "app = \"my shop\"\n");
    let ended = place.run(&["check", "--format", "json"], &[]);
    assert_eq!(ended.code, Some(65));
    assert_eq!(ended.out.lines().count(), 1);
    let report = ended.json();
    let problems = report["problems"].as_array().unwrap();
    let names = ["file", "line", "column", "row", "severity", "code", "what", "fix"];
    for problem in problems {
        let keys: Vec<&String> = problem.as_object().unwrap().keys().collect();
        assert_eq!(keys, names);
    }
    let errors = problems.iter().filter(|problem| problem["severity"] == "error").count();
    assert_eq!(report["errors"], errors);
    assert_eq!(report["warnings"], problems.len() - errors);
    assert_eq!(problems[0]["file"], "handlers.json");
    assert_eq!(problems[0]["row"], 1);
    let app = problems.last().unwrap();
    assert_eq!((&app["file"], &app["line"]), (&"callgate.toml".into(), &1.into()));
    assert_eq!(app["row"], Value::Null);
}

#[test]
fn bad_settings_alone_end_with_78() {
    let place = Place::new().with("handlers.json", "[]");
    assert_eq!(place.run(&["check"], &[]).code, Some(0));
    let ended = place.run(&["check"], &[("CALLGATE_SAFETY", "strict")]);
    assert_eq!(ended.code, Some(78));
    assert!(ended.out.contains("error: public_origin is not set"), "{}", ended.out);
    for command in [&["settings"][..], &["explain", "GET", "/"]] {
        assert_eq!(place.run(command, &[("CALLGATE_SAFETY", "strict")]).code, Some(78));
    }
    let roles = place.run(&["check", "--roles", "nowhere.json"], &[]);
    assert_eq!(roles.code, Some(78));
    assert!(roles.out.contains("error: --roles is nowhere.json, which is not a file; "));
}

#[test]
fn a_page_that_lacks_its_form_is_found_before_anybody_is_asked() {
    let place = Place::new()
        .with("handlers.json", "[]")
        .with("ask.html", "<h1>{{title}}</h1>\n<p>{{txt}}</p>\n<script></script>\n{{form}}")
        .with("callgate.toml", "store = \"memory:\"\nconfirm_page = \"ask.html\"\n");
    let checked = place.run(&["check"], &[]);
    assert_eq!(checked.code, Some(78), "{checked:?}");
    for line in [
        "callgate.toml:2:16: error: confirm_page is ask.html:2, where nothing fills \"txt\"; did you \
         mean {{text}}?",
        "callgate.toml:2:16: error: confirm_page is ask.html:3, where \"<script\" does not work here; \
         the page runs no scripts; take it out",
        "callgate.toml:2:16: error: confirm_page is ask.html, where {{text}} stands in it 0 times; \
         write it exactly once",
    ] {
        assert!(checked.out.contains(line), "{line}\n{}", checked.out);
    }
    let served = place.run(&["serve"], &[]);
    assert_eq!((served.code, served.out.as_str()), (Some(78), ""), "{served:?}");
    assert!(served.err.contains("ask.html:2"), "{served:?}");
}

#[test]
fn a_table_that_is_not_there_ends_with_65() {
    let place = Place::new();
    for words in [&["check"][..], &["explain", "GET", "/"]] {
        let ended = place.run(words, &[]);
        assert_eq!(ended.code, Some(65));
        let said = format!("{}{}", ended.out, ended.err);
        assert!(said.contains("handlers.json: error: cannot be read: "), "{said}");
    }
}

#[test]
fn warnings_fail_only_under_strict() {
    let place = Place::new().with("handlers.json", TABLE);
    let ended = place.run(&["check", "--format", "json"], &[]);
    let report = ended.json();
    assert_eq!((ended.code, &report["errors"]), (Some(0), &0.into()));
    let codes: Vec<&Value> =
        report["problems"].as_array().unwrap().iter().map(|problem| &problem["code"]).collect();
    assert_eq!(codes, ["missing-function", "missing-function"]);
    assert_eq!(place.run(&["check", "--strict"], &[]).code, Some(65));
    assert_eq!(place.run(&["check"], &[("CALLGATE_STRICT", "1")]).code, Some(65));
}

/// Both rows are answered in this program; the second never gets a request.
const SHADOWED: &str = r#"[
  { "class": "Shop", "method": "show", "pattern": "order", "verbs": "GET, POST" },
  { "class": "Shop", "method": "paid", "pattern": "order/paid", "verbs": "GET" },
  { "class": "Mail", "method": "show", "regexPattern": "/mail", "verbs": "GET" },
  { "class": "Mail", "method": "send", "regexPattern": "/mail/send$", "verbs": "GET, POST" }
]"#;

/// [`SHADOWED`] and the class files of its rows, so that nothing else is to be said about it.
fn shadowed() -> Place {
    Place::new()
        .with("handlers.json", SHADOWED)
        .with("classes/Shop.js", "export default class Shop { show() {} paid() {} }")
        .with("classes/Mail.js", "export default class Mail { show() {} send() {} }")
}

#[test]
fn what_is_proven_of_a_table_is_reported_with_its_witness() {
    let place = shadowed();
    let ended = place.run(&["check", "--format", "json"], &[]);
    assert_eq!(ended.code, Some(0), "a table with such rows still works");
    let report = ended.json();
    let said: Vec<_> = report["problems"].as_array().unwrap().iter().collect();
    assert_eq!(said.len(), 2, "{report}");
    assert_eq!((&said[0]["code"], &said[0]["row"]), (&"unreachable-row".into(), &2.into()));
    assert_eq!((&said[0]["line"], &said[0]["column"]), (&3.into(), &51.into()));
    assert_eq!(said[0]["others"], serde_json::json!([1]));
    assert_eq!((&said[1]["code"], &said[1]["row"]), (&"open-end".into(), &3.into()));
    assert_eq!(said[1]["witness"], serde_json::json!({ "verb": "GET", "path": "/mail/send" }));
    let explained = place.run(&["explain", "GET", "/mail/send", "--format", "json"], &[]).json();
    assert_eq!(explained["row"], said[1]["row"], "the live table agrees with the witness");
    let human = place.run(&["check"], &[]);
    let wanted = "handlers.json:3:51: warning: row 2: pattern \"order/paid\" can never answer: row 1 \
                  takes all of its requests; move this row above row 1, or remove it\n";
    assert!(human.out.contains(wanted), "{}", human.out);
}

#[test]
fn a_table_with_a_row_that_never_answers_is_served_unless_strict() {
    let place = shadowed();
    let ports = ["--listen", "127.0.0.1:0", "--internal", "off", "--store", "memory:"];
    assert_eq!(place.run(&["check", "--strict"], &[]).code, Some(65));
    let refused = place.run(&[&["serve", "--strict"], &ports[..]].concat(), &[]);
    assert_eq!(refused.code, Some(65), "{refused:?}");
    assert!(refused.err.contains("row 2: pattern \"order/paid\" can never answer"), "{refused:?}");
}

#[test]
fn the_schema_is_printed_for_editors() {
    let ended = Place::new().run(&["check", "--schema"], &[]);
    assert_eq!((ended.code, &*ended.err), (Some(0), ""));
    assert_eq!(ended.out, callgate::table::SCHEMA);
    assert_eq!(ended.json()["type"], "array");
}

#[test]
fn explain_names_the_row_that_answers() {
    let place = Place::new().with("handlers.json", TABLE);
    let explained = |words: &[&str]| {
        let ended = place.run(&[&["explain", "--format", "json"], words].concat(), &[]);
        assert_eq!((ended.code, &*ended.err), (Some(0), ""));
        ended.json()
    };
    let row = explained(&["POST", "https://shop.example/pay/1?x=2"]);
    assert_eq!((&row["answer"], &row["row"]), (&"row".into(), &2.into()));
    assert_eq!((&row["class"], &row["method"]), (&"Fee".into(), &"done".into()));
    assert_eq!(row["rows"].as_array().unwrap().len(), 2);
    let wrong_verb = explained(&["POST", "/validate"]);
    assert_eq!(wrong_verb["answer"], "methodNotAllowed");
    assert_eq!(wrong_verb["allow"], serde_json::json!(["GET"]));
    assert_eq!(explained(&["GET", "/other"])["answer"], "notFound");
    assert_eq!(explained(&["GET", "/%2e%2e/"])["answer"], "badPath");
    assert_eq!(explained(&["GET", "/rest/x"])["answer"], "reserved");
    let mounted = explained(&["GET", "/tools/validate", "--base-path", "/tools"]);
    assert_eq!((&mounted["answer"], &mounted["row"]), (&"row".into(), &1.into()));
    let human = place.run(&["explain", "GET", "/validate"], &[]);
    assert!(human.code == Some(0) && human.out.contains("Post.validate"), "{human:?}");
}

#[test]
fn explain_takes_the_button_of_the_page_that_asks_for_the_get_it_stands_for() {
    let place = Place::new().with("handlers.json", TABLE);
    let explained =
        |words: &[&str]| place.run(&[&["explain", "--format", "json"], words].concat(), &[]).json();
    // The first row is for GET only.
    let get = explained(&["GET", "/validate"]);
    assert_eq!((&get["answer"], &get["row"]), (&"row".into(), &1.into()));
    for target in [
        "/validate?$4DCONFIRM=0",
        "/validate?%244DCONFIRM=0",
        "https://shop.example/validate?a=1&$4DCONFIRM=1#b",
    ] {
        assert_eq!(explained(&["POST", target]), get, "{target}");
    }
    for target in ["/validate?a=$4DCONFIRM", "/validate#?$4DCONFIRM"] {
        assert_eq!(explained(&["POST", target])["answer"], "methodNotAllowed", "{target}");
    }
    assert_eq!(explained(&["PUT", "/validate?$4DCONFIRM=0"])["answer"], "methodNotAllowed");
    assert_eq!(explained(&["POST", "/rest/x?$4DCONFIRM=0"])["answer"], "reserved");
    let human = place.run(&["explain", "POST", "/validate?$4DCONFIRM=0"], &[]).out;
    assert!(human.contains("this POST is the button of the page"), "{human}");
    assert!(human.ends_with("answer: row 1, Post.validate\n"), "{human}");
}

#[test]
fn a_settings_file_that_is_named_must_be_there() {
    let place = Place::new();
    for (words, variables) in [
        (&["settings", "--settings", "other.toml"][..], &[][..]),
        (&["settings"], &[("CALLGATE_SETTINGS", "other.toml")]),
    ] {
        let ended = place.run(words, variables);
        assert_eq!(ended.code, Some(78));
        assert!(ended.err.contains("other.toml: error: cannot be read: "), "{ended:?}");
    }
    assert_eq!(place.run(&["settings"], &[]).code, Some(0), "the default one need not be");
}

#[test]
fn a_certificate_that_cannot_be_used_is_found_before_the_start() {
    let files = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let pair = rcgen::generate_simple_self_signed(["gate.test".to_owned()]).unwrap();
    let place = Place::new().with("handlers.json", "[]").with("cert.pem", &pair.cert.pem());
    let missing = place.run(&[&["check"], &files[..]].concat(), &[]);
    assert!(
        missing.code == Some(78) && missing.out.contains("--tls-key is key.pem"),
        "{missing:?}"
    );
    let place = place.with("key.pem", "no key");
    for (command, output) in [("check", "out"), ("serve", "err")] {
        let ended = place.run(&[&[command], &files[..]].concat(), &[]);
        let said = if output == "out" { &ended.out } else { &ended.err };
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(said.contains("key.pem: ") && said.contains("it holds no private key"), "{said}");
    }
    let place = place.with("key.pem", &pair.signing_key.serialize_pem());
    assert_eq!(place.run(&[&["check"], &files[..]].concat(), &[]).code, Some(0));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().unwrap();
    // With nobody left to read, the first write already breaks.
    drop(reader);
    let output = place.command(&["settings", "--default"]).stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stderr, b"");
}

#[test]
fn a_server_that_may_not_start_says_why_and_ends() {
    let place = Place::new().with("handlers.json", TABLE).with("bad.json", "[{}]");
    let ports = ["--listen", "127.0.0.1:0", "--internal", "off", "--store", "memory:"];
    // Without a command, callgate serves.
    for serve in [&[][..], &["serve"]] {
        let ended = |words: &[&str]| place.run(&[serve, &ports, words].concat(), &[]);
        for (words, code, why) in [
            (
                &["--app", "my shop"][..],
                78,
                "callgate: bad settings\nerror: --app is \"my shop\"; ",
            ),
            (&["--safety", "strict"], 78, "callgate: bad settings\nerror: --store is \"memory:\""),
            (&["--handlers", "bad.json"], 65, "callgate: bad.json:1:2: error: row 1: "),
            (&["--strict"], 65, "callgate: handlers.json:2:3: warning: row 1: "),
        ] {
            let ended = ended(words);
            assert_eq!(ended.code, Some(code), "{words:?}: {ended:?}");
            assert!(ended.err.contains(why), "{words:?}: {ended:?}");
            assert_eq!(ended.out, "", "it must not say that it listens");
        }
    }
}

#[test]
fn every_line_of_a_log_in_json_is_json() {
    let place = Place::new().with("handlers.json", TABLE).with("bad.json", "[{}]");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let base = ["--internal", "off", "--store", "memory:", "--log-format", "json"];
    for (words, code, event) in [
        // The classes of the table are not there, and the port is taken: a warning and an end.
        (&["--listen", &taken][..], 74, "table.warning"),
        (&["--listen", "127.0.0.1:0", "--handlers", "bad.json"], 65, "server.failed"),
    ] {
        let ended = place.run(&[&base[..], words].concat(), &[]);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        let lines: Vec<Value> =
            ended.err.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        assert!(lines.iter().any(|line| line["event"] == event), "{ended:?}");
    }
    let quiet =
        place.run(&[&base[..], &["--listen", &taken, "--log-level", "error"]].concat(), &[]);
    assert!(!quiet.err.contains("WARN") && quiet.err.contains("server.failed"), "{quiet:?}");
}

#[test]
fn an_address_that_cannot_be_had_says_what_to_do_about_it() {
    let place = Place::new().with("handlers.json", TABLE);
    let listen = |address: &str| {
        place.run(&["--internal", "off", "--store", "memory:", "--listen", address], &[]).err
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let told = listen(&taken.local_addr().unwrap().to_string());
    assert!(told.contains("is another callgate running?"), "{told}");
    // An address of documentation, which no machine has (RFC 5737).
    let told = listen("192.0.2.1:8044");
    assert!(told.contains("no interface of this machine") && !told.contains("another"), "{told}");
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_ends_with_74() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Place::new().command(&["settings"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(74), "{output:?}");
}

#[test]
fn looking_writes_nothing() {
    let place = Place::new().with("handlers.json", TABLE);
    for words in [&["settings"][..], &["check"], &["explain", "GET", "/"]] {
        place.run(words, &[]);
    }
    let names: Vec<_> =
        std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["handlers.json"], "neither a store nor a key is made");
}

/// What the system shows of a process that leaves no core dump belongs to root, whoever runs it
/// (proc(5), `PR_SET_DUMPABLE`).
#[cfg(target_os = "linux")]
#[test]
fn what_serves_leaves_no_core_dump_unless_it_is_told_to() {
    use std::io::BufRead;
    use std::io::BufReader;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    /// Nobody, as whom root runs the program, because what is root's looks the same either way.
    const NOBODY: u32 = 65_534;
    for (wanted, shown_to_root_only) in [("off", true), ("on", false)] {
        let place = Place::new().with("handlers.json", "[]");
        let everybody = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(place.path(), everybody).unwrap();
        let words = ["serve", "--listen", "127.0.0.1:0", "--internal", "off", "--store", "memory:"];
        let mut command = place.command(&words);
        command.env("CALLGATE_CORE_DUMPS", wanted);
        program::keep_defect(&mut command);
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listens = lines.any(|line| line.is_ok_and(|line| line.starts_with("listening on")));
        let owner = std::fs::metadata(format!("/proc/{}/environ", child.id())).map(|it| it.uid());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(listens, "it did not serve");
        assert_eq!(owner.unwrap() == 0, shown_to_root_only, "core_dumps = {wanted:?}");
    }
}
