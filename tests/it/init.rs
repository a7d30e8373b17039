//! `callgate init` as a newcomer uses it: what it writes works, and what it prints can be copied.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use callgate::base::Clock;
use callgate::base::clock::SystemClock;
use tempfile::TempDir;

use crate::support::program;

/// What a project is made of.
const FILES: [&str; 8] = [
    ".gitignore",
    ".vscode/settings.json",
    "callgate.d.ts",
    "callgate.toml",
    "classes/RequestHandler.js",
    "handlers.json",
    "handlers.schema.json",
    "jsconfig.json",
];

/// A folder in which somebody types commands.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn callgate(&self, words: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command.args(words).env_clear();
        Ended::of(&program::output(command.current_dir(self.path())))
    }

    /// Runs lines as a person who pastes them into a terminal.
    fn paste(&self, lines: &[&str]) -> Ended {
        Ended::of(&program::output(&mut self.shell(&lines.join("\n"))))
    }

    fn shell(&self, lines: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-ec", lines]).current_dir(self.path()).stdin(Stdio::null());
        command.env("CALLGATE_INTERNAL", "off").env_remove("CALLGATE_LISTEN");
        command
    }

    fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(self.path().join(&folder)).unwrap() {
                let entry = entry.unwrap();
                let path = folder.join(entry.file_name());
                if entry.file_type().unwrap().is_dir() {
                    folders.push(path);
                } else {
                    found.push(path.to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        found
    }
}

/// What a command printed, and its exit code.
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

    fn well(self) -> String {
        assert_eq!((self.code, &*self.err), (Some(0), ""), "{self:?}");
        self.out
    }
}

/// A server that ends with the test.
struct Serving(Child);

impl Serving {
    /// Returns once it accepts requests.
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let serving = Self(child);
        let listens = out.lines().any(|line| line.unwrap().starts_with("listening on "));
        assert!(listens, "it ended before it listened");
        serving
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// An address that nobody listens on.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The commands in what `init` printed, each on a line of its own.
fn commands(printed: &str) -> Vec<&str> {
    printed.lines().filter_map(|line| line.strip_prefix("  ")).collect()
}

#[test]
fn from_init_to_a_restored_session_by_the_printed_commands_alone() {
    let (desk, began) = (Desk::new(), SystemClock.now());
    let address = free_address();
    let printed = desk.callgate(&["init", "my first shop", "--listen", &address]).well();
    let commands = commands(&printed);
    let [enter, check, serve, ask, follow, look] = commands[..] else { panic!("{commands:?}") };

    let checked = desk.paste(&[enter, check]).well();
    assert!(checked.contains("handlers.json: 3 rows, no problems"), "{checked}");
    // The shell becomes the server, so that ending the one ends the other.
    let serving = Serving::start(desk.shell(&format!("{enter}\nexec {serve}")));
    let said = desk.paste(&[ask, follow, look]).well();
    let expected = "Congratulations, ann@example.com is validated.\n\
                    {\"result\":{\"step\":\"Email validated\",\"email\":\"ann@example.com\"}}";
    assert_eq!(said, expected);
    drop(serving);
    println!(
        "{} commands and {:?} to a restored session",
        commands.len() + 1,
        SystemClock.now().since(began)
    );
}

#[test]
fn a_link_of_the_new_project_counts_once_and_for_one_session() {
    let desk = Desk::new();
    let address = free_address();
    desk.callgate(&["init", ".", "--listen", &address]).well();
    let _serving = Serving::start(
        desk.shell(&format!("exec '{}' serve --store memory:", env!("CARGO_BIN_EXE_callgate"))),
    );
    let ask = format!("link=$(curl -s -c jar -d email=ann@example.com http://{address}/start)");
    let said = desk.paste(&[&ask, "curl -s $link", "curl -s $link"]).well();
    assert!(said.ends_with("This link does not count: used.\n"), "{said}");

    let browser = "curl -s -A Mozilla/5.0 -H 'Accept: text/html' -c other -o congratulations $link";
    let other = format!("curl -s -b other http://{address}/");
    let joined = desk.paste(&[&ask, browser, &other]).well();
    assert!(joined.contains("Email validated"), "another browser is in the session: {joined}");

    let stranger = desk.paste(&[&format!("curl -s http://{address}/")]).well();
    assert_eq!(stranger, "{\"result\":\"nothing yet\"}");
    let none = desk.paste(&[&format!("curl -s http://{address}/validateEmail")]).well();
    assert_eq!(none, "This link does not count: absent.\n");
}

#[test]
fn nothing_is_overwritten_and_everything_in_the_way_is_named() {
    let desk = Desk::new();
    let written = desk.callgate(&["init"]).well();
    assert!(!written.contains("cd "), "one is there already: {written}");
    assert_eq!(desk.files(), FILES);

    fs::write(desk.path().join("handlers.json"), "[]").unwrap();
    fs::remove_file(desk.path().join("jsconfig.json")).unwrap();
    let again = desk.callgate(&["init"]);
    assert_eq!((again.code, &*again.out), (Some(74), ""));
    for name in FILES {
        assert_eq!(again.err.contains(name), name != "jsconfig.json", "{name}: {}", again.err);
    }
    assert_eq!(fs::read_to_string(desk.path().join("handlers.json")).unwrap(), "[]");
    assert!(!desk.path().join("jsconfig.json").exists(), "nothing was written");
}

#[test]
fn a_link_that_leads_nowhere_is_in_the_way() {
    let desk = Desk::new();
    let elsewhere = desk.path().join("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, desk.path().join("callgate.toml")).unwrap();
    let ended = desk.callgate(&["init"]);
    assert_eq!(ended.code, Some(74));
    assert!(ended.err.contains("overwritten: callgate.toml;"), "{}", ended.err);
    assert!(!elsewhere.exists());
}

#[test]
fn a_folder_that_cannot_be_made_and_an_address_that_is_none_are_refused() {
    let desk = Desk::new();
    fs::write(desk.path().join("file"), "").unwrap();
    let ended = desk.callgate(&["init", "file/shop"]);
    assert_eq!((ended.code, &*ended.out), (Some(74), ""));
    assert!(ended.err.starts_with("callgate: file/shop/handlers.json: cannot be"), "{}", ended.err);
    let ended = desk.callgate(&["init", "shop", "--listen", "here"]);
    assert_eq!(ended.code, Some(64), "{}", ended.err);
    assert_eq!(desk.files(), ["file"]);
}

#[test]
fn the_settings_of_the_new_project_hold_with_every_line_of_them() {
    let desk = Desk::new();
    desk.callgate(&["init"]).well();
    let file = desk.path().join("callgate.toml");
    let written = fs::read_to_string(&file).unwrap();
    let unset = |line: &str| {
        line.strip_prefix('#')
            .filter(|rest| rest.starts_with(char::is_alphabetic))
            .map(str::to_owned)
    };
    let all: Vec<String> =
        written.lines().map(|line| unset(line).unwrap_or(line.to_owned())).collect();
    assert_ne!(all.join("\n"), written.trim_end(), "no line is unset");
    fs::write(&file, all.join("\n")).unwrap();
    let checked = desk.callgate(&["check", "--strict"]).well();
    assert!(checked.contains("settings: no problems"), "{checked}");
}

#[test]
fn what_editors_need_can_be_had_anew_after_an_upgrade() {
    let desk = Desk::new();
    desk.callgate(&["init"]).well();
    let file = |name: &str| fs::read_to_string(desk.path().join(name)).unwrap();
    assert_eq!(desk.callgate(&["check", "--types"]).well(), file("callgate.d.ts"));
    assert_eq!(desk.callgate(&["check", "--schema"]).well(), file("handlers.schema.json"));
    assert_eq!(desk.callgate(&["check", "--types", "--schema"]).code, Some(64));
}

#[test]
fn the_table_of_a_4d_project_gets_a_class_for_every_one_that_it_names() {
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables/good");
    for name in ["real-hdi-http-request-handler", "real-netkit-host", "real-mcp", "table-b"] {
        let desk = Desk::new();
        let from = good.join(format!("{name}.json"));
        let printed = desk.callgate(&["init", "--from", from.to_str().unwrap()]).well();
        assert!(printed.contains("docs/FROM-4D.md"), "{printed}");
        let (table, written) = (fs::read(&from).unwrap(), desk.path().join("handlers.json"));
        assert_eq!(fs::read(written).unwrap(), table, "{name}: as it was");
        let checked = desk.callgate(&["check"]);
        assert_eq!(checked.code, Some(0), "{name}: {checked:?}");
        for missing in ["missing-function", "class-unreached", "Cannot find"] {
            assert!(!checked.out.contains(missing), "{name}: {checked:?}");
        }
        let again = desk.callgate(&["init", "--from", from.to_str().unwrap()]);
        assert_eq!((again.code, &*again.out), (Some(74), ""), "{again:?}");
        assert!(again.err.contains("handlers.json"), "{again:?}");
    }
    let desk = Desk::new();
    let from = good.join("real-hdi-http-request-handler.json");
    desk.callgate(&["init", "--from", from.to_str().unwrap()]).well();
    let class = fs::read_to_string(desk.path().join("classes/FilesHandling.js")).unwrap();
    assert!(class.contains("export default class FilesHandling {"), "{class}");
    assert!(class.contains("handleFiles(request, session) {"), "{class}");
    assert!(class.contains("pattern fileUpload") && class.contains("/fileDownload"), "{class}");
}

#[test]
fn names_that_no_class_of_javascript_can_have_are_written_all_the_same() {
    let desk = Desk::new();
    let table = r#"[
        { "class": "4D.My.7Class", "method": "1st", "pattern": "a" },
        { "class": "delete", "method": "new", "regexPattern": "/b*/c" },
        { "class": "_Plain", "method": "$x", "pattern": "c" }
    ]"#;
    fs::write(desk.path().join("HTTPHandlers.json"), table).unwrap();
    desk.callgate(&["init", "project", "--from", "HTTPHandlers.json"]).well();
    let checked = desk.paste(&[&format!("cd project && {} check", env!("CARGO_BIN_EXE_callgate"))]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(!checked.out.contains("missing-function"), "{checked:?}");
}

#[test]
fn a_table_that_is_broken_is_told_and_nothing_is_written() {
    let desk = Desk::new();
    for (text, code, said) in [
        (
            "[{ \"class\": \"A\", \"method\": \"b\", \"pattern\": \"/rest/x\" }]",
            65,
            "table.json:1:",
        ),
        ("{}", 65, "table.json:1:1"),
    ] {
        fs::write(desk.path().join("table.json"), text).unwrap();
        let ended = desk.callgate(&["init", "project", "--from", "table.json"]);
        assert_eq!((ended.code, &*ended.out), (Some(code), ""), "{ended:?}");
        assert!(ended.err.contains(said), "{ended:?}");
    }
    let ended = desk.callgate(&["init", "project", "--from", "nowhere.json"]);
    assert_eq!(ended.code, Some(74), "{ended:?}");
    assert!(!desk.path().join("project").exists());
}
