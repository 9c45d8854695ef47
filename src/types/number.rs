//! Numbers as people and programs write them, and which of them 64 bits hold exactly.
//!
//! JSON has numbers of any size, and readers round them silently. Nix has integers and floats of 64 bits, and refuses
//! larger ones; a float with more digits than it can hold would come back as another number.

use std::cmp::Ordering;

use serde_json::Number;

/// Compares numbers as Nix does: two integers as integers, otherwise both as floats.
#[must_use]
pub fn compare(one: &Number, other: &Number) -> Ordering {
    match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => one.cmp(&other),
        // JSON has no NaN.
        _ => one.as_f64().partial_cmp(&other.as_f64()).unwrap_or(Ordering::Less),
    }
}

/// The fault of a number in JSON or Nix syntax; `None` if 64 bits hold it exactly.
#[must_use]
pub fn fault(token: &str) -> Option<String> {
    let digits = token.strip_prefix('-').unwrap_or(token);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        if token.starts_with('-') && digits.bytes().all(|byte| byte == b'0') {
            return Some(format!("{token}: Nix has no negative zero; write 0"));
        }
        let held = token.parse::<i64>().is_ok();
        return (!held).then(|| format!("{token} is beyond 64 bits: integers go from {} to {}", i64::MIN, i64::MAX));
    }
    let float: f64 = digits.parse().ok()?;
    let (mantissa, _) = digits.split_once(['e', 'E']).unwrap_or((digits, ""));
    let written: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let written = written.trim_matches('0');
    if float.is_infinite() {
        return Some(format!("{token} is beyond 64 bits: no float is greater than {:e}", f64::MAX));
    }
    if !written.is_empty() && !float.is_normal() {
        return Some(format!("{token} is too close to zero: Nix reads no float below {:e}", f64::MIN_POSITIVE));
    }
    // Fifteen digits always come back.
    if written.len() <= 15 {
        return None;
    }
    let significant = |text: &str| -> String {
        let mantissa = text.split('e').next().unwrap_or_default();
        mantissa.chars().filter(char::is_ascii_digit).collect()
    };
    // The shortest digits that give a float are not always those that it rounds to: beside a power of two they may differ.
    let rounded = significant(&format!("{float:.*e}", written.len() - 1));
    let shortest = significant(&format!("{float:e}"));
    (rounded != written && shortest != written)
        .then(|| format!("{token} has more digits than 64 bits hold, and would become {float:?}; write that"))
}

/// The fault of the first number of a JSON text that 64 bits don't hold.
#[must_use]
pub fn first_fault(json: &[u8]) -> Option<String> {
    faults(json).flatten().next()
}

/// The faults of the numbers of a JSON text, in their order.
pub fn faults(json: &[u8]) -> impl Iterator<Item = Option<String>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(&byte) = json.get(at) {
            match byte {
                b'"' => {
                    at += 1;
                    while let Some(&inside) = json.get(at) {
                        at += if inside == b'\\' { 2 } else { 1 };
                        if inside == b'"' {
                            break;
                        }
                    }
                }
                b'-' | b'0'..=b'9' => {
                    let from = at;
                    while matches!(json.get(at), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
                        at += 1;
                    }
                    return Some(std::str::from_utf8(&json[from..at]).ok().and_then(fault));
                }
                _ => at += 1,
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_64_bits_hold_is_no_fault() {
        for token in [
            "0",
            "-1",
            "9223372036854775807",
            "-9223372036854775808",
            "8080.0",
            "8e3",
            "1.10",
            "0.1",
            "1e22",
            "-2.5E-3",
            "0.30000000000000004",
            "1.7976931348623157e308",
            // Rounded to as many digits it is ...984e144.
            "6.243497100631985e144",
            "100000000000000000000.0",
            "0.0",
            ".5",
            "1.",
        ] {
            assert_eq!(fault(token), None, "{token}");
        }
    }

    #[test]
    fn what_would_become_another_number_is_one() {
        for token in [
            "18446744073709551616",
            "9223372036854775808",
            "-9223372036854775809",
            "-0",
            "1e-400",
            "1e400",
            "-1e999",
            "4.9e-324",
            "0.1234567890123456789",
            "9007199254740993.0",
            "123456789012345678901234567890.5",
        ] {
            assert!(fault(token).is_some(), "{token}");
        }
        assert_eq!(first_fault(br#"{"1e400": ["-0", "\"1e400", 1, 2.5]}"#), None);
        assert!(first_fault(br#"{"a": [1, {"b": 1e400}]}"#).is_some_and(|fault| fault.starts_with("1e400 ")));
    }
}
