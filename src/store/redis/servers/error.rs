//! Errors between callgate and a Redis, and in particular whether a command was executed.

use std::error::Error as StdError;
use std::fmt;

use redis::RedisError;
use redis::ServerError;

use crate::store::error::StoreError;

/// Why a command has no result.
#[derive(Debug, Clone)]
pub(crate) enum CommandError {
    /// It was not sent: there is no connection, or too many commands are in flight.
    Unsent(&'static str),
    /// It was sent, and no reply arrived.
    Lost(String),
    /// The server replied with an error.
    Said(ServerError),
    /// Fewer replicas than required have acknowledged it.
    Unreplicated { wanted: u8, got: i64 },
    /// The server's reply cannot be parsed.
    Garbled(&'static str),
}

impl CommandError {
    /// A command whose reply was lost.
    pub(crate) fn lost(host: &impl fmt::Display, error: &RedisError) -> Self {
        Self::Lost(format!("{host}: {error}"))
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent(why) => f.write_str(why),
            Self::Lost(how) => write!(f, "no answer from {how}"),
            Self::Said(error) => {
                write!(f, "{} {}", error.code(), error.details().unwrap_or_default())
            }
            Self::Unreplicated { wanted, got } => {
                write!(f, "{got} of {wanted} replicas have acknowledged the write in time")
            }
            Self::Garbled(what) => write!(f, "an answer cannot be understood: {what}"),
        }
    }
}

impl StdError for CommandError {}

impl From<CommandError> for StoreError {
    fn from(failure: CommandError) -> Self {
        match failure {
            CommandError::Unsent(why) => Self::Refused(why),
            CommandError::Garbled(_) => Self::Corrupt(Box::new(failure)),
            CommandError::Lost(_) | CommandError::Unreplicated { .. } => {
                Self::Unreachable(Box::new(failure))
            }
            CommandError::Said(ref error) => match code(error) {
                "OOM" => Self::Full,
                "WRONGTYPE" => Self::Corrupt(Box::new(failure)),
                code => match refusal(code) {
                    Some(why) => Self::Refused(why),
                    // A script that fails midway has done a part of its work.
                    None => Self::Unreachable(Box::new(failure)),
                },
            },
        }
    }
}

/// The meaning of an error by which the server refuses a command before it executes any of it.
fn refusal(code: &str) -> Option<&'static str> {
    Some(match code {
        "READONLY" => "its server is a replica",
        "LOADING" => "its server is loading its data",
        "MASTERDOWN" => "its server is a replica without its master",
        "CLUSTERDOWN" => "its Cluster is down",
        "TRYAGAIN" | "MOVED" | "ASK" => "its Cluster is moving the keys",
        "MISCONF" => "its server cannot write to its disk",
        "NOREPLICAS" => "its server has too few replicas to accept writes",
        "NOPERM" | "NOAUTH" | "WRONGPASS" => "its server does not permit the command",
        "BUSY" => "its server is busy with a script",
        _ => return None,
    })
}

/// Marks an error about a command that a script may not use. Earlier ones of the script were
/// executed.
pub(crate) const FORBIDDEN_INSIDE: &str = "NOPERM inside of a script";

/// The code of an error. A Redis before 7 wraps an error inside a script in an ERR of its own, and
/// a later one does so for missing permissions.
pub(crate) fn code(error: &ServerError) -> &str {
    let own = error.code();
    let inside = error.details().unwrap_or_default();
    if own != "ERR" || !inside.contains("user_script") {
        return own;
    }
    if inside.contains("-NOPERM") || inside.starts_with("The user executing the script can't") {
        return FORBIDDEN_INSIDE;
    }
    let words = inside.split_whitespace().filter_map(|word| word.strip_prefix('-'));
    let mut codes = words.filter(|word| refusal(word).is_some() || *word == "OOM");
    codes.next().unwrap_or(own)
}

/// Whether the server is not, or no longer, the one to use.
pub(crate) fn is_wrong_server(error: &ServerError) -> bool {
    matches!(code(error), "READONLY" | "MASTERDOWN" | "NOAUTH")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: &str, details: &str) -> StoreError {
        let error = redis::make_extension_error(code.to_owned(), Some(details.to_owned()));
        let error = error.into_server_errors().unwrap()[0].1.clone();
        StoreError::from(CommandError::Said(error))
    }

    #[test]
    fn what_was_not_executed_is_told_from_what_may_have_been() {
        for code in ["READONLY", "LOADING", "CLUSTERDOWN", "MASTERDOWN", "MISCONF", "NOREPLICAS"] {
            assert!(matches!(said(code, "x"), StoreError::Refused(_)), "{code}");
        }
        assert!(matches!(said("OOM", "command not allowed"), StoreError::Full));
        assert!(matches!(said("WRONGTYPE", "x"), StoreError::Corrupt(_)));
        assert!(matches!(said("ERR", "something new"), StoreError::Unreachable(_)));
        let lost = CommandError::Lost("h:1: broken pipe".to_owned());
        assert!(matches!(StoreError::from(lost), StoreError::Unreachable(_)));
        assert!(matches!(StoreError::from(CommandError::Unsent("x")), StoreError::Refused("x")));
    }

    /// The format of Redis 6.2.
    #[test]
    fn an_error_inside_of_a_script_is_recognised() {
        let wrapped = |code: &str| {
            format!(
                "Error running script (call to f_0f): @user_script:17: @user_script: 17: -{code} \
                 refused"
            )
        };
        assert!(matches!(said("ERR", &wrapped("OOM")), StoreError::Full));
        assert!(matches!(said("ERR", &wrapped("READONLY")), StoreError::Refused(_)));
        assert!(matches!(said("ERR", &wrapped("ERR")), StoreError::Unreachable(_)));
        // A script that was stopped by a missing permission may be partly executed.
        assert!(matches!(said("ERR", &wrapped("NOPERM")), StoreError::Unreachable(_)));
        let newer = "The user executing the script can't run this command or subcommand script: \
                     0f, on @user_script:34.";
        assert!(matches!(said("ERR", newer), StoreError::Unreachable(_)));
        assert!(matches!(said("NOPERM", "this user"), StoreError::Refused(_)));
    }
}
