//! `callgate init [DIR]`: writes a small working project, with comments that explain it.

mod table_of_4d;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use crate::backend::script;
use crate::settings::Flags;
use crate::table;

use crate::cli::exit::CommandError;
use crate::cli::exit::CommandOutput;
use crate::cli::exit::Exit;

/// The files of a project, and their contents.
const FILES: [(&str, &str); 6] = [
    ("callgate.toml", include_str!("init/callgate.toml")),
    (".gitignore", include_str!("init/gitignore")),
    ("callgate.d.ts", script::DECLARATIONS),
    ("jsconfig.json", include_str!("init/jsconfig.json")),
    ("handlers.schema.json", table::SCHEMA),
    (".vscode/settings.json", include_str!("init/vscode.json")),
];

/// The table and the class of a project that is written without another table.
const EXAMPLE: [(&str, &str); 2] = [
    (TABLE, include_str!("init/handlers.json")),
    ("classes/RequestHandler.js", include_str!("init/RequestHandler.js")),
];

/// The name of the table.
const TABLE: &str = "handlers.json";

/// A file to write, and its text.
type NewFile = (Cow<'static, str>, Cow<'static, str>);

/// The address in the files as they are stored here; `--listen` replaces it.
const LISTEN: &str = "127.0.0.1:8044";

/// The line of the settings that names the application.
const APP: &str = "app = \"callgate\"";
/// Longest name of an application.
const APP_BYTES_MAX: usize = 32;

/// Writes a project into `folder`, which is created if it is missing, and prints the next steps.
/// `program` is the path with which this program was started. With `from`, the table is that file,
/// and there is a class for every one that it names.
///
/// Nothing is ever overwritten. If some of the files exist, all of these are listed, and nothing is
/// written.
pub(crate) fn run(
    folder: &Path,
    from: Option<&Path>,
    flags: &Flags,
    program: &OsStr,
) -> Result<CommandOutput, CommandError> {
    let listen = listen(flags)?;
    let fixed = |(name, text): &(&'static str, &'static str)| (Cow::from(*name), Cow::from(*text));
    let mut files: Vec<NewFile> = match from {
        Some(from) => table_of_4d::files(from)?,
        None => EXAMPLE.iter().map(fixed).collect(),
    };
    let classes = files.len().saturating_sub(1);
    files.extend(FILES.iter().map(fixed));
    let in_the_way: Vec<&str> = files
        .iter()
        .map(|(name, _)| &**name)
        // A dangling link counts as an existing file.
        .filter(|name| fs::symlink_metadata(folder.join(name)).is_ok())
        .collect();
    if !in_the_way.is_empty() {
        let why = format!(
            "{}: nothing was written, because this would be overwritten: {}; name another \
             folder, or move these away",
            folder.display(),
            in_the_way.join(", ")
        );
        return Err(CommandError::new(Exit::Io, why));
    }
    let app = app(folder);
    for (name, text) in files {
        let path = folder.join(&*name);
        let text = text.replace(LISTEN, &listen).replacen(APP, &format!("app = \"{app}\""), 1);
        write_new(&path, &text).map_err(|error| {
            let why = format!("{}: cannot be written: {error}", path.display());
            CommandError::new(Exit::Io, why)
        })?;
    }
    let said = match from {
        Some(from) => table_of_4d::next_steps(from, (folder, Path::new(program)), classes),
        None => next_steps(folder, Path::new(program)),
    };
    Ok(CommandOutput::well(said.replace(LISTEN, &listen)))
}

/// A name for the application, derived from the name of its folder.
fn app(folder: &Path) -> String {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let name = whole.components().next_back().map(|last| last.as_os_str().to_string_lossy());
    let mut app = String::new();
    for letter in name.unwrap_or_default().chars() {
        let plain = letter.is_ascii_alphanumeric() || letter == '_';
        if plain {
            app.push(letter.to_ascii_lowercase());
        } else if !app.is_empty() && !app.ends_with('-') {
            app.push('-');
        }
    }
    app.truncate(APP_BYTES_MAX);
    match app.trim_end_matches('-') {
        "" => "app".to_owned(),
        app => app.to_owned(),
    }
}

/// The address of `--listen`, or the default.
fn listen(flags: &Flags) -> Result<String, CommandError> {
    let given = flags.given.iter().find(|(name, _)| *name == "listen");
    let Some((_, text)) = given else { return Ok(LISTEN.to_owned()) };
    let address: Result<SocketAddr, _> = text.parse();
    let why = || format!("--listen {text:?} is no address; write one such as {LISTEN}");
    address.map(|address| address.to_string()).map_err(|_| CommandError::new(Exit::Usage, why()))
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // A file that was created since the check is kept.
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

/// The next steps with the new project: commands that can be copied as they are.
fn next_steps(folder: &Path, program: &Path) -> String {
    let is_here = folder == Path::new(".");
    let enter = if is_here { String::new() } else { format!("  cd {}\n", word(folder)) };
    let program = called_from_anywhere(program);
    format!(
        "A small project is there: handlers.json says which requests are answered,\n\
         classes/RequestHandler.js answers them, and callgate.toml has the settings.\n\
         \n\
         Check it, and serve it:\n\
         \n\
         {enter}\
         \x20 {program} check\n\
         \x20 {program} serve\n\
         \n\
         In a second terminal, ask for a link as one browser does, follow it as another, and see\n\
         what the session of the first one knows then:\n\
         \n\
         \x20 link=$(curl -s -c cookies -d email=ann@example.com http://{LISTEN}/start)\n\
         \x20 curl -s \"$link\"\n\
         \x20 curl -s -b cookies http://{LISTEN}/\n\
         \n\
         Change classes/RequestHandler.js while it serves: half a second later it runs what you wrote.\n"
    )
}

/// The program as a shell finds it from another folder, too.
fn called_from_anywhere(program: &Path) -> String {
    match std::path::absolute(program) {
        // Without a slash, it was found through PATH.
        Ok(path) if program.components().count() > 1 => word(&path),
        _ => word(program),
    }
}

/// A path as one word of a shell.
fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+@%=:,".contains(letter);
    let text = if text.starts_with('-') { format!("./{text}") } else { text };
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_for_a_shell() {
        for (path, shown) in [
            ("shop", "shop"),
            ("/a/b-c_1.2", "/a/b-c_1.2"),
            ("my shop", "'my shop'"),
            ("it's $HOME", r"'it'\''s $HOME'"),
            ("-x", "./-x"),
            ("", "''"),
        ] {
            assert_eq!(word(Path::new(path)), shown, "{path:?}");
        }
    }

    #[test]
    fn an_application_is_named_after_its_folder() {
        let long = "a".repeat(40);
        for (folder, name) in [
            ("/srv/shop", "shop"),
            ("/srv/My first shop!", "my-first-shop"),
            ("/srv/shop/.", "shop"),
            ("/srv/Läden/日本", "app"),
            ("/srv/shop.example", "shop-example"),
            ("/", "app"),
            (&format!("/srv/{long}"), &long[..32]),
        ] {
            assert_eq!(app(Path::new(folder)), name, "{folder}");
            assert!(crate::settings::AppName::parse(name).is_ok());
        }
    }

    #[test]
    fn a_program_is_called_by_its_name_or_from_anywhere() {
        assert_eq!(called_from_anywhere(Path::new("callgate")), "callgate");
        assert_eq!(called_from_anywhere(Path::new("/opt/callgate")), "/opt/callgate");
        let here = called_from_anywhere(Path::new("./callgate"));
        assert!(here.starts_with('/') && here.ends_with("/callgate"), "{here}");
    }
}
