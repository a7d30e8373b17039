//! The JSON Schema of the table, held against the reader: an editor must not refuse what callgate
//! takes, nor complete what it does not know.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use boon::Compiler;
use boon::Schemas;
use callgate::table::Problem;
use callgate::table::SCHEMA;
use callgate::table::Table;
use jsonc_parser::JsonValue;
use serde_json::Value;
use serde_json::json;

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// Why the schema refuses a table; nothing if it takes it. Only draft 7, which is built in, is
/// named in it, so that nothing is fetched.
fn refusal(table: &Value) -> Option<String> {
    let mut compiler = Compiler::new();
    compiler.add_resource("mem:///handlers", schema()).unwrap();
    let mut schemas = Schemas::new();
    let handlers = compiler.compile("mem:///handlers", &mut schemas).unwrap();
    schemas.validate(table, handlers).err().map(|error| format!("{error:#}"))
}

/// The value of a file of JSON with comments; none if it is not well-formed.
fn value(text: &str) -> Option<Value> {
    let text = text.trim_start_matches('\u{feff}');
    let options = jsonc_parser::ParseOptions::default();
    plain(jsonc_parser::parse_to_value(text, &options).ok()??)
}

fn plain(value: JsonValue<'_>) -> Option<Value> {
    Some(match value {
        JsonValue::Null => Value::Null,
        JsonValue::Boolean(flag) => flag.into(),
        JsonValue::Number(number) => serde_json::from_str(number).ok()?,
        JsonValue::String(text) => text.into(),
        JsonValue::Array(list) => list.into_iter().map(plain).collect::<Option<Vec<_>>>()?.into(),
        JsonValue::Object(object) => {
            let members =
                object.into_iter().map(|(key, value)| Some((key.to_string(), plain(value)?)));
            Value::Object(members.collect::<Option<_>>()?)
        }
    })
}

/// What the reader says, warnings included.
fn problems(table: &Value) -> Vec<Problem> {
    match Table::read("t", &table.to_string()) {
        Ok(checked) => checked.warnings,
        Err(problems) => problems,
    }
}

fn codes(table: &Value) -> Vec<&'static str> {
    problems(table).iter().map(|problem| problem.code).collect()
}

/// The tables of one folder by name, as far as they are well-formed.
fn tables(folder: &str) -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables").join(folder);
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut tables: Vec<(String, Value)> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.to_owned();
            Some((name, value(&fs::read_to_string(path).ok()?)?))
        })
        .collect();
    tables.sort_by(|(one, _), (other, _)| one.cmp(other));
    tables
}

#[test]
fn the_schema_takes_every_good_table_and_the_shipped_one() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("handlers.json");
    let shipped = value(&fs::read_to_string(shipped).unwrap()).unwrap();
    assert_eq!(refusal(&shipped), None);
    let tables = tables("good");
    assert!(tables.len() >= 20, "only {} tables", tables.len());
    for (name, table) in tables {
        // A misspelt property works, with a warning; in an editor it is underlined.
        let misspelt = codes(&table).contains(&"unknown-property");
        assert_eq!(refusal(&table).is_some(), misspelt, "{name}: {:?}", refusal(&table));
    }
}

/// Problems of shape: what a schema can see, whatever the texts mean.
const SHAPES: [&str; 14] = [
    "bad-class",
    "bad-method",
    "bad-number",
    "bad-on-refused",
    "bad-otp-param",
    "bad-redirect",
    "bad-verb",
    "missing-property",
    "not-a-list",
    "requires-empty",
    "unknown-confirm",
    "unknown-mode",
    "unknown-property",
    "wrong-type",
];

#[test]
fn the_schema_refuses_what_has_the_wrong_shape_and_nothing_that_works() {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (name, table) in tables("bad") {
        // Read as it is, because duplicate keys are gone from a value.
        let codes = codes(&table);
        let shapes = codes.iter().filter(|code| SHAPES.contains(code));
        let is_misshapen = shapes.clone().count() > 0;
        let refusal = refusal(&table);
        if is_misshapen {
            assert!(refusal.is_some(), "{name} is not refused, but {codes:?}");
            seen.extend(shapes);
        } else if codes.is_empty() {
            assert_eq!(refusal, None, "{name}");
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), SHAPES, "each shape has a bad table");
}

/// A row that works, with this property.
fn with(owner: &[&str], name: &str, value: &Value) -> Value {
    let mut row = json!({ "class": "A", "method": "a", "pattern": "a" });
    let mut place = &mut row;
    for part in owner {
        place = &mut place[*part];
    }
    if place.is_null() {
        *place = json!({});
    }
    place[name] = value.clone();
    json!([row])
}

/// Each object of a table: where it stands in a row, and its place in the schema.
const OBJECTS: [(&[&str], &str); 4] = [
    (&[], "/definitions/row/properties"),
    (&["otp"], "/definitions/otp/properties"),
    (&["otp", "onRefused"], "/definitions/otp/properties/onRefused/anyOf/1/properties"),
    (&["limits"], "/definitions/limits/properties"),
];

/// The names in quotes of a sentence such as `remove it, or use "a" or "b"`.
fn quoted(sentence: &str) -> BTreeSet<String> {
    sentence.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn schema_and_reader_know_the_same_properties() {
    for (owner, place) in OBJECTS {
        let schema = schema();
        let listed: Vec<&String> =
            schema.pointer(place).unwrap().as_object().unwrap().keys().collect();
        for name in &listed {
            let codes = codes(&with(owner, name, &Value::Null));
            assert!(
                !codes.contains(&"unknown-property"),
                "the reader does not know {owner:?} {name}"
            );
        }
        // The reader names everything it knows when a name is like none of them.
        let problems = problems(&with(owner, "qqqqqqqq", &Value::Null));
        let unknown = problems.iter().find(|problem| problem.code == "unknown-property").unwrap();
        for name in quoted(&unknown.fix) {
            assert!(listed.contains(&&name), "the schema does not know {owner:?} {name}");
        }
    }
}

#[test]
fn schema_and_reader_know_the_same_values() {
    for (name, code) in [("mode", "unknown-mode"), ("confirm", "unknown-confirm")] {
        let place = format!("/definitions/otp/properties/{name}");
        let schema = schema();
        let values = schema.pointer(&place).unwrap();
        let listed = values["enum"].as_array().unwrap();
        for value in listed {
            let codes = codes(&with(&["otp"], name, value));
            assert!(!codes.contains(&code), "the reader does not know {name} {value}");
        }
        let problems = problems(&with(&["otp"], name, &"qqqqqqqq".into()));
        let unknown = problems.iter().find(|problem| problem.code == code).unwrap();
        for value in quoted(&unknown.fix) {
            assert!(listed.contains(&value.clone().into()), "the schema does not know {value}");
        }
        assert!(listed.contains(&values["default"]));
        assert_eq!(values["enumDescriptions"].as_array().unwrap().len(), listed.len());
    }
}

#[test]
fn schema_and_reader_draw_the_same_bounds() {
    for (owner, name) in [
        (&["limits"][..], "bodyBytes"),
        (&["limits"], "timeoutMs"),
        (&["otp", "onRefused"], "status"),
    ] {
        let (_, place) = OBJECTS.iter().find(|(object, _)| *object == owner).unwrap();
        let schema = schema();
        let bound =
            |which: &str| schema.pointer(&format!("{place}/{name}/{which}")).unwrap().as_i64();
        let (min, max) = (bound("minimum").unwrap(), bound("maximum").unwrap());
        for (value, fits) in [(min, true), (max, true), (min - 1, false), (max + 1, false)] {
            let table = with(owner, name, &value.into());
            assert_eq!(problems(&table).is_empty(), fits, "the reader on {name} {value}");
            assert_eq!(refusal(&table).is_none(), fits, "the schema on {name} {value}");
        }
    }
    let table = |length: usize| json!([{ "class": "A", "method": "a", "regexPattern": format!("/{}", "a".repeat(length - 1)) }]);
    for (length, fits) in [(1_024, true), (1_025, false)] {
        assert_eq!(problems(&table(length)).is_empty(), fits);
        assert_eq!(refusal(&table(length)).is_none(), fits);
    }
}

#[test]
fn every_property_is_explained() {
    for (_, place) in OBJECTS {
        for (name, property) in schema().pointer(place).unwrap().as_object().unwrap() {
            let schema = schema();
            let target =
                property["$ref"].as_str().and_then(|at| schema.pointer(at.trim_start_matches('#')));
            let said = target.unwrap_or(property)["description"].as_str().unwrap_or_default();
            assert!(said.ends_with('.'), "{name} is not explained: {said:?}");
        }
    }
}

#[test]
fn the_editor_settings_of_this_project_name_the_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let settings = value(&fs::read_to_string(root.join(".vscode/settings.json")).unwrap()).unwrap();
    let entry = &settings["json.schemas"][0];
    assert!(entry["fileMatch"].as_array().unwrap().contains(&"handlers.json".into()));
    let file = fs::read_to_string(root.join(entry["url"].as_str().unwrap())).unwrap();
    assert_eq!(file, SCHEMA);
}
