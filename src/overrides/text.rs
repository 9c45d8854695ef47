//! What Nix would read in a text of the command line: a literal, an expression, or words that only look like one.

use rnix::SyntaxKind;
use rnix::ast::{self, BinOpKind, Expr};
use rowan::ast::AstNode;
use serde_json::Value;

use super::extent::{Extent, extent};
use super::hand::{literal, parse, without_parentheses};

/// The meaning of a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    /// Plain data.
    Literal(Value),
    /// Plain data that Nix can't hold, and why.
    Wrong(String),
    /// An expression.
    Code(Code),
    /// No Nix, or a text that is as likely meant literally: a word, a sentence, a date, a host.
    Words,
}

/// How likely it is that an expression is meant as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Only Nix is written like this.
    Certain,
    /// It could be plain text, if text is expected.
    Likely,
}

/// Looks at a text.
#[must_use]
pub fn written(text: &str) -> Text {
    // The parser recurses: what nests too deep is looked at no further.
    let is_whole = matches!(extent(&format!("({text})")), Ok(Extent::Closed(length)) if length == text.len() + 2);
    let Ok(Some(expr)) = (if is_whole { parse(text) } else { Ok(None) }) else { return Text::Words };
    // Nix drops the zeros of 0644.
    if text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Text::Words;
    }
    match literal(&expr, 0) {
        Ok(Some(_)) if matches!(expr, Expr::Paren(_)) => Text::Words,
        Ok(Some(value)) => Text::Literal(value),
        Err(problem) => Text::Wrong(format!("it {problem}")),
        Ok(None) if is_certain(&expr) => Text::Code(Code::Certain),
        Ok(None) if is_likely(&expr) => Text::Code(Code::Likely),
        Ok(None) => Text::Words,
    }
}

/// Whether something is taken of `pkgs`, `lib` and the like, or one of lib's functions for definitions is applied.
fn is_certain(expr: &Expr) -> bool {
    expr.syntax().descendants().filter_map(Expr::cast).any(|part| match part {
        Expr::Select(select) => is_name(select.expr(), |name| matches!(name, "pkgs" | "lib" | "config" | "builtins")),
        Expr::Apply(apply) => is_name(apply.lambda(), |name| {
            name.strip_prefix("mk").is_some_and(|rest| rest.starts_with(char::is_uppercase)) || name == "import"
        }),
        _ => false,
    })
}

fn is_name(expr: Option<Expr>, wanted: impl Fn(&str) -> bool) -> bool {
    matches!(expr.map(without_parentheses), Some(Expr::Ident(name)) if wanted(&name.syntax().text().to_string()))
}

/// Whether it has the form of code: brackets, keywords, and operators with space around them.
fn is_likely(expr: &Expr) -> bool {
    match expr {
        Expr::Ident(_)
        | Expr::Literal(_)
        | Expr::PathAbs(_)
        | Expr::PathRel(_)
        | Expr::PathHome(_)
        | Expr::Select(_) => false,
        Expr::UnaryOp(operation) => operation.expr().is_some_and(|inner| is_likely(&inner)),
        Expr::BinOp(operation) => {
            let spaced =
                operation.syntax().children_with_tokens().any(|part| part.kind() == SyntaxKind::TOKEN_WHITESPACE);
            // `-l 3`, `a / b`: a minus that is part of a word has no space after it.
            spaced && operation.operator() != Some(BinOpKind::Sub) || is_spaced_minus(operation)
        }
        // A sentence: words, words in brackets or quotes.
        Expr::Apply(apply) => [apply.lambda(), apply.argument()].into_iter().flatten().any(|part| match part {
            Expr::Str(_) => false,
            Expr::Paren(inner) => inner.expr().is_some_and(|inner| is_likely(&inner)),
            part => is_likely(&part),
        }),
        Expr::Lambda(lambda) => match lambda.param() {
            Some(ast::Param::IdentParam(_)) => lambda.body().is_some_and(|body| is_likely(&body)),
            _ => true,
        },
        _ => true,
    }
}

/// `a - b`, and not `a -b`.
fn is_spaced_minus(operation: &ast::BinOp) -> bool {
    let mut parts = operation.syntax().children_with_tokens().skip_while(|part| part.kind() != SyntaxKind::TOKEN_SUB);
    parts.next().is_some() && parts.next().is_some_and(|part| part.kind() == SyntaxKind::TOKEN_WHITESPACE)
}
