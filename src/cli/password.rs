//! Reading a password: from a terminal without showing it, or from standard input.

use std::io::BufRead;
use std::io::IsTerminal;
use std::io::Read;
use std::io::Write;

use super::exit::CommandError;
use super::exit::Exit;
use crate::account::client_digest;
use crate::base::secret::SecretText;

/// Longest line that is read.
const LINE_BYTES_MAX: u64 = 4_096;

/// A password: asked for twice on a terminal, otherwise the first line of standard input.
pub(super) fn read() -> Result<SecretText, CommandError> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return line(&mut input.lock());
    }
    let _hidden = hidden()?;
    let (first, second) = (prompted("Password: ")?, prompted("Once more: ")?);
    // Both were typed here, by one person: how long the comparison takes tells nobody anything.
    let digests = [&first, &second].map(client_digest);
    let [first_digest, second_digest] = digests.each_ref().map(|digest| digest.expose().as_bytes());
    if first_digest.iter().ne(second_digest) {
        return Err(CommandError::new(
            Exit::Usage,
            "the two passwords differ; nothing was changed",
        ));
    }
    Ok(first)
}

fn prompted(prompt: &str) -> Result<SecretText, CommandError> {
    let mut terminal = std::io::stderr().lock();
    // A prompt that cannot be shown is no reason not to read.
    let _ = write!(terminal, "{prompt}").and_then(|()| terminal.flush());
    let typed = line(&mut std::io::stdin().lock());
    let _ = writeln!(terminal);
    typed
}

/// One line without its end.
fn line(input: &mut impl BufRead) -> Result<SecretText, CommandError> {
    let failed = |why: String| CommandError::new(Exit::Io, format!("standard input: {why}"));
    let mut line = String::new();
    input
        .by_ref()
        .take(LINE_BYTES_MAX)
        .read_line(&mut line)
        .map_err(|error| failed(error.to_string()))?;
    // The buffer is wiped with the secret that takes it over.
    let read = SecretText::new(line);
    let text = read.expose().trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        let why = "no password came; type one, or send one line to standard input";
        return Err(CommandError::new(Exit::Usage, why));
    }
    Ok(SecretText::new(text.to_owned()))
}

/// Shows what is typed again when it is dropped.
#[cfg(unix)]
struct Shown(rustix::termios::Termios);

#[cfg(unix)]
impl Drop for Shown {
    fn drop(&mut self) {
        use rustix::termios::OptionalActions;
        // The error is dropped: the command ends.
        let _ = rustix::termios::tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// Keeps the terminal from showing what is typed.
#[cfg(unix)]
fn hidden() -> Result<Shown, CommandError> {
    use rustix::termios::LocalModes;
    use rustix::termios::OptionalActions;
    use rustix::termios::tcgetattr;
    use rustix::termios::tcsetattr;
    let failed = |error: rustix::io::Errno| {
        let why = format!(
            "the terminal shows what is typed ({error}); send the password to standard input"
        );
        CommandError::new(Exit::Io, why)
    };
    let shown = tcgetattr(std::io::stdin()).map_err(failed)?;
    let mut quiet = shown.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    tcsetattr(std::io::stdin(), OptionalActions::Flush, &quiet).map_err(failed)?;
    Ok(Shown(shown))
}

/// Elsewhere a terminal would show it.
#[cfg(not(unix))]
fn hidden() -> Result<(), CommandError> {
    let why = "this system shows what is typed; send the password to standard input";
    Err(CommandError::new(Exit::Usage, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_without_its_end_and_with_its_blanks() {
        for (input, password) in
            [("secret\n", "secret"), ("a b \r\nmore", "a b "), ("no end", "no end")]
        {
            assert_eq!(line(&mut input.as_bytes()).unwrap().expose(), password);
        }
        for input in ["", "\n", "\r\n"] {
            assert_eq!(line(&mut input.as_bytes()).unwrap_err().exit, Exit::Usage);
        }
    }
}
