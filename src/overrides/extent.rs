//! Finds where a record that people wrote ends, and whether the parser may have it.
//!
//! Takes text that begins with a record; gives the place where its bracket closes. It refuses, by the tokens alone,
//! text that would take the parser very long or all of the stack.

use rnix::SyntaxKind;

use crate::nix;

/// How many brackets and operators a record may nest: the parser recurses, and running out of stack is no error message.
const MAX_NESTING: usize = 512;
/// How many names or arguments one expression may have in a row (`a.b.c`, `f a b`): each takes the parser longer than
/// the one before.
const MAX_CHAIN: usize = 2 * nix::MAX_DEPTH;
/// How long a run of names, numbers and paths without separators may be: the tokenizer scans the whole run for each of
/// them.
const MAX_RUN: usize = 4096;

/// The end of the record that `text` begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// After so many bytes.
    Closed(usize),
    /// Its closing bracket is not in `text`.
    Open,
}

/// A bracket that is not closed yet.
struct Bracket {
    /// In a list, terms side by side are its elements.
    is_list: bool,
    /// The number of open operators in it.
    operators: usize,
    /// How many names or arguments there were in a row.
    chain: usize,
    /// Whether it opened within a string, which continues after it.
    in_string: bool,
}

/// Finds the end of the record that `text` begins with, which is its first balanced bracket. Everything that is read with
/// Nix's whole syntax comes by here first: what would take the parser very long, or all of the stack, is refused.
pub(super) fn extent(text: &str) -> Result<Extent, String> {
    let mut open: Vec<Bracket> = Vec::new();
    let (mut nesting, mut at, mut run_to) = (0, 0, 0);
    let (mut in_string, mut after_term) = (false, false);
    let mut tokens = rnix::tokenize(text);
    loop {
        if !in_string && at >= run_to {
            run_to = at + run(&text.as_bytes()[at..]);
            if run_to - at > MAX_RUN {
                return Err(format!("has more than {MAX_RUN} letters, digits and dots in a row outside of a string"));
            }
        }
        let Some((kind, token)) = tokens.next() else { return Ok(Extent::Open) };
        at += token.len();
        let begins_term = begins_term(kind);
        match kind {
            SyntaxKind::TOKEN_WHITESPACE => {
                check_space(token)?;
                continue;
            }
            SyntaxKind::TOKEN_COMMENT => {
                check_comment(token)?;
                continue;
            }
            SyntaxKind::TOKEN_STRING_START => in_string = true,
            SyntaxKind::TOKEN_STRING_END => in_string = false,
            _ => {}
        }
        if let Some(bracket) = open.last_mut() {
            match kind {
                SyntaxKind::TOKEN_DOT | SyntaxKind::TOKEN_OR => bracket.chain += 1,
                _ if begins_term && after_term => bracket.chain = if bracket.is_list { 0 } else { bracket.chain + 1 },
                _ if begins_term || ends_term(kind) || kind == SyntaxKind::TOKEN_STRING_CONTENT => {}
                _ => bracket.chain = 0,
            }
            if bracket.chain > MAX_CHAIN {
                return Err(format!("has more than {MAX_CHAIN} names or arguments in a row"));
            }
        }
        after_term = ends_term(kind);
        match kind {
            SyntaxKind::TOKEN_L_BRACE
            | SyntaxKind::TOKEN_L_PAREN
            | SyntaxKind::TOKEN_L_BRACK
            | SyntaxKind::TOKEN_INTERPOL_START => {
                let is_list = kind == SyntaxKind::TOKEN_L_BRACK;
                open.push(Bracket { is_list, operators: 1, chain: 0, in_string });
                in_string = false;
                nesting += 1;
            }
            SyntaxKind::TOKEN_R_BRACE
            | SyntaxKind::TOKEN_R_PAREN
            | SyntaxKind::TOKEN_R_BRACK
            | SyntaxKind::TOKEN_INTERPOL_END => {
                if let Some(bracket) = open.pop() {
                    nesting -= bracket.operators;
                    in_string = bracket.in_string;
                }
                if open.is_empty() {
                    return Ok(Extent::Closed(at));
                }
            }
            SyntaxKind::TOKEN_SEMICOLON => {
                if let Some(bracket) = open.last_mut() {
                    nesting -= bracket.operators - 1;
                    bracket.operators = 1;
                }
            }
            _ if is_operator(kind) => {
                if let Some(bracket) = open.last_mut() {
                    bracket.operators += 1;
                    nesting += 1;
                }
            }
            _ => {}
        }
        if nesting > MAX_NESTING {
            return Err(format!("nests more than {MAX_NESTING} brackets and operators"));
        }
    }
}

/// How many bytes from the start on could be of one path, for all that the tokenizer knows.
fn run(bytes: &[u8]) -> usize {
    let in_run = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'+' | b'-');
    bytes.iter().take_while(|byte| in_run(byte)).count()
}

/// Whether a token is a whole term by itself.
fn is_term(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::TOKEN_IDENT
            | SyntaxKind::TOKEN_INTEGER
            | SyntaxKind::TOKEN_FLOAT
            | SyntaxKind::TOKEN_URI
            | SyntaxKind::TOKEN_PATH_ABS
            | SyntaxKind::TOKEN_PATH_REL
            | SyntaxKind::TOKEN_PATH_HOME
            | SyntaxKind::TOKEN_PATH_SEARCH
    )
}

/// Whether a token begins something that could be an argument, or an element of a list.
fn begins_term(kind: SyntaxKind) -> bool {
    is_term(kind)
        || matches!(
            kind,
            SyntaxKind::TOKEN_STRING_START
                | SyntaxKind::TOKEN_L_BRACE
                | SyntaxKind::TOKEN_L_PAREN
                | SyntaxKind::TOKEN_L_BRACK
                | SyntaxKind::TOKEN_REC
        )
}

/// Whether one could be at its end with a token.
fn ends_term(kind: SyntaxKind) -> bool {
    is_term(kind)
        || matches!(
            kind,
            SyntaxKind::TOKEN_STRING_END
                | SyntaxKind::TOKEN_INTERPOL_END
                | SyntaxKind::TOKEN_R_BRACE
                | SyntaxKind::TOKEN_R_PAREN
                | SyntaxKind::TOKEN_R_BRACK
        )
}

/// Whether the tokens after this one are deeper in the tree of the expression.
fn is_operator(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::TOKEN_SUB
            | SyntaxKind::TOKEN_INVERT
            | SyntaxKind::TOKEN_COLON
            | SyntaxKind::TOKEN_IF
            | SyntaxKind::TOKEN_ELSE
            | SyntaxKind::TOKEN_LET
            | SyntaxKind::TOKEN_WITH
            | SyntaxKind::TOKEN_ASSERT
            | SyntaxKind::TOKEN_ADD
            | SyntaxKind::TOKEN_MUL
            | SyntaxKind::TOKEN_DIV
            | SyntaxKind::TOKEN_CONCAT
            | SyntaxKind::TOKEN_UPDATE
            | SyntaxKind::TOKEN_IMPLICATION
            | SyntaxKind::TOKEN_AND_AND
            | SyntaxKind::TOKEN_OR_OR
    )
}

pub(super) fn check_space(token: &str) -> Result<(), String> {
    match token.chars().find(|character| !nix::SPACE.contains(character)) {
        Some(other) => Err(format!("has {other:?} outside of a string, which is no space to Nix")),
        None => Ok(()),
    }
}

/// A carriage return ends a comment for Nix, and not for `rnix`.
pub(super) fn check_comment(token: &str) -> Result<(), String> {
    if token.starts_with('#') && token.trim_end_matches('\r').contains('\r') {
        return Err("has a carriage return inside a comment, where Nix ends the comment".to_owned());
    }
    Ok(())
}
