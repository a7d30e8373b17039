//! What an operator does with stores for many nodes: asks what they guarantee, starts servers on
//! them, and copies one to another.

mod copy;
mod doctor;
mod filled;

use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::program;

/// A key for the nodes, which is never to be seen.
const KEY: &str = "5ec2e7d15c0b3a94f6827e1d90ac4b35e86f17d2039bc5e4718fa60d2c93beef";
/// The passwords of the servers, right ones and wrong ones, which are never to be seen either.
const PASSWORDS: [&str; 2] = ["secret", "hunter2canary"];

/// A folder to run the program in.
struct Place(TempDir);

/// What the program printed, and its exit code.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("handlers.json", "[]");
        place
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command.args(words).current_dir(self.0.path()).env_clear().env("CALLGATE_KEYS", KEY);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    fn run(&self, words: &[&str]) -> Ended {
        Ended::of(&program::output(&mut self.command(words)))
    }

    fn json(&self, words: &[&str]) -> (Option<i32>, Value) {
        let ended = self.run(&[words, &["--format", "json"]].concat());
        let value = serde_json::from_str(&ended.out);
        (ended.code, value.unwrap_or_else(|error| panic!("{error}: {ended:?}")))
    }

    fn start(&self, words: &[&str]) -> Child {
        self.command(words).spawn().unwrap()
    }
}

impl Ended {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let ended = Self {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        };
        for secret in PASSWORDS.into_iter().chain([KEY]) {
            assert!(!ended.out.contains(secret) && !ended.err.contains(secret), "{ended:?}");
        }
        ended
    }
}
