//! Literals and numbers of other languages, and how JSON writes them.

use super::flaw::Flaw;
use super::raw::ValueKind;

/// What an unquoted word means: a JSON value, perhaps in the spelling of another language. None for
/// an unknown word.
pub(super) fn word(text: &str) -> (Option<ValueKind<'static>>, Option<Flaw>) {
    let other = |json: &str, of: &str, kind| {
        let what = format!("{text} is {of}");
        (Some(kind), Some(Flaw::new("syntax", what, format!("write {json}"))))
    };
    match text {
        "true" => (Some(ValueKind::Bool(true)), None),
        "false" => (Some(ValueKind::Bool(false)), None),
        "null" => (Some(ValueKind::Null), None),
        "True" => other("true", "Python's word and not JSON's", ValueKind::Bool(true)),
        "False" => other("false", "Python's word and not JSON's", ValueKind::Bool(false)),
        "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            other("true", "not JSON's word for true", ValueKind::Bool(true))
        }
        "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            other("false", "not JSON's word for false", ValueKind::Bool(false))
        }
        "None" | "nil" | "undefined" | "Null" | "NULL" => {
            let what = format!("{text} is another language's word for nothing");
            let fix = "leave the property out";
            (None, Some(Flaw::new("syntax", what, fix)))
        }
        "NaN" | "Infinity" => (None, Some(no_number(text))),
        _ => {
            let what = "a word that is not JSON";
            let fix = "put text in double quotes; only true, false and null go without";
            (None, Some(Flaw::new("syntax", what, fix)))
        }
    }
}

/// Why this is not a JSON number (RFC 8259 §6); none if it is one.
pub(super) fn number(text: &str) -> Option<Flaw> {
    if is_number(text) {
        return None;
    }
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let is_unit = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_alphabetic());
    let is_hex = text.starts_with("0x") || text.starts_with("0X");
    let name = text.trim_start_matches(['-', '+']);
    Some(match name {
        "NaN" | "Infinity" => no_number(text),
        _ if is_unit && !is_hex && digits.len() < text.len() => Flaw::new(
            "syntax",
            format!("{text} has a unit, which a number of JSON has not"),
            "write the digits alone, in the unit that the property has",
        ),
        _ => Flaw::new(
            "syntax",
            "this is not a number of JSON",
            "write it in decimal digits, such as 30000",
        ),
    })
}

fn no_number(text: &str) -> Flaw {
    let what = format!("{text} is no number of JSON");
    Flaw::new("syntax", what, "write a number of decimal digits, or leave the property out")
}

fn is_number(text: &str) -> bool {
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let rest = text.strip_prefix('-').unwrap_or(text);
    let (rest, exponent) = match rest.split_once(['e', 'E']) {
        Some((rest, exponent)) => (rest, Some(exponent)),
        None => (rest, None),
    };
    let (whole, fraction) = match rest.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (rest, None),
    };
    let exponent = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
    all_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(all_digits)
        && exponent.is_none_or(all_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_serde_json() {
        for text in [
            "0", "-0", "1", "10", "-1", "1.5", "0.5", "1e3", "1E+3", "1e-3", "01", "1.", ".5",
            "+1", "1e", "-", "0x10", "1_000", "10m", "1.2.3", "--1", "1e1.5", "00",
        ] {
            let is_one = serde_json::from_str::<serde_json::Number>(text).is_ok();
            assert_eq!(number(text).is_none(), is_one, "{text}");
        }
    }

    #[test]
    fn each_language_gets_its_own_advice() {
        let fix = |text: &str| word(text).1.unwrap().fix;
        assert_eq!(fix("True"), "write true");
        assert_eq!(fix("off"), "write false");
        assert_eq!(fix("None"), "leave the property out");
        assert!(fix("start").starts_with("put text in double quotes"));
        assert!(number("10m").unwrap().what.contains("has a unit"));
        assert!(number("-Infinity").unwrap().what.contains("no number"));
        assert!(number("0x10").unwrap().fix.contains("decimal digits"));
    }
}
