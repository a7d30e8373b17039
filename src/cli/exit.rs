//! How the program ends: named exit codes, those of `sysexits.h` where there is one.

use std::process::ExitCode;

/// Why the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// It did what it was asked to.
    Ok = 0,
    /// It was told to end before all was done: requests under way did not finish in time, or a copy
    /// was broken off.
    CutOff = 1,
    /// The command line makes no sense (`EX_USAGE`).
    Usage = 64,
    /// The table, a class or the roles are bad (`EX_DATAERR`).
    BadTable = 65,
    /// There is no session or token of that name (`EX_NOUSER`).
    Unknown = 67,
    /// The store, or the server that a command asks, cannot be reached (`EX_UNAVAILABLE`).
    StoreUnreachable = 69,
    /// Reading or writing failed, of the store or of the output, or not everything could be copied
    /// (`EX_IOERR`).
    Io = 74,
    /// The server does not let this person operate it (`EX_NOPERM`).
    NotPermitted = 77,
    /// The settings are bad, or the store as it is set up is not fit for production (`EX_CONFIG`).
    BadSettings = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The end of a command that could not do what it was asked to.
#[derive(Debug)]
pub(super) struct Stop {
    /// The exit code.
    pub(super) exit: Exit,
    /// What to tell the person, without a line end.
    pub(super) why: String,
}

impl Stop {
    pub(super) fn new(exit: Exit, why: impl Into<String>) -> Self {
        Self { exit, why: why.into() }
    }
}

/// What a command has to say, and how it ended.
#[derive(Debug)]
pub(super) struct Said {
    /// For standard output.
    pub(super) text: String,
    /// The exit code.
    pub(super) exit: Exit,
}

impl Said {
    pub(super) fn well(text: String) -> Self {
        Self { text, exit: Exit::Ok }
    }
}
