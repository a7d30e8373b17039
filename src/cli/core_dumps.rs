//! Disables core dumps, which would leave a copy of keys and tokens on a disk after a crash.

use std::io;

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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::DumpableBehavior;
    use rustix::process::dumpable_behavior;
    use rustix::process::set_dumpable_behavior;

    #[test]
    fn the_process_leaves_no_core_dump_once_that_is_forbidden() {
        let before = dumpable_behavior().unwrap();
        super::forbid().unwrap();
        assert!(matches!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable));
        set_dumpable_behavior(before).unwrap();
    }
}
