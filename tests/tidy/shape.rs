//! The shape of files: the sentence at the top, the lines, the length of functions.

use super::source::Breach;
use super::source::Source;

const SHIPPED_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const EXAMPLE_LINES_MAX: usize = 60;
const SENTENCE_WORDS_MIN: usize = 4;

/// A file that does not begin by saying what it is.
pub(crate) fn first_sentence(source: &Source) -> Vec<Breach> {
    let paragraph: Vec<&str> = source
        .text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let paragraph = paragraph.join(" ");
    // An example ends its paragraph with its command.
    let sentence = paragraph.split(" Run: `").next().unwrap_or("");
    let what = if sentence.is_empty() {
        "begin the file with a `//!` sentence that says what it is"
    } else if !sentence.ends_with(['.', ':']) {
        "end the first `//!` sentence with a full stop or a colon"
    } else if sentence.split_whitespace().count() < SENTENCE_WORDS_MIN {
        "say in the first `//!` sentence what the file is, in four words or more"
    } else {
        return Vec::new();
    };
    vec![source.breach(0, what)]
}

/// A file or a function that has outgrown its reader.
pub(crate) fn sizes(source: &Source) -> Vec<Breach> {
    let lines = source.shipped_lines();
    let mut breaches = Vec::new();
    if lines > SHIPPED_LINES_MAX {
        breaches.push(source.breach(
            0,
            format!(
                "{lines} shipped lines, {SHIPPED_LINES_MAX} are the limit; split the file by what \
                 changes together"
            ),
        ));
    }
    for function in source.functions().iter().filter(|each| each.lines > FUNCTION_LINES_MAX) {
        let (name, lines) = (&function.name, function.lines);
        breaches.push(source.breach(
            function.at,
            format!(
                "{name} has {lines} lines, {FUNCTION_LINES_MAX} are the limit; give a part of it a \
                 name of its own"
            ),
        ));
    }
    breaches
}

/// An example that shows more than one idea, or does not say how to run it.
pub(crate) fn example(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let lines = source.text.lines().count();
    if lines > EXAMPLE_LINES_MAX {
        breaches.push(source.breach(
            0,
            format!(
                "{lines} lines, {EXAMPLE_LINES_MAX} are the limit of an example; one idea each"
            ),
        ));
    }
    let name = source.path.trim_start_matches("examples/").trim_end_matches(".rs");
    let command = format!("cargo run --example {name}");
    if !source
        .text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .any(|line| line.contains(&command))
    {
        breaches.push(source.breach(0, format!("say at the top how to run it: `{command}`")));
    }
    breaches
}
