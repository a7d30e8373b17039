//! How the program ends: named exit codes, those of `sysexits.h` where there is one.

use std::process::ExitCode;

/// Why the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// The command succeeded.
    Ok = 0,
    /// The command was interrupted: requests in flight did not finish in time, or a copy was
    /// stopped.
    CutOff = 1,
    /// The command line is invalid (`EX_USAGE`).
    Usage = 64,
    /// The table, a class, the roles or the data of a command are invalid (`EX_DATAERR`).
    BadTable = 65,
    /// There is no session or token with that id, or no account with that login (`EX_NOUSER`).
    Unknown = 67,
    /// The store, or the server that a command calls, cannot be reached (`EX_UNAVAILABLE`).
    StoreUnreachable = 69,
    /// Reading or writing the store or the output failed, or not everything could be copied
    /// (`EX_IOERR`).
    Io = 74,
    /// The server refused the operator credential (`EX_NOPERM`).
    NotPermitted = 77,
    /// The settings are invalid, or the store as it is configured is not fit for production
    /// (`EX_CONFIG`).
    BadSettings = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The error of a command that failed.
#[derive(Debug)]
pub(super) struct CommandError {
    /// The exit code.
    pub(super) exit: Exit,
    /// The message for standard error, without a line end.
    pub(super) why: String,
}

impl CommandError {
    pub(super) fn new(exit: Exit, why: impl Into<String>) -> Self {
        Self { exit, why: why.into() }
    }
}

/// The output of a command, and its exit code.
#[derive(Debug)]
pub(super) struct CommandOutput {
    /// For standard output.
    pub(super) text: String,
    /// The exit code.
    pub(super) exit: Exit,
}

impl CommandOutput {
    pub(super) fn well(text: String) -> Self {
        Self { text, exit: Exit::Ok }
    }
}
