//! Programs that tests run to their end.

use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

/// How long a program may run.
const PATIENCE: Duration = Duration::from_secs(30);

/// Callers clear the environment; a defect that is switched on, see tests/broken, must stay so.
pub(crate) fn keep_defect(command: &mut Command) {
    #[expect(clippy::disallowed_methods, reason = "a setting of the test run, not of callgate")]
    let broken = std::env::var_os("CALLGATE_TEST_BROKEN");
    command.envs(broken.map(|name| ("CALLGATE_TEST_BROKEN", name)));
}

/// Runs a program to its end. One that does not end, for example because it serves where it should
/// have refused to start, is killed; its exit code is `None` then.
pub(crate) fn output(command: &mut Command) -> Output {
    fed(command, Stdio::null())
}

/// As [`output`], with a standard input.
pub(crate) fn fed(command: &mut Command, input: Stdio) -> Output {
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    keep_defect(command);
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let pid = Pid::from_child(&child);
    let (ended, end) = mpsc::channel::<()>();
    thread::spawn(move || {
        if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(ended);
    output
}
