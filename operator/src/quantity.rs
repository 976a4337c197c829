//! Kubernetes quantities as numbers, so that `0.5` and `500m` are the same.

/// The value in thousandths; `None` when the text is no quantity or too large.
#[must_use]
pub fn parse(text: &str) -> Option<i128> {
    let split = text
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let milli = thousandths(number)?;
    let (factor, divisor): (i128, i128) = match suffix {
        "" => (1, 1),
        "m" => (1, 1000),
        "k" => (1000, 1),
        "M" => (1000_i128.pow(2), 1),
        "G" => (1000_i128.pow(3), 1),
        "T" => (1000_i128.pow(4), 1),
        "P" => (1000_i128.pow(5), 1),
        "Ki" => (1024, 1),
        "Mi" => (1024_i128.pow(2), 1),
        "Gi" => (1024_i128.pow(3), 1),
        "Ti" => (1024_i128.pow(4), 1),
        "Pi" => (1024_i128.pow(5), 1),
        _ => return None,
    };
    // The API server rounds up what is finer than a thousandth.
    Some(
        milli.checked_mul(factor)?.div_euclid(divisor)
            + i128::from(milli.checked_mul(factor)?.rem_euclid(divisor) > 0),
    )
}

fn thousandths(number: &str) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 3 || whole.len() > 18 || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let digits = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<i128>().ok()
        }
    };
    let scale = 10_i128.pow(3 - u32::try_from(fraction.len()).ok()?);
    Some(digits(whole)? * 1000 + digits(fraction)? * scale)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn same_amounts_are_equal() {
        for (a, b) in [
            ("0.5", "500m"),
            ("1", "1000m"),
            ("1024Mi", "1Gi"),
            ("1000k", "1M"),
            ("2", "2.0"),
        ] {
            assert_eq!(parse(a), parse(b), "{a} {b}");
            assert!(parse(a).is_some());
        }
        assert_ne!(parse("1M"), parse("1Mi"));
    }

    #[test]
    fn what_is_no_amount() {
        for text in ["", "x", "1x", "1.2345", ".", "1 Gi"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
