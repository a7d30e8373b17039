//! Quantities with a unit, such as `10m` and `1 MB`, converted to the unit of a property.

/// The number of `unit` (`seconds`, `milliseconds` or `bytes`) that a text means; none where that
/// is ambiguous.
pub(super) fn in_unit(text: &str, unit: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let suffix = text.get(digits..)?.trim().to_ascii_lowercase();
    let millis = |each: u64| number.checked_mul(each);
    let bytes = |power: u32| number.checked_mul(1024_u64.checked_pow(power)?);
    match (unit, suffix.as_str()) {
        (_, "") | ("bytes", "b" | "byte" | "bytes") => Some(number),
        ("bytes", "k" | "kb" | "kib") => bytes(1),
        ("bytes", "m" | "mb" | "mib") => bytes(2),
        ("bytes", "g" | "gb" | "gib") => bytes(3),
        ("seconds" | "milliseconds", suffix) => {
            let millis = match suffix {
                "ms" | "msec" | "millis" | "milliseconds" => millis(1),
                "s" | "sec" | "secs" | "second" | "seconds" => millis(1_000),
                "m" | "min" | "mins" | "minute" | "minutes" => millis(60_000),
                "h" | "hour" | "hours" => millis(3_600_000),
                "d" | "day" | "days" => millis(86_400_000),
                _ => None,
            }?;
            let each = if unit == "seconds" { 1_000 } else { 1 };
            (millis % each == 0).then_some(millis / each)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_told_in_the_unit_of_its_property() {
        for (text, unit, number) in [
            ("10m", "seconds", Some(600)),
            ("10 min", "seconds", Some(600)),
            ("1d", "seconds", Some(86_400)),
            ("500ms", "seconds", None),
            ("2000ms", "seconds", Some(2)),
            ("5s", "milliseconds", Some(5_000)),
            ("600", "seconds", Some(600)),
            ("1MB", "bytes", Some(1_048_576)),
            ("64 KiB", "bytes", Some(65_536)),
            ("ten", "seconds", None),
            ("10 parsecs", "seconds", None),
            ("99999999999999999999d", "seconds", None),
            ("99999999999999999d", "seconds", None),
        ] {
            assert_eq!(in_unit(text, unit), number, "{text} {unit}");
        }
    }
}
