//! The pages about settings, made of their declaration: `docs/SETTINGS.md`, and a table in the
//! README.

use callgate::settings::Kind;
use callgate::settings::SETTINGS;
use callgate::settings::Setting;

/// The page with every setting.
pub(crate) const PAGE: &str = "docs/SETTINGS.md";
/// Set to write the pages instead of comparing them.
pub(crate) const WRITE: &str = "CALLGATE_TEST_WRITE";
/// The lines of the README between which its table stands.
const MARKS: [&str; 2] = ["<!-- settings: begin -->\n", "<!-- settings: end -->\n"];

const HEAD: &str = "| setting | default | values | meaning |\n|---|---|---|---|\n";

/// The whole page.
pub(crate) fn page() -> String {
    let head = "# Settings\n\nMade of their declarations in the source by \
                    `CALLGATE_TEST_WRITE=1 cargo test --test tidy`; a test holds it to them.\n\n\
                    A setting is given in `callgate.toml`, as an environment variable \
                    (`session.idle_minutes` is `CALLGATE_SESSION_IDLE_MINUTES`) or as a flag \
                    (`--session-idle-minutes`): flags win over variables, variables over the file. \
                    Settings are read at the start.\n";
    let mut lines = vec![head.to_owned()];
    let mut current = None;
    for setting in SETTINGS.iter() {
        if current != Some(section(setting)) {
            current = Some(section(setting));
            let title = current.filter(|name| !name.is_empty());
            let title = title.map_or("Without a section".to_owned(), |name| format!("`[{name}]`"));
            lines.push(format!("\n## {title}\n\n{HEAD}"));
        }
        let default = default(setting).map_or("unset".to_owned(), |default| format!("`{default}`"));
        let (name, values, manual) = (setting.name, values(setting), &setting.manual);
        lines.push(format!("| `{name}` | {default} | {values} | {manual} |\n"));
    }
    lines.concat()
}

/// The README with its table as it should be; `None` when it has no place for one.
pub(crate) fn readme(text: &str) -> Option<String> {
    let (before, rest) = text.split_once(MARKS[0])?;
    let (_, after) = rest.split_once(MARKS[1])?;
    Some(format!("{before}{}{}{}{after}", MARKS[0], table(), MARKS[1]))
}

/// One line for each section: its settings with their defaults.
fn table() -> String {
    let mut lines = vec!["| section | settings and their defaults |\n|---|---|\n".to_owned()];
    for first in SETTINGS.iter().filter(|it| is_first(it)) {
        let own = SETTINGS.iter().filter(|it| section(it) == section(first));
        let own: Vec<String> = own
            .map(|setting| {
                let key = setting.name.rsplit('.').next().unwrap_or_default();
                default(setting).map_or(format!("`{key}`"), |value| format!("`{key} = {value}`"))
            })
            .collect();
        let title = Some(section(first)).filter(|name| !name.is_empty());
        let title = title.map_or(String::new(), |name| format!("`[{name}]`"));
        lines.push(format!("| {title} | {} |\n", own.join(", ")));
    }
    lines.concat()
}

fn is_first(setting: &Setting) -> bool {
    let first = SETTINGS.iter().find(|it| section(it) == section(setting));
    first.is_some_and(|first| first.name == setting.name)
}

fn section(setting: &Setting) -> &'static str {
    setting.name.rsplit_once('.').map_or("", |(section, _)| section)
}

fn default(setting: &Setting) -> Option<&str> {
    setting.default.as_ref().map(|_| setting.written.as_str())
}

/// What a value may be.
fn values(setting: &Setting) -> String {
    match setting.kind {
        Kind::Choice(words) => {
            words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
        }
        Kind::Number { min, max } => format!("{min} to {max}"),
        Kind::Switch => "`true`, `false`".to_owned(),
        Kind::Texts => "list of texts".to_owned(),
        Kind::Secrets => "list of texts, never shown; no flag".to_owned(),
        Kind::Text | Kind::Url => "text".to_owned(),
    }
}
