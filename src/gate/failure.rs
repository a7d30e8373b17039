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

/// Why a gate cannot be opened. Nothing was bound.
#[derive(Debug)]
#[non_exhaustive]
pub enum GateError {
    /// A file is missing or cannot be read.
    File(String),
    /// The settings contradict themselves.
    Settings(Vec<settings::Problem>),
    /// Table or class files are not usable; every problem of them.
    Table(Vec<Problem>),
    /// `roles.json` is not usable; every problem of it.
    Roles(PathBuf, Vec<BadRoles>),
    /// The page that asks before a link counts is not usable; every flaw of it.
    Page(PathBuf, Vec<BadPage>),
    /// HTTPS has no certificate to show.
    Certificate(BadCertificate),
    /// There is no key to seal cookies with.
    Keys(KeyFault),
    /// The embedded store cannot be opened.
    #[cfg(feature = "embedded")]
    Store(crate::store::embedded::OpenError),
    /// The store for many nodes cannot be opened.
    #[cfg(any(feature = "redis", feature = "postgres"))]
    Shared(crate::store::shared::OpenError),
    /// There is no password to open the store with.
    Password(PasswordFault),
    /// The store is not fit for production as it is set up, and `strict` wants that.
    Lacking(Guarantees),
    /// The store does not say what it guarantees, and `strict` wants to know.
    Unchecked(String),
    /// The system gave no thread to look after table and class files.
    Thread(std::io::Error),
    /// There is no store, for a reason that lies in callgate: opening it panicked, or this
    /// callgate was built without it.
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
    /// What lies beneath the error inside: that one has said its own part already.
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
