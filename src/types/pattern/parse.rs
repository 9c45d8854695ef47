//! Parses a pattern.

use super::Bytes;

/// A parsed pattern.
pub(super) enum Expression {
    /// One of these bytes.
    Take(Bytes),
    /// The empty text at the start.
    Start,
    /// The empty text at the end.
    End,
    /// One after the other.
    Sequence(Vec<Expression>),
    /// One of them.
    Either(Vec<Expression>),
    /// The same several times; without a limit if `most` is `None`.
    Repeat { part: Box<Expression>, least: usize, most: Option<usize> },
}

impl Expression {
    /// At most so many steps, and those that the program takes besides.
    pub(super) fn steps(&self) -> usize {
        match self {
            Self::Take(_) | Self::Start | Self::End => 1,
            Self::Sequence(parts) => parts.iter().map(Self::steps).fold(0, usize::saturating_add),
            Self::Either(parts) => {
                parts.iter().map(|part| part.steps().saturating_add(2)).fold(0, usize::saturating_add)
            }
            Self::Repeat { part, least, most } => {
                let times = most.unwrap_or(*least).max(*least).saturating_add(1);
                part.steps().saturating_add(2).saturating_mul(times)
            }
        }
    }
}

/// How deep brackets may nest.
const MOST_BRACKETS: usize = 100;

/// Reads a pattern.
pub(super) fn parse(text: &[u8]) -> Result<Expression, &'static str> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let expression = parser.alternatives()?;
    if parser.at < text.len() {
        // An alternative ends before `)`, and before what has nothing to repeat.
        return Err(if parser.peek() == Some(b')') { "a ) closes nothing" } else { "it repeats nothing" });
    }
    Ok(expression)
}

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn alternatives(&mut self) -> Result<Expression, &'static str> {
        let mut parts = vec![self.sequence()?];
        while self.eat(b'|') {
            parts.push(self.sequence()?);
        }
        Ok(Expression::Either(parts))
    }

    fn sequence(&mut self) -> Result<Expression, &'static str> {
        let mut parts = Vec::new();
        while let Some(byte) = self.peek() {
            if byte == b'^' || byte == b'$' {
                self.at += 1;
                // Nothing can be said of how often: what follows is looked at as a part of its own.
                parts.push(if byte == b'^' { Expression::Start } else { Expression::End });
                continue;
            }
            let Some(mut part) = self.atom()? else { break };
            while let Some((least, most)) = self.repetition()? {
                part = Expression::Repeat { part: Box::new(part), least, most };
            }
            parts.push(part);
        }
        Ok(Expression::Sequence(parts))
    }

    fn atom(&mut self) -> Result<Option<Expression>, &'static str> {
        let Some(byte) = self.peek() else { return Ok(None) };
        if matches!(byte, b'|' | b')' | b'*' | b'+' | b'?' | b'{') {
            return Ok(None);
        }
        self.at += 1;
        let one = |byte| {
            let mut bytes = Bytes::NONE;
            bytes.add(byte);
            Expression::Take(bytes)
        };
        Ok(Some(match byte {
            b'.' => Expression::Take(Bytes::ALL),
            b'[' => Expression::Take(self.bracket()?),
            b'(' => {
                self.depth += 1;
                if self.depth > MOST_BRACKETS {
                    return Err("its brackets nest too deep");
                }
                let inner = self.alternatives()?;
                self.depth -= 1;
                if !self.eat(b')') {
                    return Err("a ( is not closed");
                }
                inner
            }
            b'\\' => match self.next() {
                Some(escaped) if b".[\\()*+?{|^$".contains(&escaped) => one(escaped),
                Some(_) => return Err("a \\ stands before what needs none"),
                None => return Err("it ends in a \\"),
            },
            other => one(other),
        }))
    }

    fn repetition(&mut self) -> Result<Option<(usize, Option<usize>)>, &'static str> {
        let Some(byte) = self.peek() else { return Ok(None) };
        let found = match byte {
            b'*' => (0, None),
            b'+' => (1, None),
            b'?' => (0, Some(1)),
            b'{' => {
                self.at += 1;
                return self.interval().map(Some);
            }
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(found))
    }

    fn interval(&mut self) -> Result<(usize, Option<usize>), &'static str> {
        let least = self.number().ok_or("a { has no number behind it")?;
        let most = if self.eat(b',') { self.number() } else { Some(least) };
        if !self.eat(b'}') {
            return Err("a { is not closed");
        }
        if most.is_some_and(|most| most < least) {
            return Err("a repetition has its numbers the wrong way round");
        }
        Ok((least, most))
    }

    fn number(&mut self) -> Option<usize> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        let digits = std::str::from_utf8(&self.text[from..self.at]).ok().filter(|digits| !digits.is_empty())?;
        // A number that is too large for the type is too large for a pattern.
        Some(digits.parse().unwrap_or(usize::MAX))
    }

    /// Parses the part between `[` and `]`.
    fn bracket(&mut self) -> Result<Bytes, &'static str> {
        let not = self.eat(b'^');
        let mut bytes = Bytes::NONE;
        // The element that could begin a range.
        let mut last = Last::Nothing;
        let mut first = true;
        loop {
            let byte = self.next().ok_or("a [ is not closed")?;
            let was_first = std::mem::take(&mut first);
            match byte {
                b']' if !was_first => break,
                b'-' if was_first => last = Last::Byte(b'-'),
                b'-' if self.eat(b']') => {
                    bytes.add(b'-');
                    break;
                }
                b'-' => match last {
                    Last::Byte(from) => {
                        let to = self.range_end()?;
                        // Nix compares the bytes as signed or unsigned numbers, as the processor has it.
                        if from >= 0x80 || to >= 0x80 {
                            return Err("a range has an end beyond ASCII");
                        }
                        if from > to {
                            return Err("a range ends before it begins");
                        }
                        (from..=to).for_each(|byte| bytes.add(byte));
                        last = Last::Nothing;
                        continue;
                    }
                    Last::Class | Last::Nothing => return Err("a - is neither first nor last nor in a range"),
                },
                b'[' => match self.peek() {
                    Some(b':') => {
                        add_class(&mut bytes, self.class_name()?)?;
                        last = Last::Class;
                        continue;
                    }
                    Some(b'.' | b'=') => return Err("it names what is equal to a character; write the characters"),
                    Some(_) => last = Last::Byte(b'['),
                    None => return Err("a [ is not closed"),
                },
                other => last = Last::Byte(other),
            }
            if let Last::Byte(byte) = last {
                bytes.add(byte);
            }
        }
        Ok(if not { bytes.others() } else { bytes })
    }

    fn range_end(&mut self) -> Result<u8, &'static str> {
        match self.next().ok_or("a [ is not closed")? {
            b'[' if matches!(self.peek(), Some(b':' | b'.' | b'=') | None) => Err("a range has no byte as its end"),
            byte => Ok(byte),
        }
    }

    /// Behind `[`: `:alpha:]`.
    fn class_name(&mut self) -> Result<&[u8], &'static str> {
        let rest = &self.text[self.at + 1..];
        let length = rest.iter().position(|byte| *byte == b':').ok_or("a [: is not closed")?;
        if rest.get(length + 1) != Some(&b']') {
            return Err("a [: is not closed");
        }
        self.at += length + 3;
        Ok(&rest[..length])
    }
}

enum Last {
    Nothing,
    Byte(u8),
    Class,
}

/// The classes of C without a locale; `std::regex` takes the names in any case, and three of its own.
fn add_class(bytes: &mut Bytes, name: &[u8]) -> Result<(), &'static str> {
    let is_in: fn(&u8) -> bool = match name.to_ascii_lowercase().as_slice() {
        b"alnum" => u8::is_ascii_alphanumeric,
        b"alpha" => u8::is_ascii_alphabetic,
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => u8::is_ascii_control,
        b"d" | b"digit" => u8::is_ascii_digit,
        b"graph" => u8::is_ascii_graphic,
        b"lower" => u8::is_ascii_lowercase,
        b"print" => |byte| matches!(byte, b' '..=b'~'),
        b"punct" => u8::is_ascii_punctuation,
        b"s" | b"space" => |byte| matches!(byte, b' ' | b'\t'..=b'\r'),
        b"upper" => u8::is_ascii_uppercase,
        b"w" => |byte| byte.is_ascii_alphanumeric() || *byte == b'_',
        b"xdigit" => u8::is_ascii_hexdigit,
        _ => return Err("it names a class that there is not"),
    };
    (0..=u8::MAX).filter(is_in).for_each(|byte| bytes.add(byte));
    Ok(())
}
