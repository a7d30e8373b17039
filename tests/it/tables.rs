//! Handler tables as data: good ones with requests and their answers, bad ones with every problem.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use callgate::table::BasePath;
use callgate::table::CanonicalPath;
use callgate::table::CheckedTable;
use callgate::table::Lookup;
use callgate::table::Problem;
use callgate::table::Resolution;
use callgate::table::Table;
use callgate::table::explain;

/// The tables of one folder, in the order of their names. Every other file must belong to one.
fn tables(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let (mut files, others): (Vec<PathBuf>, Vec<PathBuf>) = entries
        .map(|entry| entry.unwrap().path())
        .partition(|path| path.extension().is_some_and(|extension| extension == "json"));
    for other in others {
        assert!(files.contains(&other.with_extension("json")), "{} has no table", other.display());
    }
    files.sort();
    files
}

/// Fails with what differs, below the names of all tables that were run.
fn judge(files: &[PathBuf], differences: &[String]) {
    let names: Vec<&str> = files.iter().map(|file| name(file)).collect();
    assert!(differences.is_empty(), "ran {}\n{}", names.join(", "), differences.join("\n"));
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// What the table says to one request, in the notation of the `.requests` files.
fn answer(table: &Table, verb: &str, target: &str, base: &BasePath) -> String {
    let explanation = explain(table, verb, target, base);
    match explanation.answer {
        Resolution::Row => explanation.row.unwrap().to_string(),
        Resolution::NotFound => "404".to_owned(),
        Resolution::MethodNotAllowed => format!("405 {}", explanation.allow.unwrap().join(", ")),
        Resolution::BadPath => "bad".to_owned(),
        Resolution::Reserved => "reserved".to_owned(),
        Resolution::NotImplemented => "501".to_owned(),
        Resolution::TargetTooLong => "414".to_owned(),
        Resolution::BadRequest => "400".to_owned(),
    }
}

/// The same without `explain`, for plain paths.
fn found(table: &Table, verb: &str, target: &str, base: &BasePath) -> Option<String> {
    let raw = target.split('?').next()?;
    let path = CanonicalPath::of(raw, base).ok().filter(|path| !path.is_reserved())?;
    Some(match table.find(verb, &path) {
        Lookup::Row(row) => row.number().to_string(),
        Lookup::NoSuchPath => "404".to_owned(),
        Lookup::VerbNotAllowed(allow) => format!("405 {allow}"),
    })
}

/// What `check` says of a table that works, in the order of the file: what is odd about each row,
/// and what was proven of all.
fn warnings_of(file: &str, checked: &CheckedTable) -> Vec<Problem> {
    let proof = checked.table.prove(file);
    assert_eq!(proof.undecided(), [0; 0], "{file} is small enough to be decided");
    let mut all = [checked.warnings.clone(), proof.problems].concat();
    all.sort_by_key(|problem| (problem.line, problem.column));
    all
}

/// Runs one `.requests` file; returns what differs and the number of requests.
fn run(file: &str, checked: &CheckedTable, requests: &str) -> (Vec<String>, usize) {
    let mut base = BasePath::none();
    let mut differences = Vec::new();
    let mut warnings = Vec::new();
    let mut asked = 0;
    for (line, number) in requests.lines().zip(1..) {
        let at = format!("{file} (line {number} of its requests)");
        if line.is_empty() || line.starts_with('#') {
        } else if let Some(prefix) = line.strip_prefix("base_path ") {
            base = BasePath::parse(prefix).unwrap();
        } else if let Some(warning) = line.strip_prefix("warning ") {
            warnings.push(warning.to_owned());
        } else {
            let (request, expected) = line.split_once(" -> ").unwrap_or_else(|| panic!("{at}"));
            let (verb, target) = request.split_once(' ').unwrap_or_else(|| panic!("{at}"));
            let got = answer(&checked.table, verb, target, &base);
            if got != expected {
                differences.push(format!("{at}: {request} -> {got}, expected {expected}"));
            }
            let found = found(&checked.table, verb, target, &base);
            if found.as_ref().is_some_and(|found| *found != got) {
                differences.push(format!("{at}: explain says {got}, find says {found:?}"));
            }
            asked += 1;
        }
    }
    let given: Vec<String> = warnings_of(file, checked)
        .iter()
        .map(|problem| format!("{}:{} {}", problem.line, problem.column, problem.code))
        .collect();
    if given != warnings {
        differences.push(format!("{file}: warnings {given:#?}, expected {warnings:#?}"));
    }
    (differences, asked)
}

#[test]
fn good_tables_answer_every_documented_request() {
    let files = tables("good");
    assert!(files.len() >= 20, "only {} good tables", files.len());
    let mut differences = Vec::new();
    for path in &files {
        let file = name(path);
        match Table::read(file, &read(path)) {
            Err(problems) => {
                differences.extend(problems.iter().map(|problem| format!("{file}: {problem}")));
            }
            Ok(checked) => {
                let (found, asked) = run(file, &checked, &read(&path.with_extension("requests")));
                assert!(asked > 0, "{file} has no requests");
                differences.extend(found);
            }
        }
    }
    judge(&files, &differences);
}

/// Every problem as its line and, below it, its code: the notation of the `.expected` files.
fn rendered(result: Result<CheckedTable, Vec<Problem>>) -> String {
    match result {
        Ok(_) => "no problem\n".to_owned(),
        Err(problems) => lines(&problems),
    }
}

fn lines(problems: &[Problem]) -> String {
    let lines = problems.iter().map(|problem| format!("{problem}\n  [{}]\n", problem.code));
    lines.collect::<Vec<_>>().concat()
}

#[test]
fn doubtful_tables_work_and_report_what_is_probably_not_meant() {
    let files = tables("doubtful");
    assert!(files.len() >= 8, "only {} doubtful tables", files.len());
    let mut differences = Vec::new();
    for path in &files {
        let file = name(path);
        let got = match Table::read(file, &read(path)) {
            Err(problems) => lines(&problems),
            Ok(checked) => lines(&warnings_of(file, &checked)),
        };
        let expected = fs::read_to_string(path.with_extension("expected")).unwrap_or_default();
        if got != expected {
            differences.push(format!("{file}\nexpected:\n{expected}got:\n{got}"));
        }
    }
    judge(&files, &differences);
}

#[test]
fn bad_tables_report_every_problem_with_its_way_out() {
    let files = tables("bad");
    assert!(files.len() >= 45, "only {} bad tables", files.len());
    let mut differences = Vec::new();
    for path in &files {
        let got = rendered(Table::read(name(path), &read(path)));
        let expected = fs::read_to_string(path.with_extension("expected")).unwrap_or_default();
        if got != expected {
            differences.push(format!("{}\nexpected:\n{expected}got:\n{got}", name(path)));
        }
    }
    judge(&files, &differences);
}

#[test]
fn every_problem_of_a_table_comes_in_one_report_in_the_order_of_the_file() {
    let text = r#"[
        { "class": "A.", "method": "", "pattern": "rest", "verbs": "GET,", "otp": { "mode": "shar" } },
        { "class": 1, "regexPattern": "(", "requires": "" }
    ]"#;
    let problems = Table::read("handlers.json", text).unwrap_err();
    let codes: Vec<_> = problems.iter().map(|problem| (problem.row, problem.code)).collect();
    let expected = [
        (Some(1), "bad-class"),
        (Some(1), "bad-method"),
        (Some(1), "pattern-reserved"),
        (Some(1), "bad-verb"),
        (Some(1), "unknown-mode"),
        (Some(2), "missing-property"),
        (Some(2), "wrong-type"),
        (Some(2), "regex-invalid"),
        (Some(2), "requires-empty"),
    ];
    assert_eq!(codes, expected);
}

#[test]
fn limits_of_a_table_hold_exactly() {
    let row = r#"{"class":"A","method":"a","pattern":"a"}"#;
    let table = |rows: usize| format!("[{}]", vec![row; rows].join(","));
    assert_eq!(Table::read("t", &table(1_000)).unwrap().table.rows().len(), 1_000);
    let codes = |text: &str| -> Vec<&str> {
        Table::read("t", text).unwrap_err().iter().map(|problem| problem.code).collect()
    };
    assert_eq!(codes(&table(1_001)), ["table-too-many-rows"]);
    assert_eq!(codes(&format!("[{}]", " ".repeat(1024 * 1024))), ["table-too-large"]);
    assert_eq!(codes(&format!("{}{}", "[".repeat(33), "]".repeat(33))), ["table-too-deep"]);
    let pattern =
        |text: String| format!(r#"[{{"class":"A","method":"a","regexPattern":"{text}"}}]"#);
    assert!(Table::read("t", &pattern(format!("/{}", "a".repeat(1_023)))).is_ok());
    assert_eq!(codes(&pattern(format!("/{}", "a".repeat(1_024)))), ["pattern-too-long"]);
}

#[test]
fn a_file_of_nothing_but_repeats_is_reported_all_the_same() {
    // 30,000 keys on one line: a reader that compares all with all would not come back.
    let members = vec![r#""comment":0"#; 30_000].join(",");
    let problems = Table::read("t", &format!("[{{{members}}}]")).unwrap_err();
    assert_eq!(problems.iter().filter(|problem| problem.code == "duplicate-key").count(), 29_999);
}
