//! Values as they are written in a settings file.

use super::kind::Value;

/// A value as it is written in a settings file; `None` for what is not shown.
pub fn written(value: &Value) -> Option<String> {
    Some(match value {
        Value::Text(text) => quoted(text),
        Value::Number(number) => number.to_string(),
        Value::Switch(on) => on.to_string(),
        Value::Texts(texts) => {
            let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
            format!("[{}]", texts.join(", "))
        }
        Value::Secrets(secrets) if secrets.is_empty() => "[]".to_owned(),
        Value::Url(_) | Value::Secrets(_) => return None,
    })
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut all = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => all.extend(['\\', c]),
            '\n' => all.push_str("\\n"),
            '\r' => all.push_str("\\r"),
            '\t' => all.push_str("\\t"),
            c if c.is_control() => all.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            c => all.push(c),
        }
    }
    all.push('"');
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_written_as_toml_reads_it() {
        assert_eq!(quoted("a\"b\\c\n\u{7f}é"), "\"a\\\"b\\\\c\\n\\u007fé\"");
    }
}
