//! Finds literals about links and tokens in class files: `createCallbackURL("/paid")` and
//! `createOTP({ for: "Mail.paid" })`.
//!
//! Only literals in the call itself are found; values that are computed are checked when the call
//! is made. Comments, strings and regular expressions are tokenized, so that their content is not
//! mistaken for code.

/// A literal argument and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Literal {
    pub(crate) kind: LiteralKind,
    pub(crate) text: String,
    /// Byte offset in the file.
    pub(crate) at: usize,
}

/// The meaning of a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LiteralKind {
    /// The path of a callback URL.
    Path,
    /// A handler that may redeem the token.
    Handler,
}

/// A token of a JavaScript program.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'t> {
    Word(&'t str),
    /// A string without interpolation and escapes.
    Text(String),
    Sign(char),
}

/// Finds the literals in a class file.
pub(crate) fn literals(text: &str) -> Vec<Literal> {
    let tokens = tokens(text);
    let sign = |at: usize, wanted: char| matches!(tokens.get(at), Some((Token::Sign(sign), _)) if *sign == wanted);
    let mut found = Vec::new();
    for (at, (token, _)) in tokens.iter().enumerate() {
        let Token::Word(name @ ("createOTP" | "createCallbackURL")) = token else { continue };
        if at == 0 || !sign(at - 1, '.') || !sign(at + 1, '(') {
            continue;
        }
        let is_alone = |at: usize| {
            sign(at + 1, ',') || sign(at + 1, ')') || sign(at + 1, '}') || sign(at + 1, ']')
        };
        if let (&"createCallbackURL", Some((Token::Text(path), place))) = (name, tokens.get(at + 2))
            && is_alone(at + 2)
        {
            found.push(Literal { kind: LiteralKind::Path, text: path.clone(), at: *place });
        }
        for (at, text, place) in handlers(&tokens, at + 1) {
            if is_alone(at) {
                found.push(Literal { kind: LiteralKind::Handler, text, at: place });
            }
        }
    }
    found
}

/// The strings of `for:` within the brackets that open at token `open`: index of the token, text,
/// and byte offset.
fn handlers(tokens: &[(Token<'_>, usize)], open: usize) -> Vec<(usize, String, usize)> {
    let (mut depth, mut found) = (0_usize, Vec::new());
    let mut at = open;
    while let Some((token, _)) = tokens.get(at) {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    break;
                }
            }
            Token::Word("for") if depth == 2 && is_sign(tokens, at + 1, ':') => {
                let is_list = is_sign(tokens, at + 2, '[');
                let first = if is_list { at + 3 } else { at + 2 };
                let mut next = first;
                while let Some((Token::Text(text), place)) = tokens.get(next) {
                    found.push((next, text.clone(), *place));
                    if !is_list || !is_sign(tokens, next + 1, ',') {
                        break;
                    }
                    next += 2;
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn is_sign(tokens: &[(Token<'_>, usize)], at: usize, wanted: char) -> bool {
    matches!(tokens.get(at), Some((Token::Sign(sign), _)) if *sign == wanted)
}

/// Tokenizes a program into words, strings and signs with their offsets. A string with
/// interpolation is a sign.
fn tokens(text: &str) -> Vec<(Token<'_>, usize)> {
    let mut tokens: Vec<(Token<'_>, usize)> = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next().unwrap_or_default();
        let (token, bytes) = if rest.starts_with("//") {
            (None, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (None, rest.get(2..).and_then(|it| it.find("*/")).map_or(rest.len(), |end| end + 4))
        } else if first == '/' && begins_expression(tokens.last().map(|(token, _)| token)) {
            (Some(Token::Sign('/')), expression(rest))
        } else if matches!(first, '"' | '\'' | '`') {
            let (literal, bytes) = quoted(rest, first);
            (Some(literal.map_or(Token::Sign('`'), Token::Text)), bytes)
        } else if is_letter(first) {
            let end = rest.find(|c| !is_letter(c)).unwrap_or(rest.len());
            (rest.get(..end).map(Token::Word), end)
        } else if first.is_whitespace() {
            (None, first.len_utf8())
        } else {
            (Some(Token::Sign(first)), first.len_utf8())
        };
        tokens.extend(token.map(|token| (token, at)));
        at += bytes;
    }
    tokens
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

/// Whether a slash starts a regular expression. After a value it is a division.
fn begins_expression(before: Option<&Token<'_>>) -> bool {
    match before {
        None => true,
        Some(Token::Sign(sign)) => !matches!(sign, ')' | ']' | '}' | '`' | '/'),
        Some(Token::Text(_)) => false,
        Some(Token::Word(word)) => {
            matches!(
                *word,
                "return" | "typeof" | "case" | "in" | "of" | "delete" | "void" | "await"
            )
        }
    }
}

/// Length of a regular expression in bytes; 1 if it does not end on its line.
fn expression(rest: &str) -> usize {
    let (mut in_class, mut is_escaped) = (false, false);
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\n' => return 1,
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '/' if !in_class => return at + 1,
            _ => {}
        }
    }
    1
}

/// A quoted string and its length in bytes. The text is `None` if it contains interpolation or
/// escapes.
fn quoted(rest: &str, quote: char) -> (Option<String>, usize) {
    let mut literal = Some(String::new());
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => return (literal, at + 1),
            '\n' if quote != '`' => return (None, at),
            '\\' => {
                literal = None;
                chars.next();
            }
            // The interpolated part may contain strings. Parsing it as part of this string, and
            // what follows as code up to the next quote, yields no literal of a call.
            '$' if quote == '`' && chars.peek().is_some_and(|(_, next)| *next == '{') => {
                literal = None;
            }
            c => {
                if let Some(literal) = &mut literal {
                    literal.push(c);
                }
            }
        }
    }
    (None, rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        literals(text).iter().map(|it| format!("{:?} {}", it.kind, it.text)).collect()
    }

    #[test]
    fn literals_of_calls_are_found() {
        for (text, expected) in [
            ("s.createCallbackURL('/paid')", vec!["Path /paid"]),
            (
                "await session . createCallbackURL ( \"/paid?x=1\", { lifespan: 60 } )",
                vec!["Path /paid?x=1"],
            ),
            ("s.createCallbackURL(`/paid`)", vec!["Path /paid"]),
            ("s.createOTP({ for: 'Mail.paid' })", vec!["Handler Mail.paid"]),
            (
                "s.createOTP({ lifespan: 5, for: ['A.b', \"C.d\"], mode })",
                vec!["Handler A.b", "Handler C.d"],
            ),
            ("s.createCallbackURL('/x', { for: 'A.b' })", vec!["Path /x", "Handler A.b"]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn literals_outside_of_calls_are_not_found() {
        for text in [
            "// s.createCallbackURL('/paid')",
            "/* s.createOTP({ for: 'A.b' }) */",
            "const help = \"s.createCallbackURL('/paid')\";",
            "const help = `s.createCallbackURL('/paid')`;",
            "/s.createCallbackURL\\('x'\\)/.test(a)",
            "s.createCallbackURL('/orders/' + id)",
            "s.createCallbackURL(`/orders/${id}`)",
            "s.createCallbackURL(path)",
            "s.createCallbackURL('/a\\u0062')",
            "createCallbackURL('/paid')",
            "s.createOTP({ for: name })",
            "s.createOTP({ for: 'A.' + name })",
            "for (const x of s.createOTP()) { y = { for: 'A.b' }; }",
            "a / b; s.other({ for: 'A.b' }); c / d",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
        let divided = "x = a / b; s.createCallbackURL('/paid'); y = c / d";
        assert_eq!(found(divided), ["Path /paid"]);
    }
}
