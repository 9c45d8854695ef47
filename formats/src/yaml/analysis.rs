//! The scalar styles that the characters of a string allow: `analyze_scalar` of PyYAML and ruamel.yaml, for block
//! context.

/// The properties of a non-empty string that the emitters use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Analysis {
    /// May be written plain.
    pub plain: bool,
    /// May be written in single quotes.
    pub single_quoted: bool,
    /// Has a line break, so it can't be a simple key.
    pub multi_line: bool,
    /// Characters, as columns are counted.
    pub chars: usize,
}

/// Printable ASCII: no escapes, no line breaks, and every byte is a column.
fn is_printable(bytes: &[u8]) -> bool {
    // Without short-circuits, so that many bytes are looked at at once.
    bytes.chunks(32).all(|chunk| chunk.iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~')))
}

/// The indicators that a plain scalar can't start with.
fn is_indicator(ch: char) -> bool {
    matches!(ch, '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`')
}

/// Line breaks by YAML 1.1, which both emitters go by whatever the version.
pub(super) fn is_break(ch: char) -> bool {
    matches!(ch, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(ch: char) -> bool {
    matches!(ch, '\0' | ' ' | '\t' | '\r') || is_break(ch)
}

/// Whether a character needs an escape (`special_characters`, with `allow_unicode`). PyYAML takes the very last code
/// point for special, ruamel does not.
fn is_special(ch: char, ruamel: bool) -> bool {
    match ch {
        '\u{feff}' => true,
        '\u{10ffff}' => !ruamel,
        '\n' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => false,
        _ => true,
    }
}

impl Analysis {
    /// `text` is not empty.
    pub(super) fn new(text: &str, ruamel: bool) -> Self {
        let bytes = text.as_bytes();
        let dots = bytes.starts_with(b"---") || bytes.starts_with(b"...");
        if !is_printable(bytes) {
            return Self::of_any(text, ruamel, dots);
        }
        // The same for the common case, in which spaces matter only at the ends and beside `:`, `#`, `-` and `?`.
        let (first, last) = (bytes[0], bytes[bytes.len() - 1]);
        let before_blank = |index: usize| matches!(bytes.get(index + 1), None | Some(b' '));
        let leading = is_indicator(first.into()) || matches!(first, b'-' | b'?') && before_blank(0);
        let padded = first == b' ' || last == b' ';
        let plain = !(dots || leading || padded)
            && memchr::memchr2_iter(b':', b'#', bytes).all(|index| match bytes[index] {
                b':' => !before_blank(index),
                _ => index > 0 && bytes[index - 1] != b' ',
            });
        Self { plain, single_quoted: true, multi_line: false, chars: bytes.len() }
    }

    fn of_any(text: &str, ruamel: bool, dots: bool) -> Self {
        let mut indicators = dots;
        let (mut breaks, mut special, mut break_space, mut space_break) = (false, false, false, false);
        let mut chars = 0;
        let mut previous = None;
        let mut rest = text.chars().peekable();
        while let Some(ch) = rest.next() {
            let before_blank = rest.peek().is_none_or(|&next| is_blank(next));
            indicators |= match (ch, previous) {
                (ch, None) if is_indicator(ch) => true,
                ('?' | '-', None) | (':', _) => before_blank,
                ('#', Some(previous)) => is_blank(previous),
                _ => false,
            };
            special |= is_special(ch, ruamel);
            if is_break(ch) {
                breaks = true;
                space_break |= previous == Some(' ');
            } else if ch == ' ' {
                break_space |= previous.is_some_and(is_break);
            }
            chars += 1;
            previous = Some(ch);
        }
        let padded =
            text.starts_with(|ch| ch == ' ' || is_break(ch)) || previous.is_some_and(|ch| ch == ' ' || is_break(ch));
        let single_quoted = !(break_space || space_break || special);
        Self { plain: single_quoted && !indicators && !breaks && !padded, single_quoted, multi_line: breaks, chars }
    }
}
