//! `callgate check` tells everything at once, whatever else is broken, and a protection that cannot
//! be kept is refused at the start.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::program;

/// A folder to run the program in.
struct Place(TempDir);

/// What the program printed, and its exit code.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Place {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for (file, bytes) in files {
            place.write(file, bytes);
        }
        place
    }

    fn write(&self, file: &str, bytes: &[u8]) {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn chmod(&self, file: &str, mode: u32) {
        let path = self.path().join(file);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn run(&self, words: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command.args(words).current_dir(self.path()).env_clear();
        let output = program::output(&mut command);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The exit code of `check`, and each problem as `file code row`.
    fn check(&self, more: &[&str]) -> (Option<i32>, Vec<String>) {
        let ended = self.run(&[&["check", "--format", "json"], more].concat());
        let report: Value =
            serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{ended:?}"));
        let problem = |problem: &Value| {
            let file = problem["file"].as_str().unwrap_or("settings");
            let (code, row) = (problem["code"].as_str().unwrap(), &problem["row"]);
            assert!(!problem["fix"].as_str().unwrap().is_empty(), "{problem}");
            format!("{file} {code} {row}")
        };
        (ended.code, report["problems"].as_array().unwrap().iter().map(problem).collect())
    }

    /// The texts of all problems of `check`, with their ways out.
    fn told(&self) -> String {
        self.run(&["check"]).out
    }
}

/// Rows with something odd about each of them, and what is to be said of them.
const ODD_ROWS: &str = r#"
  { "class": "Mail", "method": "paid", "pattern": "paid", "verbs": "GET" },
  { "class": "Mail", "method": "paid", "pattern": "paid", "verbs": "GET" },
  { "class": "Mail", "method": "paid", "regexPattern": "/docs" },
  { "class": "Mail", "method": "paid", "pattern": "docs/never" },
  { "class": "Mail", "method": "forgotten", "pattern": "a", "requires": "admn" },
  { "class": "Shop", "method": "open", "pattern": "b", "otp": { "strip": true } },
  { "forward": "http://app:3000", "pattern": "c" },
  { "class": "Mail", "method": "paid", "pattern": "orders/:id" }"#;

const ODD: [&str; 8] = [
    "handlers.json duplicate-row",
    "handlers.json unreachable-row",
    "handlers.json missing-function",
    "handlers.json unknown-privilege",
    "handlers.json strict-strip",
    "handlers.json forward-private",
    "handlers.json pattern-placeholder",
    "classes/Mail.js class-unreached",
];

const MAIL: &[u8] = b"export default class Mail { paid() {} unused() {} }";
const ROLES: &[u8] = br#"{ "privileges": [{ "privilege": "admin" }] }"#;
const SETTINGS: &[u8] = b"[cookie]\nsame_site = \"Strict\"\n";

fn odd(found: &[String]) -> Vec<&'static str> {
    ODD.into_iter().filter(|odd| !found.iter().any(|it| it.starts_with(odd))).collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn whatever_is_broken_hides_nothing_else() {
    let table = |rows: &str| format!("[{rows}\n]").into_bytes();
    let good = table(ODD_ROWS);
    let (broken, mended) = (65, 0);
    let breakages: [(&str, &str, Vec<u8>, &str); 12] = [
        (
            "handlers.json",
            "a row without what answers",
            table(&format!("\n {{ \"pattern\": \"x\" }},{ODD_ROWS}")),
            "missing-property",
        ),
        (
            "handlers.json",
            "an expression that is none",
            table(&format!(
                "\n {{ \"class\": \"A\", \"method\": \"a\", \"regexPattern\": \"(\" }},{ODD_ROWS}"
            )),
            "regex-invalid",
        ),
        (
            "handlers.json",
            "an unknown mode",
            table(&format!(
                "\n {{ \"class\": \"Mail\", \"method\": \"paid\", \"pattern\": \"x\", \"otp\": {{ \"mode\": \"shar\" }} }},{ODD_ROWS}"
            )),
            "unknown-mode",
        ),
        ("handlers.json", "a trailing comma", table(&format!("{ODD_ROWS},")), "syntax"),
        (
            "handlers.json",
            "a missing comma",
            table(&format!(
                "\n {{ \"class\": \"Mail\", \"method\": \"paid\", \"pattern\": \"x\" }}{ODD_ROWS}"
            )),
            "syntax",
        ),
        (
            "handlers.json",
            "a text that is not closed",
            table(&format!(
                "\n {{ \"class\": \"Mail, \"method\": \"paid\",\n   \"pattern\": \"x }},{ODD_ROWS}"
            )),
            "syntax",
        ),
        ("handlers.json", "a comment with #", table(&format!("\n # all rows{ODD_ROWS}")), "syntax"),
        (
            "handlers.json",
            "a merge conflict",
            table(&format!("\n<<<<<<< HEAD{ODD_ROWS}\n=======\n  {{}}\n>>>>>>> other")),
            "syntax",
        ),
        (
            "roles.json",
            "an unknown property",
            br#"{ "privileges": [], "forceLogn": true }"#.to_vec(),
            "unknown-property",
        ),
        ("callgate.toml", "a syntax error", [SETTINGS, b"app = \"x\n"].concat(), "syntax"),
        (
            "classes/Broken.js",
            "a class that does not compile",
            b"export default class {".to_vec(),
            "class-syntax",
        ),
        (
            "classes/Broken.js",
            "a class that is not UTF-8",
            b"\xff\xfe".to_vec(),
            "class-unreadable",
        ),
    ];
    let files: [(&str, &[u8]); 4] = [
        ("handlers.json", &good),
        ("classes/Mail.js", MAIL),
        ("roles.json", ROLES),
        ("callgate.toml", SETTINGS),
    ];
    let place = Place::new(&files);
    let (code, found) = place.check(&[]);
    assert_eq!((code, odd(&found)), (Some(mended), vec![]), "{found:#?}");
    for (file, what, bytes, code) in breakages {
        let place = Place::new(&files);
        place.write(file, &bytes);
        let (exit, found) = place.check(&[]);
        let missing: Vec<&str> = odd(&found)
            .into_iter()
            // Nobody can say which privileges there are, or what the cookie is like.
            .filter(|odd| !(file == "roles.json" && odd.ends_with("unknown-privilege")))
            .filter(|odd| !(file == "callgate.toml" && odd.ends_with("strict-strip")))
            .collect();
        assert_eq!(missing, [""; 0], "{what} hides something: {found:#?}");
        let expected = if file == "callgate.toml" { 78 } else { broken };
        assert_eq!(exit, Some(expected), "{what}");
        let own = found
            .iter()
            .find(|it| it.starts_with(file) && (it.contains(code) || file.starts_with("classes/")));
        assert!(own.is_some(), "{what}: {found:#?}");
    }
}

#[test]
fn rows_that_are_left_out_keep_the_numbers_of_the_others() {
    let table = b"[\n  { \"pattern\": \"x\" },\n  { \"class\": \"A\", \"method\": \"a\", \"pattern\": \"p\" },\n  { \"class\": \"A\", \"method\": \"a\", \"pattern\": \"p/q\" }\n]";
    let told = Place::new(&[("handlers.json", table)]).told();
    assert!(
        told.contains("warning: row 3: pattern \"p/q\" can never answer: row 2 takes all"),
        "{told}"
    );
    assert!(told.contains("error: row 1: \"class\" is missing"), "{told}");
}

#[test]
fn broken_settings_do_not_hide_the_table_that_they_name() {
    let place = Place::new(&[
        ("callgate.toml", b"handlers = \"rows/table.json\"\nlisten = \"127.0.0.1:1\nx = 1\n"),
        ("rows/table.json", b"[{}]"),
    ]);
    let (code, found) = place.check(&[]);
    assert_eq!(code, Some(65));
    assert!(found.contains(&"rows/table.json missing-property 1".to_owned()), "{found:#?}");
    assert!(found.contains(&"callgate.toml syntax null".to_owned()), "{found:#?}");
}

/// Slips of the pen in a row, and what the way out must say.
const SLIPS: [(&str, &str); 24] = [
    (r#""confirm": "always""#, "move it into \"otp\": \"otp\": { \"confirm\": \"always\" }"),
    (r#""mode": "share""#, "\"otp\": { \"mode\": \"share\" }"),
    (r#""param": "state""#, "\"otp\": { \"param\": \"state\" }"),
    (r#""strip": true"#, "\"otp\": { \"strip\": true }"),
    (r#""onRefused": {}"#, "move it into \"otp\""),
    (r#""redirect": "/gone""#, "\"onRefused\": { \"redirect\": \"/gone\" }"),
    (r#""bodyBytes": 5"#, "\"limits\": { \"bodyBytes\": 5 }"),
    (r#""timeout": "5s""#, "write \"limits\" if that is meant"),
    (r#""otp": { "repeat": 5 }"#, "move it out of \"otp\" into the row: \"repeat\": 5"),
    (r#""otp": { "requires": "a" }"#, "move it out of \"otp\" into the row: \"requires\": \"a\""),
    (r#""limits": { "repeat": 5 }"#, "into the row: \"repeat\": 5"),
    (r#""repeat": "10m""#, "write the number of seconds without quotes: 600"),
    (r#""repeat": "600""#, "without quotes: 600"),
    (r#""repeat": 10m"#, "10m has a unit, which a number of JSON has not"),
    (r#""limits": { "timeoutMs": "5s" }"#, "write the number of milliseconds without quotes: 5000"),
    (r#""limits": { "bodyBytes": "1MB" }"#, "write the number of bytes without quotes: 1048576"),
    (r#""verbs": ["GET"]"#, "write one text: \"GET\""),
    (r#""verbs": ["get", "post"]"#, "write one text: \"GET, POST\""),
    (r#""verb": "GET""#, "write \"verbs\" if that is meant"),
    (r#""methods": "GET""#, "write \"verbs\" if that is meant"),
    (r#""roles": "admin""#, "write \"requires\" if that is meant"),
    (r#""path": "/paid""#, "write \"pattern\" if that is meant"),
    (r#""handler": "Mail.paid""#, "write \"class\": \"Mail\", \"method\": \"paid\""),
    (r#""proxy_pass": "http://x""#, "write \"forward\" if that is meant"),
];

#[test]
fn the_way_out_of_a_slip_names_the_place_the_unit_and_the_bare_name() {
    for (slip, way_out) in SLIPS {
        let row =
            format!(r#"[{{ "class": "Mail", "method": "paid", "pattern": "paid", {slip} }}]"#);
        let told =
            Place::new(&[("handlers.json", row.as_bytes()), ("classes/Mail.js", MAIL)]).told();
        assert!(told.contains(way_out), "{slip}: {told}");
    }
    for (names, way_out) in [
        (r#""class": "Mail.js", "method": "paid""#, "write the bare name of the class: \"Mail\""),
        (r#""class": "classes/Mail.js", "method": "paid""#, "write the bare name: \"Mail\""),
        (r#""class": "./Mail", "method": "paid""#, "write the bare name: \"Mail\""),
        (r#""class": "Mail", "method": "paid()""#, "write the bare name: \"paid\""),
        (r#""class": "Mail.paid""#, "\"class\": \"Mail\", \"method\": \"paid\""),
        (r#""class": "Mail", "method": "Mail.paid""#, "write the part before the dot as \"class\""),
    ] {
        let row = format!(r#"[{{ {names}, "pattern": "paid" }}]"#);
        let told =
            Place::new(&[("handlers.json", row.as_bytes()), ("classes/Mail.js", MAIL)]).told();
        assert!(told.contains(way_out), "{names}: {told}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn a_file_of_another_kind_is_told_what_it_is() {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let big = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let four =
        |text: &str| text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<u8>>();
    let row = r#"{ "class": "Mail", "method": "paid", "pattern": "paid" }"#;
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (wide("\u{feff}[]"), "1:1: error: is UTF-16; save it as UTF-8"),
        (wide("[]"), "1:1: error: is UTF-16; save it as UTF-8"),
        (big("\u{feff}[]"), "is UTF-16; save it as UTF-8"),
        (big("[]"), "is UTF-16; save it as UTF-8"),
        (four("\u{feff}[]"), "is UTF-32; save it as UTF-8"),
        (four("[]"), "is UTF-32; save it as UTF-8"),
        (b"[\n \"caf\xe9\"]".to_vec(), "2:6: error: is not UTF-8"),
        (format!("# rows\n[{row}]").into_bytes(), "begin comments with //"),
        (format!("[{}]", row.replace('"', "\u{201c}")).into_bytes(), "a typographic quote"),
        (
            format!("[{}]", row.replace('"', "'")).into_bytes(),
            "single quotes around text; use double quotes",
        ),
        (
            format!("[\n<<<<<<< HEAD\n{row}\n=======\n{row}\n>>>>>>> x\n]").into_bytes(),
            "2:1: error: a mark of a merge conflict",
        ),
        (format!("\u{feff}\u{feff}[{row}]").into_bytes(), "a second byte order mark"),
        (format!("[\0{row}]").into_bytes(), "a NUL byte"),
        (format!("[\u{a0}{row}]").into_bytes(), "an invisible character (U+00A0)"),
        (format!("[\r{row}\r]").into_bytes(), "carriage return alone"),
        (b"- class: Mail\n  method: paid\n".to_vec(), "this looks like YAML"),
        (b"class: Mail\n".to_vec(), "this looks like YAML"),
        (b"[[handlers]]\nclass = \"Mail\"\n".to_vec(), "this looks like TOML"),
        (b"export default [];\n".to_vec(), "this looks like JavaScript"),
        (b"<handlers/>\n".to_vec(), "this looks like XML"),
        (
            format!("[{}]", row.replace("\"paid\" }", "True }")).into_bytes(),
            "True is Python's word",
        ),
        (
            format!("[{}]", row.replace("\"paid\" }", "None }")).into_bytes(),
            "None is another language's word",
        ),
        (
            format!("[{}]", row.replace(" }", ", \"repeat\": NaN }")).into_bytes(),
            "NaN is no number of JSON",
        ),
        (
            format!("[{}]", row.replace(" }", ", \"repeat\": Infinity }")).into_bytes(),
            "Infinity is no number of JSON",
        ),
        (
            format!("[{}]", row.replace("\"pattern\": \"paid\"", r#""regexPattern": "/paid\Z""#))
                .into_bytes(),
            "write $ for the end of the path",
        ),
        (
            format!("[{}]", row.replace("\"pattern\": \"paid\"", r#""regexPattern": "/paid\\Z""#))
                .into_bytes(),
            "write $ for the end of the path",
        ),
        (
            format!("[{}]", row.replace("\"pattern\": \"paid\"", r#""regexPattern": "\A/paid""#))
                .into_bytes(),
            "leave \\A out",
        ),
        (
            format!(
                "[{}]",
                row.replace("\"pattern\": \"paid\"", r#""regexPattern": "/orders/{id}""#)
            )
            .into_bytes(),
            "write a named group: \"/orders/(?<id>[^/]+)$\"",
        ),
    ];
    for (bytes, said) in cases {
        let told = Place::new(&[("handlers.json", &bytes), ("classes/Mail.js", MAIL)]).told();
        assert!(told.contains(said), "{said}: {told}");
    }
}

#[test]
fn roles_and_settings_of_another_kind_are_told_what_they_are() {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for (file, bytes, said) in [
        ("roles.json", wide("{}"), "roles.json:1:1: error: is UTF-16; save it as UTF-8"),
        (
            "roles.json",
            b"# roles\n{}".to_vec(),
            "roles.json:1:1: error: a comment that begins with #",
        ),
        ("roles.json", b"[]".to_vec(), "roles.json:1:1: error: roles are an object, not a list"),
        ("roles.json", b"{ 'forceLogin': false }".to_vec(), "single quotes around text"),
        ("roles.json", b"forceLogin: true\n".to_vec(), "this looks like YAML"),
        (
            "callgate.toml",
            wide("app = \"a\"\n"),
            "callgate.toml:1:1: error: is UTF-16; save it as UTF-8",
        ),
        ("callgate.toml", "app = \u{201c}a\u{201d}\n".into(), "use plain double quotes"),
        ("callgate.toml", b"app: a\n".to_vec(), "write TOML: name = value"),
        ("callgate.toml", b"<<<<<<< HEAD\napp = \"a\"\n".to_vec(), "a mark of a merge conflict"),
        ("callgate.toml", b"strict = True\n".to_vec(), "write true or false"),
        ("callgate.toml", b"// app\napp = \"a\"\n".to_vec(), "begin comments with #"),
    ] {
        let told = Place::new(&[("handlers.json", b"[]"), (file, &bytes)]).told();
        assert!(told.contains(said), "{said}: {told}");
    }
}

#[test]
fn a_file_of_roles_that_promises_more_than_is_kept_keeps_the_server_from_starting() {
    for (roles, said) in [
        (
            "{ \"permissions\": { \"allowed\": [{ \"applyTo\": \"Employee\", \"type\": \"dataclass\", \"read\": [] }] } }",
            "is about data, which callgate does not serve",
        ),
        (
            "{ \"permissions\": { \"allowed\": [{ \"applyTo\": \"ds\", \"type\": \"datastor\" }] } }",
            "write \"datastore\" if that is meant",
        ),
        (
            "{ \"permissions\": { \"allowed\": [{ \"applyTo\": \"ds\", \"type\": \"datastore\", \"exec\": [] }] } }",
            "write \"execute\" if that is meant",
        ),
        ("{ \"forceLogn\": false }", "write \"forceLogin\" if that is meant"),
        ("[]", "roles are an object, not a list"),
    ] {
        let place = Place::new(&[("handlers.json", b"[]"), ("roles.json", roles.as_bytes())]);
        let words = ["serve", "--store", "memory:", "--listen", "127.0.0.1:0", "--internal", "off"];
        let ended = place.run(&words);
        assert_eq!((ended.code, &*ended.out), (Some(65), ""), "{roles}: {ended:?}");
        assert!(ended.err.contains(said), "{roles}: {ended:?}");
        assert!(place.told().contains(said), "{roles}");
    }
    let harmless = br#"{ "privileges": [], "roles": [], "permissions": { "allowed": [] },
                         "forceLogin": true, "restrictedByDefault": true }"#;
    let place = Place::new(&[("handlers.json", b"[]"), ("roles.json", harmless)]);
    assert_eq!(place.check(&[]), (Some(0), vec![]));
}

#[test]
fn a_row_for_a_privilege_that_nobody_can_have_is_found() {
    let table =
        br#"[{ "class": "Mail", "method": "paid", "pattern": "a", "requires": "admn, Clerk" }]"#;
    let roles = br#"{ "privileges": [{ "privilege": "admin" }], "roles": [{ "role": "Clerk", "privileges": ["admin"] }] }"#;
    let mail = b"export default class Mail { paid() {} }";
    let place =
        Place::new(&[("handlers.json", table), ("roles.json", roles), ("classes/Mail.js", mail)]);
    let told = place.told();
    assert!(told.contains("requires \"admn\", which roles.json does not define"), "{told}");
    assert!(told.contains("write \"admin\" if that is meant"), "{told}");
    assert!(told.contains("requires \"Clerk\", which is a role and no privilege"), "{told}");
    assert_eq!(place.check(&[]).0, Some(0));
    assert_eq!(place.check(&["--strict"]).0, Some(65));
    std::fs::remove_file(place.path().join("roles.json")).unwrap();
    assert_eq!(
        place.check(&["--strict"]),
        (Some(0), vec![]),
        "without the file every name is known"
    );
}

/// Where callgate will not forward to.
#[test]
fn an_upstream_that_will_be_refused_is_found() {
    let check = |url: &str, more: &[&str]| {
        let row = format!(r#"[{{ "forward": "{url}", "pattern": "a" }}]"#);
        Place::new(&[("handlers.json", row.as_bytes())]).check(more).1
    };
    for url in [
        "http://app:3000",
        "http://db.internal",
        "http://x.svc.cluster.local",
        "http://nas.local./",
    ] {
        assert_eq!(check(url, &[]), ["handlers.json forward-private 1"], "{url}");
    }
    for url in
        ["http://0.0.0.0:3000", "http://127.0.0.1:8044", "http://127.0.0.1:8045/x", "http://[::]/"]
    {
        assert_eq!(check(url, &[]), ["handlers.json forward-refused 1"], "{url}");
    }
    for url in [
        "http://localhost:3000",
        "http://127.0.0.1:3000",
        "http://10.0.0.5",
        "https://api.example.com",
    ] {
        assert_eq!(check(url, &[]), [""; 0], "{url}");
    }
    let known: &[&str] = &["--private-hosts", "App, db.internal"];
    assert_eq!(check("http://app:3000", known), [""; 0]);
    assert_eq!(check("http://db.internal", known), [""; 0]);
}

#[test]
fn a_link_that_no_row_answers_and_a_token_for_no_row_are_found() {
    let table = br#"[{ "class": "Mail", "method": "paid", "pattern": "paid" }]"#;
    let mail = |body: &str| {
        format!("export default class Mail {{\n  async paid(r, s) {{\n    {body}\n  }}\n}}\n")
    };
    for (body, code) in [
        ("await s.createCallbackURL('/pied');", "unanswered-link"),
        ("await s.createCallbackURL('/a/../b');", "bad-link"),
        ("await s.createOTP({ for: 'Mail.nope' });", "unknown-handler"),
        (
            "await s.createCallbackURL('/paid', { for: ['Mail.paid', 'Mail.pad'] });",
            "unknown-handler",
        ),
    ] {
        let place =
            Place::new(&[("handlers.json", table), ("classes/Mail.js", mail(body).as_bytes())]);
        let (exit, found) = place.check(&[]);
        assert_eq!(
            (exit, found),
            (Some(0), vec![format!("classes/Mail.js {code} null")]),
            "{body}"
        );
        assert!(place.told().contains("classes/Mail.js:3:"), "{body}");
    }
    for body in [
        "await s.createCallbackURL('/paid?x=1#top');",
        "await s.createCallbackURL('/paid/{ORDER}');",
        "await s.createCallbackURL('/orders/' + r.body);",
        "await s.createOTP({ for: 'Mail.paid' });",
        "// await s.createOTP({ for: 'Mail.nope' });",
    ] {
        let place =
            Place::new(&[("handlers.json", table), ("classes/Mail.js", mail(body).as_bytes())]);
        assert_eq!(place.check(&[]), (Some(0), vec![]), "{body}");
    }
}

const STRONG: &str = "8f3c1d9ab6e2047f5a10c4e97b3d28f6e1590ab7c2d48f630e9b17a5d4c38e62\n";

/// A project that `safety = "strict"` has nothing against.
fn strict_place() -> Place {
    let toml =
        b"safety = \"strict\"\npublic_origin = \"https://shop.example\"\nkeys_file = \"keys\"\n\
                 store = \"embedded:data\"\nlisten = \"127.0.0.1:0\"\ninternal = \"off\"\n";
    let place = Place::new(&[
        ("handlers.json", b"[]"),
        ("callgate.toml", toml),
        ("classes/Mail.js", b"export default class Mail {}"),
        ("roles.json", b"{}"),
        ("keys", STRONG.as_bytes()),
        ("data/store.redb", b""),
        ("cert.pem", b"x"),
        ("key.pem", b"x"),
    ]);
    for (file, mode) in [("keys", 0o600), ("key.pem", 0o600), ("data", 0o700), ("classes", 0o755)] {
        place.chmod(file, mode);
    }
    place
}

#[test]
fn strict_refuses_what_others_could_read_or_write() {
    let refused = |place: &Place, words: &[&str]| {
        let ended = place.run(&[&["settings"], words].concat());
        if ended.code == Some(0) { String::new() } else { ended.err }
    };
    assert_eq!(refused(&strict_place(), &[]), "");
    for (file, mode, said) in [
        (
            "handlers.json",
            0o666,
            "handlers leads to handlers.json, which every user of this machine can write; chmod o-w",
        ),
        ("roles.json", 0o646, "roles leads to roles.json, which every user"),
        ("callgate.toml", 0o666, "callgate.toml, which every user"),
        ("classes", 0o777, "classes leads to classes, which every user"),
        ("classes/Mail.js", 0o666, "classes leads to classes/Mail.js, which every user"),
        ("data", 0o777, "store leads to data, which every user"),
        ("data/store.redb", 0o666, "store leads to data/store.redb, which every user"),
        ("keys", 0o666, "keys_file is in keys, which other users of this machine can read"),
        ("keys", 0o640, "keys_file is in keys, which other users of this machine can read"),
        ("", 0o777, "in which every user of this machine can replace it; chmod o-w"),
    ] {
        let place = strict_place();
        place.chmod(file, mode);
        let err = refused(&place, &[]);
        assert!(err.contains(said), "{file} {mode:o}: {err}");
        let normal = place.run(&["settings", "--safety", "normal"]);
        assert_eq!(normal.code, Some(0), "{file} {mode:o}: {normal:?}");
    }
    let sticky = strict_place();
    sticky.chmod("", 0o1777);
    assert_eq!(refused(&sticky, &[]), "", "in a sticky folder nobody replaces the files of others");
    let made = strict_place();
    made.write("data/callgate.key", STRONG.as_bytes());
    made.chmod("data/callgate.key", 0o666);
    let toml = std::fs::read_to_string(made.path().join("callgate.toml")).unwrap();
    made.write("callgate.toml", toml.replace("keys_file = \"keys\"\n", "").as_bytes());
    let err = refused(&made, &[]);
    assert!(err.contains("store keeps its keys in data/callgate.key, which other users"), "{err}");
    let tls = strict_place();
    tls.chmod("key.pem", 0o644);
    let err = refused(&tls, &["--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
    assert!(err.contains("--tls-key is in key.pem, which other users"), "{err}");
}

#[test]
fn strict_refuses_a_key_that_can_be_guessed() {
    let counting = (0..32).fold(String::new(), |text, byte: u8| text + &format!("{byte:02x}"));
    for (key, said) in [
        ("00".repeat(32), "is one byte over and over"),
        ("0123456789abcdef".repeat(4), "counts up or down"),
        (counting, "counts up or down"),
        (
            "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7beef".to_owned(),
            "repeats a few bytes",
        ),
    ] {
        let place = strict_place();
        place.write("keys", format!("{STRONG}{key}\n").as_bytes());
        let ended = place.run(&["settings"]);
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(ended.err.contains("keys_file has a key at place 2 that"), "{ended:?}");
        assert!(
            ended.err.contains(said) && ended.err.contains("openssl rand -hex 32"),
            "{ended:?}"
        );
        assert!(!ended.err.contains(&key), "a key is never shown");
    }
}

#[test]
fn a_protection_that_cannot_be_kept_is_refused() {
    for (words, code, said) in [
        (
            "--trusted-proxies 0.0.0.0/0",
            78,
            "so that strangers can claim any address; name the network",
        ),
        ("--trusted-proxies 0.0.0.0/1", 78, "so that strangers can claim any address"),
        ("--trusted-proxies ::/0", 78, "so that strangers can claim any address"),
        ("--trusted-proxies 2000::/3", 78, "so that strangers can claim any address"),
        ("--cookie-same-site None", 78, "which browsers only take from a Secure cookie"),
        ("--cookie-prefix host", 78, "which browsers only take from a Secure cookie"),
        (
            "--cookie-secure on --public-origin http://shop.example",
            78,
            "browsers keep no such cookie from http://shop.example",
        ),
        ("--tls-cert cert.pem", 78, "stands without tls.key"),
        ("--tls-key key.pem", 78, "stands without tls.cert"),
        ("--tls-cert nowhere.pem --tls-key key.pem", 78, "which is not a file"),
        (
            "--tls-cert cert.pem --tls-key key.pem --public-origin http://shop.example",
            78,
            "is not https, although tls.cert is set",
        ),
        ("--tls-redirect-listen 127.0.0.1:80", 78, "which is not https"),
        ("--roles nowhere.json", 78, "which is not a file"),
        ("--keys-file nowhere", 78, "which is not a file"),
        ("--confirm-page nowhere.html", 78, "which cannot be read"),
        ("--hosts http://a", 78, "--hosts holds"),
        ("--development --listen 0.0.0.0:8044", 78, "listen is open to other machines"),
        ("--internal 127.0.0.1:8044", 78, "is the address of listen"),
        ("--safety strict", 78, "public_origin is not set; safety is \"strict\""),
        (
            "--safety strict --public-origin http://shop.example",
            78,
            "is not https; safety is \"strict\"",
        ),
        (
            "--safety strict --public-origin https://shop.example --store memory:",
            78,
            "which loses everything; safety is \"strict\"",
        ),
        (
            "--safety strict --public-origin https://shop.example --cookie-secure off",
            78,
            "keeps the cookie from being Secure",
        ),
        ("--safety strict --public-origin https://shop.example --development", 78, "development"),
        (
            "--safety strict --public-origin https://shop.example --core-dumps on",
            78,
            "a core dump holds keys and tokens",
        ),
        (
            "--safety strict --public-origin https://shop.example --rate-limits off",
            0,
            "warning: --rate-limits is \"off\"",
        ),
        ("--session-absolute-minutes 30", 0, "so that the 60 idle minutes never come to an end"),
        ("--limits-connections 100", 0, "so that one address can take them all"),
    ] {
        let place = Place::new(&[("handlers.json", b"[]"), ("cert.pem", b"x"), ("key.pem", b"x")]);
        place.chmod("key.pem", 0o600);
        let words: Vec<&str> = std::iter::once("settings").chain(words.split(' ')).collect();
        let ended = place.run(&words);
        assert_eq!(ended.code, Some(code), "{words:?}: {ended:?}");
        assert!(ended.err.contains(said), "{words:?}: {ended:?}");
    }
}

#[test]
fn a_permission_that_names_nothing_and_a_row_that_is_closed_are_found() {
    let class = b"export default class Shop { static exposed = [\"pay\"]; pay() {} show() {} }";
    let table = br#"[{ "class": "Shop", "method": "show", "pattern": "show" }]"#;
    let roles = br#"{ "restrictedByDefault": true, "privileges": [{ "privilege": "member" }],
  "permissions": { "allowed": [
    { "applyTo": "Shop.pay", "type": "singletonMethod", "execute": ["member"] },
    { "applyTo": "Shop.pya", "type": "singletonMethod", "execute": ["member"] },
    { "applyTo": "Shp", "type": "singleton", "execute": ["member"] },
    { "applyTo": "ds.pay", "type": "method", "execute": ["member"] }
  ] } }"#;
    let place =
        Place::new(&[("handlers.json", table), ("classes/Shop.js", class), ("roles.json", roles)]);
    let told = place.told();
    for said in [
        "roles.json:4:18: warning: a permission names \"Shop.pya\", which nothing calls",
        "write \"Shop.pay\" if that is meant",
        "roles.json:5:18: warning: a permission names \"Shp\"",
        "roles.json:6:18: warning: a permission names \"DataStore.pay\"",
        "roles.json closes \"Shop.show\": nothing in it says who may use it",
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
    assert!(!told.contains("names \"Shop.pay\""), "{told}");
}
