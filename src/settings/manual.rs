//! What each setting means, taken from the comments of the default file so that it is said once.

use super::DEFAULT_TOML;

/// The comment that stands above a setting in the default file, as one line; nothing for a name
/// that is not there.
pub fn meaning(name: &str) -> String {
    let mut section = String::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in DEFAULT_TOML.lines() {
        if let Some(inner) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{inner}.");
        } else if let Some(said) = line.strip_prefix("# ") {
            comment.push(said);
        } else {
            let key = line.trim_start_matches('#').split(" = ").next().unwrap_or_default();
            if !key.is_empty() && format!("{section}{key}") == name {
                return comment.join(" ");
            }
            comment.clear();
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::raw::SETTINGS;

    #[test]
    fn every_setting_is_explained_in_the_default_file() {
        for setting in SETTINGS {
            let meaning = meaning(setting.name);
            assert!(meaning.ends_with('.'), "{} means {meaning:?}", setting.name);
        }
        assert_eq!(meaning("session.idle_minutes").split(';').nth(1), Some(" 60 at least."));
        assert_eq!(meaning("nonsense"), "");
    }

    #[test]
    fn the_default_file_holds_the_settings_in_order_and_nothing_else() {
        let mut section = String::new();
        let mut names = Vec::new();
        for line in DEFAULT_TOML.lines() {
            if let Some(inner) = line.strip_prefix('[') {
                section = format!("{}.", inner.trim_end_matches(']'));
            } else if !line.starts_with("# ") && line.contains(" = ") {
                let key = line.trim_start_matches('#').split(" = ").next().unwrap();
                names.push(format!("{section}{key}"));
            }
        }
        let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
        assert_eq!(names, known);
    }
}
