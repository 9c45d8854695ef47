//! Lays out documents for a line width, as `Inspect.Algebra` of Elixir 1.18 does. It has only what data needs.

use std::borrow::Cow;

/// A document.
#[derive(Clone, Debug)]
pub enum Doc {
    /// A text and its columns.
    Text(Cow<'static, str>, usize),
    /// Code of ASCII in which there could be breaks, so that it has to end within the width.
    Code(String),
    /// A new line, always.
    Line,
    /// `text`, or a new line where its group is broken; a flexible one only if what follows up to the next break doesn't
    /// fit on the line.
    Break { text: &'static str, flexible: bool },
    /// One after the other.
    Concat(Vec<Doc>),
    /// Indented for its new lines; `only_broken` if its group is broken.
    Nest { doc: Box<Doc>, by: Nesting, only_broken: bool },
    /// All its breaks are new lines, or none is.
    Group(Box<Doc>, Breaking),
    /// Whether the next break may be a new line where all would not fit.
    NextBreakFits(Box<Doc>, bool),
    /// Never on one line.
    Force(Box<Doc>),
    /// What follows starts with no more new lines than that.
    Collapse(usize),
}

/// By how much new lines are indented.
#[derive(Clone, Copy, Debug)]
pub enum Nesting {
    /// More than around it.
    More(usize),
    /// To the column at hand.
    Cursor,
    /// Not at all.
    Reset,
}

/// When a group is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaking {
    /// If it doesn't fit.
    Alone,
    /// Also if the group around it is.
    Inherited,
}

impl Doc {
    /// A text of ASCII.
    pub fn ascii(text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        let columns = text.len();
        Self::Text(text, columns)
    }

    /// A strict break.
    pub fn strict(text: &'static str) -> Self {
        Self::Break { text, flexible: false }
    }

    pub fn group(self) -> Self {
        Self::Group(Box::new(self), Breaking::Alone)
    }

    pub fn group_inheriting(self) -> Self {
        Self::Group(Box::new(self), Breaking::Inherited)
    }

    pub fn next_break_fits(self, enabled: bool) -> Self {
        Self::NextBreakFits(Box::new(self), enabled)
    }

    pub fn nest(self, by: Nesting, only_broken: bool) -> Self {
        Self::Nest { doc: Box::new(self), by, only_broken }
    }

    /// Appends inside the last group, if the document ends in one (`concat_to_last_group`).
    pub fn push(self, end: Self) -> Self {
        match self {
            Self::Group(doc, breaking) => Self::Group(Box::new(Self::Concat(vec![*doc, end])), breaking),
            Self::Concat(mut docs) => {
                match docs.pop() {
                    Some(last) => docs.push(last.push(end)),
                    None => docs.push(end),
                }
                Self::Concat(docs)
            }
            other => Self::Concat(vec![other, end]),
        }
    }
}

/// How breaks are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Breaks {
    /// As their text.
    Flat,
    /// As new lines.
    Broken,
    /// As their text, except the contents of an enabled `NextBreakFits`.
    FlatNoBreak,
    /// As their text, but groups are broken.
    BreakNoFlat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Fits,
    /// With the next break as a new line.
    BreakNext,
    No,
}

#[derive(Clone, Copy)]
enum Entry<'a> {
    Doc(usize, Breaks, &'a Doc),
    /// Only while fitting: the end of a group, and whether there was a break before it.
    Tail(bool),
}

/// Lays `doc` out for lines of `width` columns. An error is code that went beyond.
pub fn format(doc: &Doc, width: usize, out: &mut String) -> Result<(), String> {
    let mut layout = Layout { width, column: 0, out, collapse: None, beyond: None, ahead: Vec::new() };
    let mut stack = vec![Entry::Doc(0, Breaks::Flat, doc)];
    while let Some(entry) = stack.pop() {
        if let Entry::Doc(indent, breaks, doc) = entry {
            layout.write(indent, breaks, doc, &mut stack);
        }
    }
    layout.beyond.map_or(Ok(()), Err)
}

struct Layout<'o, 'a> {
    width: usize,
    column: usize,
    out: &'o mut String,
    /// New lines at most, and those since then.
    collapse: Option<(usize, usize)>,
    /// Code that ended beyond the width.
    beyond: Option<String>,
    /// What is looked at to find out whether it fits; empty in between.
    ahead: Vec<Entry<'a>>,
}

impl<'a> Layout<'_, 'a> {
    fn write(&mut self, indent: usize, breaks: Breaks, doc: &'a Doc, stack: &mut Vec<Entry<'a>>) {
        match doc {
            Doc::Text(text, columns) => self.write_text(text, *columns),
            Doc::Code(code) => {
                self.write_text(code, code.len());
                if self.column > self.width {
                    self.beyond.get_or_insert_with(|| code.clone());
                }
            }
            Doc::Line => self.new_line(indent),
            Doc::Break { text, flexible: true } => {
                let column = self.column + text.len();
                if breaks == Breaks::Flat || self.fits(column, true, &[], stack) != Fit::No {
                    self.write_text(text, text.len());
                } else {
                    self.new_line(indent);
                }
            }
            Doc::Break { text, flexible: false } => {
                if breaks == Breaks::Broken {
                    self.new_line(indent);
                } else {
                    self.write_text(text, text.len());
                }
            }
            Doc::Concat(docs) => stack.extend(docs.iter().rev().map(|doc| Entry::Doc(indent, breaks, doc))),
            Doc::Nest { doc, by, only_broken } => {
                let applies = !only_broken || breaks == Breaks::Broken;
                let indent = if applies { nested(indent, self.column, *by) } else { indent };
                stack.push(Entry::Doc(indent, breaks, doc));
            }
            Doc::Force(doc) => stack.push(Entry::Doc(indent, breaks, doc)),
            Doc::Collapse(most) => self.collapse = Some((*most, 0)),
            Doc::NextBreakFits(doc, enabled) => {
                let breaks = if *enabled && breaks == Breaks::FlatNoBreak { Breaks::BreakNoFlat } else { breaks };
                stack.push(Entry::Doc(indent, breaks, doc));
            }
            Doc::Group(doc, breaking) => {
                let breaks = match (breaks, breaking) {
                    (Breaks::Broken, Breaking::Inherited) | (Breaks::BreakNoFlat, _) => Breaks::Broken,
                    _ => match self.fits(self.column, false, &[Entry::Doc(indent, Breaks::Flat, doc)], &[]) {
                        Fit::Fits => Breaks::Flat,
                        Fit::BreakNext => Breaks::FlatNoBreak,
                        Fit::No => Breaks::Broken,
                    },
                };
                stack.push(Entry::Doc(indent, breaks, doc));
            }
        }
    }

    fn write_text(&mut self, text: &str, columns: usize) {
        if !text.is_empty() {
            self.collapse = None;
            self.out.push_str(text);
            self.column += columns;
        }
    }

    fn new_line(&mut self, indent: usize) {
        self.column = indent;
        if let Some((most, lines)) = &mut self.collapse {
            *lines += 1;
            if *lines > *most {
                return;
            }
        }
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    /// Whether `entries`, and then `rest`, fit on the line; without a break there is no choice, so that fits.
    fn fits(&mut self, column: usize, broke: bool, entries: &[Entry<'a>], rest: &[Entry<'a>]) -> Fit {
        let mut ahead = std::mem::take(&mut self.ahead);
        ahead.extend_from_slice(entries);
        let fit = self.fits_ahead(column, broke, &mut ahead, rest);
        ahead.clear();
        self.ahead = ahead;
        fit
    }

    fn fits_ahead(
        &self,
        mut column: usize,
        mut broke: bool,
        stack: &mut Vec<Entry<'a>>,
        mut rest: &[Entry<'a>],
    ) -> Fit {
        let mut no = Fit::No;
        loop {
            if column > self.width && broke {
                return no;
            }
            let entry = match stack.pop() {
                Some(entry) => entry,
                None => match rest.split_last() {
                    Some((entry, before)) => {
                        rest = before;
                        *entry
                    }
                    None => return Fit::Fits,
                },
            };
            let (indent, mut breaks, doc) = match entry {
                Entry::Tail(before) => {
                    broke = before;
                    continue;
                }
                Entry::Doc(indent, breaks, doc) => (indent, breaks, doc),
            };
            if matches!(doc, Doc::Break { .. } | Doc::Line) {
                match breaks {
                    Breaks::Broken => return Fit::Fits,
                    Breaks::BreakNoFlat => no = Fit::BreakNext,
                    Breaks::Flat | Breaks::FlatNoBreak => {}
                }
            }
            match doc {
                Doc::Text(_, columns) => column += columns,
                Doc::Code(code) => column += code.len(),
                Doc::Break { text, .. } => {
                    column += text.len();
                    broke = true;
                }
                Doc::Line => {
                    column = indent;
                    broke = false;
                }
                Doc::Collapse(_) => column = indent,
                Doc::Concat(docs) => stack.extend(docs.iter().rev().map(|doc| Entry::Doc(indent, breaks, doc))),
                Doc::Nest { doc, by, only_broken } => {
                    let indent = if *only_broken { indent } else { nested(indent, column, *by) };
                    stack.push(Entry::Doc(indent, breaks, doc));
                }
                Doc::Force(doc) if breaks == Breaks::BreakNoFlat => stack.push(Entry::Doc(indent, breaks, doc)),
                Doc::Force(_) => return no,
                Doc::NextBreakFits(doc, enabled) => {
                    let breaks = match (enabled, breaks) {
                        (false, _) | (_, Breaks::FlatNoBreak) => Breaks::FlatNoBreak,
                        (true, _) => Breaks::BreakNoFlat,
                    };
                    stack.push(Entry::Doc(indent, breaks, doc));
                }
                Doc::Group(doc, _) => {
                    if breaks == Breaks::Broken {
                        breaks = Breaks::Flat;
                    }
                    stack.push(Entry::Tail(broke));
                    stack.push(Entry::Doc(indent, breaks, doc));
                }
            }
        }
    }
}

fn nested(indent: usize, column: usize, by: Nesting) -> usize {
    match by {
        Nesting::More(more) => indent + more,
        Nesting::Cursor => column,
        Nesting::Reset => 0,
    }
}
