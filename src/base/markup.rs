//! Words made safe to stand in a page: whoever wrote them, they become no markup.

/// The text with every character that means something in HTML written as a reference, inside and
/// outside of attributes.
pub(crate) fn escaped(words: &str) -> String {
    let mut safe = String::with_capacity(words.len());
    for letter in words.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_means_something_is_left() {
        assert_eq!(escaped("<a title=\"x\">&'é"), "&lt;a title=&quot;x&quot;&gt;&amp;&#39;é");
    }
}
