//! Python code in `mkRaw`. This module covers the part that black changes only in its spaces and quotes: names,
//! attributes, calls, subscripts, plain strings, integers, and `a if b else c`.

use super::literal;

/// Code as black writes it on one line; `None` if it has parts that are not known here. `keeps_raw` is the dialect in
/// which `r"..."` stays as it is.
pub fn format(code: &str, keeps_raw: bool) -> Option<Vec<u8>> {
    let mut reader = Reader { rest: code, out: Vec::with_capacity(code.len()), keeps_raw };
    reader.read_conditional()?;
    reader.skip_spaces();
    reader.rest.is_empty().then_some(reader.out)
}

struct Reader<'a> {
    rest: &'a str,
    out: Vec<u8>,
    keeps_raw: bool,
}

impl<'a> Reader<'a> {
    fn read_conditional(&mut self) -> Option<()> {
        self.read_primary()?;
        if self.read_word_if("if") {
            self.out.extend_from_slice(b" if ");
            self.read_primary()?;
            if !self.read_word_if("else") {
                return None;
            }
            self.out.extend_from_slice(b" else ");
            self.read_primary()?;
        }
        Some(())
    }

    fn read_primary(&mut self) -> Option<()> {
        self.skip_spaces();
        let first = self.rest.chars().next()?;
        if first.is_ascii_digit() {
            return self.read_integer();
        }
        if matches!(first, '"' | '\'') {
            self.read_string(false)?;
        } else if self.rest.starts_with(r#"r""#) || self.rest.starts_with("r'") {
            self.rest = self.rest.get(1..)?;
            self.read_string(true)?;
        } else {
            let word = self.read_word();
            if !literal::is_name(word) && !matches!(word, "True" | "False" | "None") {
                return None;
            }
            self.out.extend_from_slice(word.as_bytes());
        }
        self.read_trailers()
    }

    fn read_trailers(&mut self) -> Option<()> {
        loop {
            if self.read_if('.') {
                self.out.push(b'.');
                self.skip_spaces();
                let name = self.read_word();
                if !literal::is_name(name) {
                    return None;
                }
                self.out.extend_from_slice(name.as_bytes());
            } else if self.read_if('[') {
                self.out.push(b'[');
                self.read_conditional()?;
                self.read_if(']').then(|| self.out.push(b']'))?;
            } else if self.read_if('(') {
                self.out.push(b'(');
                self.read_arguments()?;
            } else {
                return Some(());
            }
        }
    }

    fn read_arguments(&mut self) -> Option<()> {
        if !self.read_if(')') {
            loop {
                self.read_argument_name();
                self.read_conditional()?;
                if self.read_if(')') {
                    break;
                }
                self.read_if(',').then(|| self.out.extend_from_slice(b", "))?;
            }
        }
        self.out.push(b')');
        Some(())
    }

    /// `name=`, if that is what comes.
    fn read_argument_name(&mut self) {
        self.skip_spaces();
        let before = self.rest;
        let name = self.read_word();
        if literal::is_name(name) && self.read_if('=') && !self.rest.starts_with('=') {
            self.out.extend_from_slice(name.as_bytes());
            self.out.push(b'=');
        } else {
            self.rest = before;
        }
    }

    fn read_integer(&mut self) -> Option<()> {
        let digits = self.read_word();
        let is_decimal =
            digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        if !is_decimal || self.rest.starts_with('.') {
            return None;
        }
        self.out.extend_from_slice(digits.as_bytes());
        Some(())
    }

    /// ASCII without quotes, and without escapes unless the string is a raw one.
    fn read_string(&mut self, raw: bool) -> Option<()> {
        let quote = self.rest.chars().next()?;
        let (body, rest) = self.rest.get(1..)?.split_once(quote)?;
        let is_plain = body.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\''));
        let has_escape = body.contains('\\') && !raw;
        // Not the start of a string in three quotes, nor of one that follows directly.
        if !is_plain || has_escape || body.ends_with('\\') || rest.trim_start().starts_with(['"', '\'']) {
            return None;
        }
        self.rest = rest;
        if raw && self.keeps_raw {
            self.out.extend_from_slice(b"r\"");
            self.out.extend_from_slice(body.as_bytes());
            self.out.push(b'"');
        } else {
            literal::write_string(&mut self.out, body);
        }
        Some(())
    }

    fn read_word(&mut self) -> &'a str {
        let end = self.rest.find(|ch: char| !ch.is_ascii_alphanumeric() && ch != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn read_word_if(&mut self, expected: &str) -> bool {
        self.skip_spaces();
        let before = self.rest;
        if self.read_word() == expected {
            return true;
        }
        self.rest = before;
        false
    }

    fn read_if(&mut self, expected: char) -> bool {
        self.skip_spaces();
        self.rest.strip_prefix(expected).is_some_and(|rest| {
            self.rest = rest;
            true
        })
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(code: &str) -> Option<String> {
        format(code, true).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn code_that_black_only_spaces_anew() {
        for (code, expected) in [
            ("os.environ['X']", "os.environ[\"X\"]"),
            ("f( a,b = 'x' )( )", "f(a, b=\"x\")()"),
            ("1 if True else 2", "1 if True else 2"),
            ("f(a if b else None)[0].c", "f(a if b else None)[0].c"),
            ("re.findall(r'\\bf', \"x\")", "re.findall(r\"\\bf\", \"x\")"),
        ] {
            assert_eq!(formatted(code).as_deref(), Some(expected));
        }
        assert_eq!(format("r'\\d'", false), Some(b"\"\\\\d\"".to_vec()));
    }

    #[test]
    fn code_that_is_not_known() {
        for code in [
            "",
            "a b",
            "a + 1",
            "-1",
            "1.0",
            "01",
            "1.real",
            "0x1f",
            "1if a else b",
            "(a)",
            "[1]",
            "{}",
            "lambda: 1",
            "f(a,)",
            "f(*a)",
            "a == b",
            "f(a == b)",
            "'a' 'b'",
            "'''a'''",
            "'\\n'",
            "'\"'",
            "f'{a}'",
            "b'x'",
            "r'\\'",
            "a.if",
            "if",
            "a # b",
            "a\n",
            "a if b",
            "x[1:2]",
            "x[1, 2]",
            "é",
            "a;b",
            "f(a)=1",
            "not a",
            "r 'x'",
            "await x",
            "a=1",
        ] {
            assert_eq!(formatted(code), None, "{code}");
        }
    }
}
