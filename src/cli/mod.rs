//! The command line: commands, their output and their exit codes.
//!
//! | file | part |
//! |---|---|
//! | `flags` | one flag for each setting |
//! | `serve`, `shutdown` | `callgate serve`, and its shutdown |
//! | `check`, `report` | `callgate check`, and the format of its report |
//! | `explain`, `init`, `settings`, `store` | the commands of these names |
//! | `operator`, `users`, `internal_client` | `callgate sessions`, `tokens` and `users`, and their HTTP client |
//! | `password` | reading a password |
//! | `columns`, `exit`, `log`, `core_dumps` | tables, exit codes, the log, core dumps |

mod columns;
mod commands;
mod core_dumps;
mod exit;
mod flags;
mod internal_client;
mod log;
mod password;
mod report;
mod shutdown;

pub use exit::Exit;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

use crate::backend::Registry;
use crate::base::SessionId;
use crate::base::TokenId;
use crate::settings::Environment;
use crate::settings::Reading;
use crate::settings::Settings;
use crate::table::Severity;

use commands::store::StoreCommand;
use exit::CommandError;
use flags::FlagArguments;

/// Brings a callback from a third party back to exactly the session that started it.
#[derive(Debug, Parser)]
#[command(
    name = "callgate",
    version,
    after_help = "Every setting of `callgate settings --default` is also a flag (see --help) \
                  and a variable CALLGATE_*.\n\
                  Exit codes: 0 ok, 1 told to end before all was done, 64 usage, 65 bad table, class or roles, \
                  67 no such session, token or account, 69 store or server unreachable, \
                  74 input or output failed, 77 not permitted, \
                  78 bad settings, or a store that is not fit for production."
)]
struct Arguments {
    #[command(flatten)]
    flags: FlagArguments,
    #[command(subcommand)]
    command: Option<CliCommand>,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Serve (also without a command).
    Serve,
    /// Report every problem of table, class files, roles and settings.
    Check {
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
        /// Print the JSON Schema of the table, for editors, instead.
        #[arg(long)]
        schema: bool,
        /// Print the declarations of what class files see, for editors, instead.
        #[cfg(feature = "script")]
        #[arg(long, conflicts_with = "schema")]
        types: bool,
    },
    /// Show which row answers a request, and why the others do not.
    Explain {
        /// The verb, such as GET.
        method: String,
        /// The URL, or its path and query.
        url: String,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Write a small project that works, to begin with. Nothing is overwritten.
    #[cfg(feature = "script")]
    Init {
        /// The folder; it is made if it is not there.
        #[arg(value_name = "DIR", default_value = ".")]
        folder: std::path::PathBuf,
        /// Take the table from this file, such as the HTTPHandlers.json of a 4D project, and write
        /// every class and function that it names, to be filled in.
        #[arg(long, value_name = "FILE")]
        from: Option<std::path::PathBuf>,
    },
    /// Look at the sessions of a server that runs, and end them.
    Sessions {
        #[command(subcommand)]
        command: SessionsCommand,
    },
    /// Look at the unspent tokens of a server that runs, and revoke them.
    Tokens {
        #[command(subcommand)]
        command: TokensCommand,
    },
    /// Create accounts on a server that runs, set their passwords and grant them roles.
    Users {
        #[command(subcommand)]
        command: UsersCommand,
    },
    /// Say what a store guarantees, or move what lives in it to another one.
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Show the effective settings and where each came from, and what the store guarantees.
    Settings {
        /// Print the commented default file instead.
        #[arg(long)]
        default: bool,
    },
}

#[derive(Debug, Subcommand)]
enum SessionsCommand {
    /// List every session that lives.
    List {
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show one session: who, which browsers, which storage keys, which tokens.
    Show {
        /// The id of the session: 32 hex digits.
        id: SessionId,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// End a session, with every browser and token of it.
    End {
        /// The id of the session: 32 hex digits.
        id: SessionId,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

#[derive(Debug, Subcommand)]
enum TokensCommand {
    /// List every token that can still be redeemed.
    List {
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Revoke a token: nobody can redeem it any more.
    Revoke {
        /// The public id of the token: 16 hex digits, as `list` shows it. Not the token itself.
        id: TokenId,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

#[derive(Debug, Subcommand)]
enum UsersCommand {
    /// List every account.
    List {
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Create an account. Its password is asked for, or read from standard input.
    Add {
        /// The name by which the person signs in; case does not count.
        login: String,
        /// The name that others see.
        #[arg(long)]
        name: Option<String>,
        /// The address that mail goes to.
        #[arg(long)]
        email: Option<String>,
        /// A role or privilege of the account; may be given several times.
        #[arg(long)]
        role: Vec<String>,
        /// A group of the account; may be given several times.
        #[arg(long)]
        group: Vec<String>,
        /// Set no password: signing in with one is impossible until `passwd` sets it.
        #[arg(long)]
        no_password: bool,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Set the password of an account, and unlock its login. It is asked for, or read from standard
    /// input.
    Passwd {
        /// The login of the account.
        login: String,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Grant an account roles and groups, or take them away.
    Grant {
        /// The login of the account.
        login: String,
        /// A role or privilege; may be given several times.
        #[arg(long, required_unless_present = "group")]
        role: Vec<String>,
        /// A group; may be given several times.
        #[arg(long)]
        group: Vec<String>,
        /// Take them away instead.
        #[arg(long)]
        revoke: bool,
        /// How to report.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// Whom a report is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object for programs.
    Json,
}

/// Runs the program with the arguments and the environment of this process.
pub fn main() -> ExitCode {
    match run(std::env::args_os(), &Environment::of_process()) {
        Ok(exit) => exit.into(),
        Err(CommandError { exit, why }) => {
            if log::every_line_is_json() {
                tracing::error!(event = "server.failed", exit = exit as u8, "{why}");
            } else {
                complain(&format!("callgate: {why}"));
            }
            exit.into()
        }
    }
}

fn run(
    words: impl Iterator<Item = OsString>,
    environment: &Environment,
) -> Result<Exit, CommandError> {
    let words: Vec<OsString> = words.collect();
    let arguments = match Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(other) => return Ok(answer_usage(&other, &words)),
    };
    let read = || Settings::read(&arguments.flags.0, environment);
    let said = match arguments.command.as_ref().unwrap_or(&CliCommand::Serve) {
        CliCommand::Serve => commands::serve::run(commands::serve::settle(read())?)?,
        CliCommand::Check { schema: true, .. } => commands::check::schema(),
        #[cfg(feature = "script")]
        CliCommand::Check { types: true, .. } => commands::check::types(),
        CliCommand::Check { format, .. } => {
            commands::check::run(read(), *format, &Registry::default())?
        }
        CliCommand::Explain { method, url, format } => {
            commands::explain::run(&settle(read())?.settings, method, url, *format)?
        }
        #[cfg(feature = "script")]
        CliCommand::Init { folder, from } => {
            let program = words.first().map(OsString::as_os_str).unwrap_or_default();
            commands::init::run(folder, from.as_deref(), &arguments.flags.0, program)?
        }
        CliCommand::Sessions { command } => {
            commands::operator::sessions(&settle(read())?.settings, command)?
        }
        CliCommand::Tokens { command } => {
            commands::operator::tokens(&settle(read())?.settings, command)?
        }
        CliCommand::Users { command } => {
            commands::users::users(&settle(read())?.settings, command)?
        }
        CliCommand::Settings { default: true } => commands::settings::print_default_file(),
        CliCommand::Settings { default: false } => commands::settings::run(&settle(read())?)?,
        CliCommand::Store { command } => commands::store::run(&settle(read())?.settings, command)?,
    };
    print(&said.text)?;
    Ok(said.exit)
}

/// Prints help or version, or reports what is wrong with the command line. Clap quotes words that
/// it did not expect, and one of them may be the URL of a store with its password.
fn answer_usage(other: &clap::Error, words: &[OsString]) -> Exit {
    let logins = words.iter().filter_map(|word| word.to_str()).filter_map(login);
    let logins: Vec<&str> = logins.chain(beside_a_login(words)).collect();
    if logins.is_empty() {
        // Either the text was printed or its reader is gone; neither changes the exit code.
        let _ = other.print();
    } else {
        let text = other.render().to_string();
        complain(logins.iter().fold(text, |text, login| text.replace(login, "*")).trim_end());
    }
    if other.use_stderr() { Exit::Usage } else { Exit::Ok }
}

/// The part after the scheme of a URL that may contain a password.
fn login(word: &str) -> Option<&str> {
    let (_, rest) = word.split_once("://")?;
    Some(rest).filter(|rest| rest.contains('@') || rest.contains("password="))
}

/// What stands behind the login of a `users` command: it may be a password typed by mistake.
fn beside_a_login(words: &[OsString]) -> impl Iterator<Item = &str> {
    const SHORTEST: usize = 4;
    let words = words.iter().filter_map(|word| word.to_str());
    let words = words.skip_while(|word| *word != "users").filter(|word| !word.starts_with('-'));
    words.skip(3).filter(|word| word.len() >= SHORTEST)
}

/// Returns usable settings; prints warnings, and fails on errors.
fn settle(reading: Reading) -> Result<Reading, CommandError> {
    let lines = |severity| {
        let found = reading.problems.iter().filter(move |problem| problem.severity == severity);
        found.map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    if reading.is_refused() {
        return Err(CommandError::new(
            Exit::BadSettings,
            format!("bad settings\n{}", lines(Severity::Error)),
        ));
    }
    let warnings = lines(Severity::Warning);
    if !warnings.is_empty() {
        complain(&warnings);
    }
    Ok(reading)
}

/// Writes to standard output. A reader that closes the pipe early, such as `head`, is not an error.
fn print(text: &str) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CommandError::new(Exit::Io, format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes to standard error. A failure is ignored, because there is nowhere left to report it.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_flag_may_stand_before_or_after_the_command() {
        let given = |words: &[&str]| {
            let words = ["callgate"].iter().chain(words);
            Arguments::try_parse_from(words).unwrap().flags.0.given
        };
        let listen = vec![("listen", "127.0.0.1:1".to_owned())];
        assert_eq!(given(&["--listen", "127.0.0.1:1", "check"]), listen);
        assert_eq!(given(&["check", "--listen", "127.0.0.1:1"]), listen);
        assert_eq!(given(&["check", "--strict"]), [("strict", "true".to_owned())]);
        assert_eq!(given(&["--strict", "check"]), [("strict", "true".to_owned())]);
        assert_eq!(given(&["check", "--strict=false"]), [("strict", "false".to_owned())]);
        assert_eq!(given(&["check"]), []);
    }
}
