//! Why a gate cannot be opened.

use std::fmt;
use std::path::PathBuf;

use crate::http::BadCertificate;
use crate::http::confirm::BadPage;
use crate::session::privileges::BadRoles;
use crate::settings;
use crate::settings::KeyFault;
use crate::settings::PasswordFault;
use crate::store::port::Guarantees;
use crate::store::port::Lack;
use crate::table::Problem;

/// Why a gate cannot be opened. No port was bound.
#[derive(Debug)]
#[non_exhaustive]
pub enum GateError {
    /// A file is missing or cannot be read.
    File(String),
    /// The settings contradict each other.
    Settings(Vec<settings::Problem>),
    /// Table or class files are invalid; all of their problems.
    Table(Vec<Problem>),
    /// `roles.json` is invalid; all of its problems.
    Roles(PathBuf, Vec<BadRoles>),
    /// The confirmation page is invalid; all of its problems.
    Page(PathBuf, Vec<BadPage>),
    /// The certificate for HTTPS is missing or invalid.
    Certificate(BadCertificate),
    /// There is no key to seal cookies with.
    Keys(KeyFault),
    /// The embedded store cannot be opened.
    #[cfg(feature = "embedded")]
    Store(crate::store::embedded::OpenError),
    /// The shared store cannot be opened.
    #[cfg(any(feature = "redis", feature = "postgres"))]
    Shared(crate::store::shared::OpenError),
    /// The password of the store is not available.
    Password(PasswordFault),
    /// The store as it is configured is not fit for production, and `strict` requires that.
    Lacking(Guarantees),
    /// The guarantees of the store cannot be determined, and `strict` requires them.
    Unchecked(String),
    /// The operating system did not start a thread to watch table and class files.
    Thread(std::io::Error),
    /// There is no store for an internal reason: opening it panicked, or this build does not
    /// include it.
    NoStore(String),
}

impl fmt::Display for GateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(text) | Self::NoStore(text) => f.write_str(text),
            Self::Settings(problems) => lines(f, problems),
            Self::Table(problems) => lines(f, problems),
            Self::Roles(path, problems) => {
                for (at, problem) in problems.iter().enumerate() {
                    let end = if at + 1 == problems.len() { "" } else { "\n" };
                    let BadRoles { line, column, .. } = problem;
                    write!(f, "{}:{line}:{column}: error: {problem}{end}", path.display())?;
                }
                Ok(())
            }
            Self::Page(path, flaws) => {
                let line = |flaw: &BadPage| format!("{}: error: {flaw}", path.display());
                lines(f, &flaws.iter().map(line).collect::<Vec<_>>())
            }
            Self::Certificate(error) => error.fmt(f),
            Self::Keys(fault) => fault.fmt(f),
            Self::Thread(error) => write!(f, "no thread to look after files: {error}"),
            #[cfg(feature = "embedded")]
            Self::Store(error) => error.fmt(f),
            #[cfg(any(feature = "redis", feature = "postgres"))]
            Self::Shared(error) => error.fmt(f),
            Self::Password(fault) => fault.fmt(f),
            Self::Lacking(guarantees) => {
                let store = guarantees.store;
                writeln!(f, "store {store}: it is not fit for production; safety is \"strict\"")?;
                let line = |lack: &Lack| format!("error: {lack}");
                lines(f, &guarantees.lacks.iter().map(line).collect::<Vec<_>>())
            }
            Self::Unchecked(why) => write!(f, "store: it does not say what it guarantees: {why}"),
        }
    }
}

impl std::error::Error for GateError {
    /// The source of the wrapped error: the wrapped error's own text is part of this one's.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Certificate(error) => error.source(),
            Self::Keys(fault) => fault.source(),
            #[cfg(feature = "embedded")]
            Self::Store(error) => error.source(),
            Self::Password(fault) => fault.source(),
            _ => None,
        }
    }
}

fn lines<P: fmt::Display>(f: &mut fmt::Formatter<'_>, problems: &[P]) -> fmt::Result {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    f.write_str(&texts.join("\n"))
}
