//! Disables core dumps, which would leave a copy of keys and tokens on a disk after a crash.

use std::io;

use super::exit::CommandError;
use super::exit::Exit;
use crate::settings::CoreDumps;

/// Disables core dumps of this process, and keeps other processes of its user from reading its
/// memory (`prctl(PR_SET_DUMPABLE)`).
#[cfg(target_os = "linux")]
pub(super) fn forbid() -> io::Result<()> {
    use rustix::process::DumpableBehavior;
    use rustix::process::dumpable_behavior;
    use rustix::process::set_dumpable_behavior;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    match dumpable_behavior()? {
        DumpableBehavior::NotDumpable => Ok(()),
        _ => Err(io::Error::other("the system has not taken it")),
    }
}

/// Disables core dumps of this process.
#[cfg(not(target_os = "linux"))]
pub(super) fn forbid() -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux can do that"))
}

/// What follows from whether core dumps could be disabled: under `auto` a warning, otherwise an error.
pub(super) fn settle(setting: CoreDumps, forbidden: io::Result<()>) -> Result<(), CommandError> {
    match forbidden {
        Ok(()) => Ok(()),
        Err(error) if setting == CoreDumps::Auto => {
            tracing::warn!(event = "process.core_dumps", %error, "a crash may leave a core dump");
            Ok(())
        }
        Err(error) => {
            let why = format!("core_dumps is \"off\", which cannot be kept: {error}; use \"auto\"");
            Err(CommandError::new(Exit::BadSettings, why))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::Mutex;

    use super::settle;
    use crate::cli::exit::Exit;
    use crate::settings::CoreDumps;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_leaves_no_core_dump_once_that_is_forbidden() {
        use rustix::process::DumpableBehavior;
        use rustix::process::dumpable_behavior;
        use rustix::process::set_dumpable_behavior;

        let before = dumpable_behavior().unwrap();
        super::forbid().unwrap();
        assert!(matches!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable));
        set_dumpable_behavior(before).unwrap();
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged, and the exit code, if the system answers so.
    fn settled(setting: CoreDumps, forbidden: io::Result<()>) -> (String, Option<Exit>) {
        let lines = Lines::default();
        let log = tracing_subscriber::fmt().json().with_writer({
            let lines = lines.clone();
            move || lines.clone()
        });
        // With a second subscriber, tracing asks both about every line (see tests/it/support/log.rs).
        let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
        let settled =
            tracing::subscriber::with_default(log.finish(), || settle(setting, forbidden));
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        (text, settled.err().map(|error| error.exit))
    }

    #[test]
    fn a_system_that_refuses_is_logged_under_auto_and_an_error_under_off() {
        let refuses = || Err(io::Error::other("the system has not taken it"));
        let (text, exit) = settled(CoreDumps::Auto, refuses());
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["fields"]["event"], "process.core_dumps");
        assert_eq!(line["fields"]["error"], "the system has not taken it");
        assert_eq!((&line["level"], exit), (&"WARN".into(), None));
        assert_eq!(settled(CoreDumps::Off, refuses()), (String::new(), Some(Exit::BadSettings)));
        for setting in [CoreDumps::Auto, CoreDumps::Off] {
            assert_eq!(settled(setting, Ok(())), (String::new(), None));
        }
    }
}
