//! Regular expressions as `builtins.match` of Nix takes them: POSIX extended ones, over bytes, that match the whole
//! text.
//!
//! Takes a pattern; gives whether a text matches. Nix uses the `std::regex` of libstdc++ with its `extended` grammar.
//! So this is that grammar, with libstdc++'s choices where POSIX leaves one, and it refuses what libstdc++ refuses
//! (`regex_compiler.tcc`, `regex_scanner.tcc`). Matching takes time in proportion to the text, whatever the pattern.

mod parse;

use std::fmt;

use parse::Expression;

/// A pattern, compiled.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    program: Vec<Step>,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no regular expression of builtins.match: {problem}")]
pub struct PatternError {
    /// The whole pattern.
    pub text: String,
    /// The problem.
    pub problem: &'static str,
}

/// The most steps that a pattern may have: each is looked at for each byte.
const MOST_STEPS: usize = 20_000;

/// Bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Bytes([u64; 4]);

impl Bytes {
    const NONE: Self = Self([0; 4]);
    const ALL: Self = Self([u64::MAX; 4]);

    fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & 1 << (byte & 63) != 0
    }

    fn others(self) -> Self {
        Self(self.0.map(|word| !word))
    }
}

/// One step of a program (Thompson's construction).
#[derive(Clone, Copy)]
enum Step {
    /// Takes one of these bytes, and continues after it.
    Take(Bytes),
    /// Goes on at both.
    Fork(usize, usize),
    /// Goes on there.
    Jump(usize),
    /// Continues if this is the start of the text.
    Start,
    /// Continues if this is the end of the text.
    End,
    /// The text matches if it ends here.
    Match,
}

impl Pattern {
    /// Compiles a pattern.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let error = |problem| PatternError { text: text.to_owned(), problem };
        let expression = parse::parse(text.as_bytes()).map_err(error)?;
        if expression.steps() >= MOST_STEPS {
            return Err(error("it repeats too much"));
        }
        let mut program = Vec::new();
        emit(&expression, &mut program);
        program.push(Step::Match);
        Ok(Self { text: text.to_owned(), program })
    }

    /// Whether the whole of `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let (mut now, mut next) = (Threads::new(self.program.len()), Threads::new(self.program.len()));
        now.follow(&self.program, 0, 0, text.len());
        for (at, byte) in text.iter().enumerate() {
            for &thread in &now.list {
                if matches!(self.program[thread], Step::Take(bytes) if bytes.has(*byte)) {
                    next.follow(&self.program, thread + 1, at + 1, text.len());
                }
            }
            if next.list.is_empty() {
                return false;
            }
            std::mem::swap(&mut now, &mut next);
            next.clear();
        }
        now.list.iter().any(|thread| matches!(self.program[*thread], Step::Match))
    }

    /// The pattern as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// Places in a program, each once.
struct Threads {
    list: Vec<usize>,
    seen: Vec<bool>,
    visited: Vec<usize>,
}

impl Threads {
    fn new(steps: usize) -> Self {
        Self { list: Vec::new(), seen: vec![false; steps], visited: Vec::new() }
    }

    fn clear(&mut self) {
        for step in self.visited.drain(..) {
            self.seen[step] = false;
        }
        self.list.clear();
    }

    /// Adds the steps that take a byte, or match, and that `from` leads to.
    fn follow(&mut self, program: &[Step], from: usize, at: usize, end: usize) {
        let mut waiting = vec![from];
        while let Some(step) = waiting.pop() {
            if std::mem::replace(&mut self.seen[step], true) {
                continue;
            }
            self.visited.push(step);
            match program[step] {
                Step::Take(_) | Step::Match => self.list.push(step),
                Step::Fork(one, other) => waiting.extend([other, one]),
                Step::Jump(to) => waiting.push(to),
                Step::Start if at == 0 => waiting.push(step + 1),
                Step::End if at == end => waiting.push(step + 1),
                Step::Start | Step::End => {}
            }
        }
    }
}

fn emit(expression: &Expression, program: &mut Vec<Step>) {
    match expression {
        Expression::Take(bytes) => program.push(Step::Take(*bytes)),
        Expression::Start => program.push(Step::Start),
        Expression::End => program.push(Step::End),
        Expression::Sequence(parts) => parts.iter().for_each(|part| emit(part, program)),
        Expression::Either(parts) => {
            let mut ends = Vec::new();
            for (index, part) in parts.iter().enumerate() {
                if index + 1 == parts.len() {
                    emit(part, program);
                    break;
                }
                let fork = program.len();
                program.push(Step::Fork(fork + 1, fork + 1));
                emit(part, program);
                ends.push(program.len());
                program.push(Step::Jump(0));
                program[fork] = Step::Fork(fork + 1, program.len());
            }
            for end in ends {
                program[end] = Step::Jump(program.len());
            }
        }
        Expression::Repeat { part, least, most } => {
            (0..*least).for_each(|_| emit(part, program));
            match most {
                None => {
                    let fork = program.len();
                    program.push(Step::Fork(fork + 1, fork + 1));
                    emit(part, program);
                    program.push(Step::Jump(fork));
                    program[fork] = Step::Fork(fork + 1, program.len());
                }
                Some(most) => {
                    let mut forks = Vec::new();
                    for _ in *least..*most {
                        forks.push(program.len());
                        program.push(Step::Jump(0));
                        emit(part, program);
                    }
                    for fork in forks {
                        program[fork] = Step::Fork(fork + 1, program.len());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_as_a_whole_and_by_bytes() {
        for (pattern, matching, others) in [
            ("[a-z]+", &["a", "zz"][..], &["", "A", "a1", "a\n"][..]),
            ("a.c", &["abc", "a\nc", "a.c"], &["aéc", "ac"]),
            (".{2}", &["é", "ab"], &["a", "éa"]),
            ("[^a]*", &["", "é", "\n"], &["a", "éa"]),
            ("(a|b|)c?", &["", "a", "bc", "c"], &["ab", "cc"]),
            ("a{2,3}", &["aa", "aaa"], &["a", "aaaa"]),
            ("a{2,}b{0}", &["aa", "aaaaa"], &["a", "aab"]),
            ("(a*)*b", &["b", "aab"], &["", "aa"]),
            ("^a$|b^", &["a"], &["b", ""]),
            ("[]a]+[^]a]", &["]ab", "a-"], &["a]", "]"]),
            ("[a-c-]+", &["a-c", "b"], &["d"]),
            ("[--0]", &["-", ".", "/", "0"], &["1", ","]),
            ("[\\d]+", &["\\", "d"], &["1"]),
            ("[[:alpha:]_][[:alnum:]_]*", &["_", "x1"], &["1", "é"]),
            ("a\\.b\\{", &["a.b{"], &["axb{"]),
            ("]}", &["]}"], &["]"]),
            ("", &[""], &["a"]),
            ("()", &[""], &["a"]),
        ] {
            let compiled = Pattern::new(pattern).unwrap();
            for text in matching {
                assert!(compiled.matches(text), "{pattern} and {text:?}");
            }
            for text in others {
                assert!(!compiled.matches(text), "{pattern} and {text:?}");
            }
        }
    }

    #[test]
    fn what_nix_refuses_is_no_pattern() {
        let deep = "(".repeat(1000) + &")".repeat(1000);
        for pattern in [
            "*a",
            "a|*",
            "(",
            ")",
            "(a",
            "a)",
            "[",
            "[a",
            "[]",
            "[z-a]",
            "[[:nope:]]",
            "[a-[:digit:]]",
            "[[:digit:]-z]",
            "a{",
            "a{,3}",
            "a{3,1}",
            "a{x}",
            "{",
            "\\",
            "\\d",
            "\\/",
            "\\]",
            "[a-z-0]",
            "(?:a)",
            "^*",
            "[[:alpha:]",
            &deep,
            "(((a{100}){100}){100})",
        ] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn time_grows_with_the_text_alone() {
        let pattern = Pattern::new("(a*)*(a|aa)*(a?){50}b").unwrap();
        assert!(!pattern.matches(&"a".repeat(20_000)));
    }
}
