//! One scalar: the style that the emitters choose for it, and how they fold it at 80 columns (`choose_scalar_style`,
//! `write_plain`, `write_single_quoted` and `write_double_quoted` of PyYAML and ruamel.yaml).
//!
//! PyYAML prefers single quotes and writes a newline as an empty line. ruamel.yaml uses double quotes for every string
//! that has a `'` or a newline. Both fold at a single space after column 80. ruamel.yaml also moves a plain word that
//! would end after column 80 to a line of its own, which leaves `key: ` behind with a space at its end.

use super::Style;
use super::analysis::{Analysis, is_break};
use super::resolve;

/// The last column before folding (`best_width`).
const WIDTH: usize = 80;

/// The longest simple key, tag included (`check_simple_key`): `!!str` counts as 5, and 128 is too long.
const SIMPLE_KEY: usize = 128 - 5;

/// The place in which a scalar is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// The column at which the writer stands.
    pub column: usize,
    /// The column of folded lines.
    pub indent: usize,
    /// A simple key, which has to stay on its line.
    pub key: bool,
    /// There is white space already (or the line is empty), so none has to be put between.
    pub spaced: bool,
}

impl Context {
    /// A document that is a scalar.
    pub(super) fn document(style: Style) -> Self {
        Self { column: if style.is_ruamel() { 2 } else { 0 }, indent: 2, key: false, spaced: true }
    }

    /// A list's item, after the `-` in column `indent`. ruamel goes to the column of the item first, so that a long
    /// word has nowhere to fold to.
    pub(super) fn item(indent: usize, style: Style) -> Self {
        let spaced = style.is_ruamel();
        Self { column: indent + 1 + usize::from(spaced), indent: indent + 2, key: false, spaced }
    }

    /// A simple key.
    pub(super) fn key(indent: usize) -> Self {
        Self { column: indent, indent: indent + 2, key: true, spaced: true }
    }

    /// A value after the `:` of a simple key that ends in `column`.
    pub(super) fn value(column: usize, indent: usize) -> Self {
        Self { column: column + 1, indent: indent + 2, key: false, spaced: false }
    }

    /// What follows a `?` or the `:` below it.
    pub(super) fn explicit(indent: usize) -> Self {
        Self { column: indent + 1, indent: indent + 2, key: false, spaced: false }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    None,
    Single,
    Double,
}

/// A scalar with its style chosen.
pub(super) struct Scalar<'a> {
    text: &'a str,
    chars: usize,
    quotes: Quotes,
    multi_line: bool,
    style: Style,
}

impl<'a> Scalar<'a> {
    /// A string.
    pub(super) fn text(text: &'a str, style: Style) -> Self {
        if text.is_empty() {
            return Self { text, chars: 0, quotes: Quotes::Single, multi_line: false, style };
        }
        let analysis = Analysis::new(text, style.is_ruamel());
        let quotes = if analysis.plain && resolve::is_string(text, style) {
            Quotes::None
        } else if !analysis.single_quoted || style.is_ruamel() && text.contains(['\'', '\n']) {
            Quotes::Double
        } else {
            Quotes::Single
        };
        Self { text, chars: analysis.chars, quotes, multi_line: analysis.multi_line, style }
    }

    /// The text of a null, a boolean or a number.
    pub(super) fn plain(text: &'a str, style: Style) -> Self {
        Self { text, chars: text.len(), quotes: Quotes::None, multi_line: false, style }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.quotes == Quotes::None
    }

    /// Whether it can be written as `key:`, without a `?` before it. PyYAML has no empty simple keys.
    pub(super) fn is_simple_key(&self) -> bool {
        self.chars < SIMPLE_KEY && !self.multi_line && (self.style.is_ruamel() || !self.text.is_empty())
    }

    /// Appends the scalar; gives the column after it.
    pub(super) fn write(&self, out: &mut Vec<u8>, context: Context) -> usize {
        let mut pen = Pen { out, column: context.column, indent: context.indent };
        if !context.spaced {
            pen.put(b" ", 1);
        }
        let split = !context.key;
        match self.quotes {
            Quotes::None if pen.column + self.chars <= WIDTH => pen.put(self.text.as_bytes(), self.chars),
            Quotes::None => self.write_plain(&mut pen, split),
            Quotes::Single => {
                pen.put(b"'", 1);
                let short = pen.column + self.chars < WIDTH && !self.multi_line;
                if short && !self.text.contains('\'') {
                    pen.put(self.text.as_bytes(), self.chars);
                } else {
                    self.write_single_quoted(&mut pen, split);
                }
                pen.put(b"'", 1);
            }
            Quotes::Double => {
                pen.put(b"\"", 1);
                self.write_double_quoted(&mut pen, split);
                pen.put(b"\"", 1);
            }
        }
        pen.column
    }

    /// Words and the spaces between them. There are no line breaks in a plain scalar.
    fn write_plain(&self, pen: &mut Pen, split: bool) {
        let ruamel = self.style.is_ruamel();
        for (run, kind) in runs(self.text) {
            let chars = columns(run);
            let fold = match kind {
                // ruamel folds already at a space in column 80.
                Run::Spaces => split && chars == 1 && pen.column + usize::from(ruamel) > WIDTH,
                _ => ruamel && pen.column + chars > WIDTH && pen.column > pen.indent,
            };
            if fold {
                pen.fold();
            }
            if !fold || kind != Run::Spaces {
                pen.put(run.as_bytes(), chars);
            }
        }
    }

    fn write_single_quoted(&self, pen: &mut Pen, split: bool) {
        let mut at = 0;
        for (run, kind) in runs(self.text) {
            let inside = at > 0 && at + run.len() < self.text.len();
            at += run.len();
            match kind {
                Run::Spaces if run.len() == 1 && pen.column > WIDTH && split && inside => pen.fold(),
                Run::Breaks => {
                    // One newline would be read as a space, so the first is doubled.
                    if run.starts_with('\n') {
                        pen.out.push(b'\n');
                    }
                    pen.out.extend_from_slice(run.as_bytes());
                    pen.start_line();
                }
                _ => {
                    for (index, part) in run.split('\'').enumerate() {
                        if index > 0 {
                            pen.put(b"''", 2);
                        }
                        pen.put_text(part);
                    }
                }
            }
        }
    }

    /// Escapes; and `\` at the end of a line that is folded, twice if the next one starts with a space. ruamel leaves
    /// these `\` out where the reader's own folding gives the space back.
    fn write_double_quoted(&self, pen: &mut Pen, split: bool) {
        let (start, column) = (pen.out.len(), pen.column);
        self.write_double_quoted_in_line(pen);
        if split && pen.column > WIDTH {
            pen.out.truncate(start);
            pen.column = column;
            self.write_double_quoted_folded(pen);
        }
    }

    fn write_double_quoted_in_line(&self, pen: &mut Pen) {
        let ruamel = self.style.is_ruamel();
        let mut start = 0;
        for (index, ch) in self.text.char_indices().filter(|&(_, ch)| needs_escape(ch, ruamel)) {
            pen.put_text(&self.text[start..index]);
            pen.escape(ch);
            start = index + ch.len_utf8();
        }
        pen.put_text(&self.text[start..]);
    }

    fn write_double_quoted_folded(&self, pen: &mut Pen) {
        let text: Vec<char> = self.text.chars().collect();
        let ruamel = self.style.is_ruamel();
        // Everything before `start` is written.
        let mut start = 0;
        for end in 0..=text.len() {
            let ch = text.get(end).copied();
            if ch.is_none_or(|ch| needs_escape(ch, ruamel)) {
                pen.put_chars(text.get(start..end).unwrap_or_default());
                start = start.max(end);
                if let Some(ch) = ch {
                    pen.escape(ch);
                    start = end + 1;
                }
            }
            let foldable = 0 < end && end + 1 < text.len() && (ch == Some(' ') || start >= end);
            if foldable && pen.column + end > WIDTH + start {
                let backslash = !(ruamel && folds_to_space(&text, start, end));
                pen.put_chars(text.get(start..end).unwrap_or_default());
                start = start.max(end);
                if backslash {
                    pen.put(b"\\", 1);
                }
                pen.fold();
                if text.get(start) == Some(&' ') {
                    if backslash {
                        pen.put(b"\\", 1);
                    } else {
                        start += 1;
                    }
                }
            }
        }
    }
}

/// Whether ruamel takes the line break at `end` to be read back as the space that stands there, so that it needs no
/// backslash.
fn folds_to_space(text: &[char], start: usize, end: usize) -> bool {
    let find = |wanted: char, until: usize| text[end..until].iter().position(|&ch| ch == wanted).map(|at| end + at);
    let Some(space) = find(' ', text.len()) else { return false };
    let stop = find('\n', space).unwrap_or(space);
    let Some(&after) = text.get(stop + 1) else { return false };
    if text[stop] == '\n' && after != ' ' {
        return false;
    }
    let quotes = text[end..stop].iter().any(|ch| matches!(ch, '"' | '\''));
    let spaces = text[end - 1] == ' ' && text[end] == ' ';
    !(quotes || spaces || matches!(after, ' ' | '\n') || start == end)
}

fn needs_escape(ch: char, ruamel: bool) -> bool {
    match ch {
        '"' | '\\' | '\u{2028}' | '\u{2029}' | '\u{feff}' => true,
        ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' => false,
        '\u{10000}'.. => !ruamel,
        _ => true,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    Spaces,
    Breaks,
    Other,
}

impl Run {
    fn from_char(ch: char) -> Self {
        match ch {
            ' ' => Self::Spaces,
            ch if is_break(ch) => Self::Breaks,
            _ => Self::Other,
        }
    }
}

/// The longest pieces of one kind, in order.
fn runs(text: &str) -> impl Iterator<Item = (&str, Run)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let kind = Run::from_char(rest.chars().next()?);
        let from = match kind {
            // All line breaks but the newline start with C2 or E2 in UTF-8.
            Run::Other => rest.bytes().position(|byte| matches!(byte, b' ' | b'\n' | 0xc2 | 0xe2)),
            _ => Some(0),
        };
        let end = from.and_then(|from| rest[from..].find(|ch| Run::from_char(ch) != kind).map(|end| from + end));
        let (run, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some((run, kind))
    })
}

fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

/// Writes and counts columns.
struct Pen<'a> {
    out: &'a mut Vec<u8>,
    column: usize,
    indent: usize,
}

impl Pen<'_> {
    fn put(&mut self, bytes: &[u8], chars: usize) {
        self.out.extend_from_slice(bytes);
        self.column += chars;
    }

    fn put_text(&mut self, text: &str) {
        self.put(text.as_bytes(), columns(text));
    }

    fn put_chars(&mut self, chars: &[char]) {
        let mut buffer = [0; 4];
        for ch in chars {
            self.out.extend_from_slice(ch.encode_utf8(&mut buffer).as_bytes());
        }
        self.column += chars.len();
    }

    fn fold(&mut self) {
        self.out.push(b'\n');
        self.start_line();
    }

    fn start_line(&mut self) {
        self.out.resize(self.out.len() + self.indent, b' ');
        self.column = self.indent;
    }

    fn escape(&mut self, ch: char) {
        let short = match ch {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{b}' => 'v',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\u{1b}' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let code = u32::from(ch);
                let escape = match code {
                    ..=0xff => format!("\\x{code:02X}"),
                    0x100..=0xffff => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                };
                return self.put(escape.as_bytes(), escape.len());
            }
        };
        self.put_chars(&['\\', short]);
    }
}
