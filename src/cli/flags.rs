//! The flags of every command: the settings file, and one flag for each setting.

use std::sync::LazyLock;

use clap::Arg;
use clap::ArgMatches;
use clap::Args;
use clap::Command;
use clap::FromArgMatches;
use clap::parser::ValueSource;

use crate::settings::Flags;
use crate::settings::Kind;
use crate::settings::SETTINGS;
use crate::settings::Setting;

/// The flags of docs/CONTRACT.md §2. `-h` shows these; `--help` shows those of every setting.
const SHORT_HELP: [&str; 8] =
    ["handlers", "classes", "listen", "internal", "store", "app", "rate_limits", "strict"];

/// The id of the only flag that is not a setting; settings have lower-case ids.
const FILE: &str = "SETTINGS";

/// [`Flags`] as clap reads them.
///
/// They are generated from the list of settings rather than derived from fields, so that every
/// setting has its flag and none is described twice.
#[derive(Debug)]
pub(super) struct FlagArguments(pub(super) Flags);

impl Args for FlagArguments {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new(FILE)
            .long("settings")
            .value_name("FILE")
            .help("The settings file; unset: callgate.toml, if it is there")
            .global(true);
        command.arg(file).args(FLAGS.iter().map(Flag::argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for FlagArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let typed = |id: &str| match matches.value_source(id) {
            Some(ValueSource::CommandLine) => matches.get_one::<String>(id).cloned(),
            _ => None,
        };
        let of_setting = |flag: &Flag| Some((flag.setting.name, typed(flag.setting.name)?));
        Ok(Self(Flags { file: typed(FILE), given: FLAGS.iter().filter_map(of_setting).collect() }))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// One flag. Clap requires names of static lifetime, hence the static list.
struct Flag {
    setting: &'static Setting,
    long: String,
    value_name: String,
}

static FLAGS: LazyLock<Vec<Flag>> = LazyLock::new(|| {
    let flag =
        |setting| Some(Flag { setting, long: setting.flag()?, value_name: value_name(setting) });
    SETTINGS.iter().filter_map(flag).collect()
});

impl Flag {
    fn argument(&'static self) -> Arg {
        let Self { setting, long, value_name } = self;
        let argument = Arg::new(setting.name)
            .long(long.as_str())
            .value_name(value_name.as_str())
            .help(setting.meaning().trim_end_matches('.').to_owned())
            .hide_short_help(!SHORT_HELP.contains(&setting.name))
            // Accepted before and after the command.
            .global(true);
        match setting.kind {
            // `--strict` alone means yes; a value needs the `=`, or it would consume the command.
            Kind::Switch => {
                argument.num_args(0..=1).require_equals(true).default_missing_value("true")
            }
            _ => argument,
        }
    }
}

fn value_name(setting: &Setting) -> String {
    match setting.kind {
        Kind::Choice(words) => words.join("|"),
        _ => setting.placeholder.to_owned(),
    }
}
