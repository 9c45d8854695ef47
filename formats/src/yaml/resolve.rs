//! Says which plain scalars a reader takes for something other than a string: the implicit resolvers of PyYAML and
//! ruamel.yaml (`resolver.py`), written out. The two differ as the emitters do, not as the specifications do.

use super::Style;

/// Whether the plain scalar `text` would be read back as a string.
pub(super) fn is_string(text: &str, style: Style) -> bool {
    let bytes = text.as_bytes();
    let Some(&first) = bytes.first() else { return false };
    match first {
        b'-' | b'+' | b'.' | b'0'..=b'9' => {
            !(is_float(bytes, style) || is_integer(bytes, style) || is_timestamp(bytes))
        }
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' => {
            !(is_boolean(text, style) || matches!(text, "null" | "Null" | "NULL"))
        }
        b'~' => text != "~",
        b'<' => text != "<<",
        b'=' => text != "=",
        b'!' | b'&' | b'*' => bytes.len() > 1,
        _ => true,
    }
}

fn is_boolean(text: &str, style: Style) -> bool {
    match text {
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => true,
        "yes" | "Yes" | "YES" | "no" | "No" | "NO" | "on" | "On" | "ON" | "off" | "Off" | "OFF" => {
            style != Style::Ruamel12
        }
        "y" | "Y" | "n" | "N" => style == Style::Ruamel11,
        _ => false,
    }
}

/// Takes bytes from the front that match.
fn take(bytes: &mut &[u8], matches: impl Fn(u8) -> bool) -> usize {
    let count = bytes.iter().take_while(|&&byte| matches(byte)).count();
    *bytes = &bytes[count..];
    count
}

fn take_sign(bytes: &mut &[u8]) -> bool {
    let signed = matches!(bytes.first(), Some(b'-' | b'+'));
    if signed {
        *bytes = &bytes[1..];
    }
    signed
}

fn is_digit_or_line(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'_'
}

/// `(?::[0-5]?[0-9])+`
fn take_sexagesimal(bytes: &mut &[u8]) -> bool {
    let mut found = false;
    while let [b':', rest @ ..] = *bytes {
        *bytes = match rest {
            [b'0'..=b'5', b'0'..=b'9', rest @ ..] | [b'0'..=b'9', rest @ ..] => rest,
            _ => return false,
        };
        found = true;
    }
    found
}

/// An exponent up to the end. `sign_required` as in PyYAML's regular expressions.
fn is_exponent(bytes: &[u8], sign_required: bool) -> bool {
    let [b'e' | b'E', rest @ ..] = bytes else { return false };
    let mut rest = rest;
    let signed = take_sign(&mut rest);
    (signed || !sign_required) && !rest.is_empty() && rest.iter().all(u8::is_ascii_digit)
}

fn is_float(bytes: &[u8], style: Style) -> bool {
    let mut rest = bytes;
    let signed = take_sign(&mut rest);
    if let [b'.', rest @ ..] = rest {
        if matches!(rest, b"inf" | b"Inf" | b"INF") || !signed && matches!(rest, b"nan" | b"NaN" | b"NAN") {
            return true;
        }
        let mut rest = rest;
        // ruamel's 1.1 and PyYAML take no sign here; PyYAML wants a digit first.
        let allowed = match style {
            Style::PyYaml => !signed && rest.first().is_some_and(u8::is_ascii_digit),
            Style::Ruamel11 => !signed,
            Style::Ruamel12 => true,
        };
        return allowed && take(&mut rest, is_digit_or_line) > 0 && (rest.is_empty() || is_exponent(rest, true));
    }
    if !rest.first().is_some_and(u8::is_ascii_digit) {
        return false;
    }
    take(&mut rest, is_digit_or_line);
    match rest {
        [b'.', fraction @ ..] => {
            let mut fraction = fraction;
            take(&mut fraction, is_digit_or_line);
            fraction.is_empty() || is_exponent(fraction, style == Style::PyYaml)
        }
        [b'e' | b'E', ..] => style.is_ruamel() && is_exponent(rest, false),
        [b':', ..] if style != Style::Ruamel12 => {
            take_sexagesimal(&mut rest)
                && matches!(rest, [b'.', fraction @ ..] if fraction.iter().copied().all(is_digit_or_line))
        }
        _ => false,
    }
}

/// Whether ruamel writes `text` plain in YAML 1.2, and the specification has it as a float: `.1e3`. ruamel wants a sign in
/// the exponent where no digit is before the point (YAML 1.2.2, section 10.3.2, has `[-+]?` there).
pub(super) fn is_float_by_specification(text: &str, style: Style) -> bool {
    let mut rest = text.as_bytes();
    take_sign(&mut rest);
    let [b'.', rest @ ..] = rest else { return false };
    let mut rest = rest;
    style == Style::Ruamel12 && take(&mut rest, |byte| byte.is_ascii_digit()) > 0 && is_exponent(rest, false)
}

fn is_integer(bytes: &[u8], style: Style) -> bool {
    let mut rest = bytes;
    take_sign(&mut rest);
    let all = |digits: &[u8], matches: fn(u8) -> bool| !digits.is_empty() && digits.iter().copied().all(matches);
    let octal = |byte: u8| matches!(byte, b'0'..=b'7' | b'_');
    match rest {
        [b'0', b'b', digits @ ..] if all(digits, |byte| matches!(byte, b'0' | b'1' | b'_')) => return true,
        [b'0', b'x', digits @ ..] if all(digits, |byte| byte.is_ascii_hexdigit() || byte == b'_') => return true,
        _ => {}
    }
    match style {
        Style::Ruamel12 => {
            let digits = rest.strip_prefix(b"0").unwrap_or(rest);
            all(rest, is_digit_or_line) || all(digits.strip_prefix(b"o").unwrap_or(digits), octal) && digits != rest
        }
        _ => {
            rest == b"0"
                || matches!(rest, [b'0', digits @ ..] if all(digits, octal))
                || style == Style::Ruamel11 && all(rest, octal)
                || matches!(rest.first(), Some(b'1'..=b'9')) && {
                    take(&mut rest, is_digit_or_line);
                    rest.is_empty() || take_sexagesimal(&mut rest) && rest.is_empty()
                }
        }
    }
}

/// `YYYY-MM-DD`, or with a time, in which date and time may have less digits.
fn is_timestamp(bytes: &[u8]) -> bool {
    let digits = |rest: &mut &[u8], least: usize, most: usize| {
        let count = rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        *rest = &rest[count..];
        count >= least
    };
    let literal = |rest: &mut &[u8], byte: u8| {
        let found = rest.first() == Some(&byte);
        *rest = &rest[usize::from(found)..];
        found
    };
    let mut rest = bytes;
    let date = digits(&mut rest, 4, 4)
        && literal(&mut rest, b'-')
        && digits(&mut rest, 1, 2)
        && literal(&mut rest, b'-')
        && digits(&mut rest, 1, 2);
    if !date || rest.is_empty() {
        return date && bytes.len() == 10;
    }
    let gap = literal(&mut rest, b'T')
        || literal(&mut rest, b't')
        || take(&mut rest, |byte| byte == b' ' || byte == b'\t') > 0;
    let time = gap
        && digits(&mut rest, 1, 2)
        && literal(&mut rest, b':')
        && digits(&mut rest, 2, 2)
        && literal(&mut rest, b':')
        && digits(&mut rest, 2, 2);
    if !time {
        return false;
    }
    if literal(&mut rest, b'.') {
        take(&mut rest, |byte| byte.is_ascii_digit());
    }
    if rest.is_empty() {
        return true;
    }
    take(&mut rest, |byte| byte == b' ' || byte == b'\t');
    if literal(&mut rest, b'Z') {
        return rest.is_empty();
    }
    take_sign(&mut rest)
        && digits(&mut rest, 1, 2)
        && (rest.is_empty() || literal(&mut rest, b':') && digits(&mut rest, 2, 2) && rest.is_empty())
}
