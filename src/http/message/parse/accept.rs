//! Reading `Accept`: how much a caller likes a media type (RFC 9110 §12.5.1).

use hyper::HeaderMap;
use hyper::header;

/// The weight that the caller gives this very media type, ranges such as `*/*` left aside; `None`
/// where it is not named. Named several times, the highest counts.
pub(crate) fn weight(headers: &HeaderMap, media_type: &str) -> Option<f32> {
    let fields = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    fields.flat_map(|field| weights(field, media_type)).reduce(f32::max)
}

fn weights(field: &str, media_type: &str) -> Vec<f32> {
    let named = |range: &&str| {
        let name = range.split(';').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case(media_type)
    };
    split(field, ',').into_iter().filter(named).map(range_weight).collect()
}

/// The `q` of one media range; 1 without any, 0 where it cannot be read.
fn range_weight(range: &str) -> f32 {
    let weight = split(range, ';').into_iter().skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    match weight.map(str::parse::<f32>) {
        None => 1.0,
        Some(Ok(weight)) if (0.0..=1.0).contains(&weight) => weight,
        Some(_) => 0.0,
    }
}

/// The parts between these marks, where no mark inside a quoted string counts (RFC 9110 §5.6.4).
pub(crate) fn split(text: &str, mark: char) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(|c: char| {
        if is_escaped {
            is_escaped = false;
            return false;
        }
        match c {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => is_escaped = true,
            _ => {}
        }
        c == mark && !is_quoted
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn html(fields: &[&'static str]) -> Option<f32> {
        let fields = fields.iter().map(|text| (header::ACCEPT, HeaderValue::from_static(text)));
        weight(&fields.collect(), "text/html")
    }

    #[test]
    fn a_media_type_has_the_weight_that_it_is_given() {
        assert_eq!(html(&["text/html"]), Some(1.0));
        assert_eq!(html(&["image/gif, Text/HTML ; Q=0.25"]), Some(0.25));
        assert_eq!(html(&["text/html;level=1;q=0"]), Some(0.0));
        assert_eq!(html(&["text/html;q=0.000", "text/html;q=0.5"]), Some(0.5));
        assert_eq!(html(&["text/html;x=\"a,b;q=0\";q=0.75"]), Some(0.75));
        assert_eq!(html(&["text/html;x=\"\\\";q=0\""]), Some(1.0));
        for odd in ["text/html;q=", "text/html;q=x", "text/html;q=-1", "text/html;q=2"] {
            assert_eq!(weight_of(odd), Some(0.0), "{odd}");
        }
    }

    fn weight_of(text: &'static str) -> Option<f32> {
        html(&[text])
    }

    #[test]
    fn a_range_or_a_quoted_text_names_no_type() {
        for text in ["*/*", "text/*", "text/htmlx", "a/b;x=\",text/html,\"", "", ",;,"] {
            assert_eq!(weight_of(text), None, "{text}");
        }
        assert_eq!(html(&[]), None);
    }
}
