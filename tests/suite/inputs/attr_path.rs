//! Attribute paths: what we read is what rnix reads, and what we write is what we read.

use dynix::attr_path::AttrPath;
use rnix::ast::{Attr, Entry, Expr, HasEntry, InterpolPart};
use rowan::ast::AstNode;

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let ours = AttrPath::parse(text);
    if let Ok(path) = &ours {
        let written = path.to_string();
        assert_eq!(AttrPath::parse(&written).as_ref(), Ok(path), "{written:?}");
        assert_eq!(by_rnix(&written).as_deref(), Some(path.names()), "{written:?}");
    }
    // rnix takes white space and comments between names; and a keyword for none, which we do.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.\"\\-$".contains(&byte);
    if text.bytes().all(plain)
        && let Some(names) = by_rnix(text)
        && names.len() <= dynix::nix::MAX_DEPTH
    {
        assert_eq!(ours.as_ref().map(AttrPath::names), Ok(names.as_slice()), "{text:?}");
    }
}

/// The names of a path without interpolation, if it is one.
fn by_rnix(text: &str) -> Option<Vec<String>> {
    let parsed = rnix::Root::parse(&format!("{{ {text} = 1; }}"));
    if !parsed.errors().is_empty() {
        return None;
    }
    let Some(Expr::AttrSet(set)) = parsed.tree().expr() else { return None };
    let mut entries = set.entries();
    let (Some(Entry::AttrpathValue(entry)), None) = (entries.next(), entries.next()) else { return None };
    entry.attrpath()?.attrs().map(|attr| name(&attr)).collect()
}

fn name(attr: &Attr) -> Option<String> {
    match attr {
        Attr::Ident(ident) => Some(ident.syntax().text().to_string()),
        Attr::Str(string) => match string.normalized_parts().as_slice() {
            [] => Some(String::new()),
            [InterpolPart::Literal(text)] => Some(text.clone()),
            _ => None,
        },
        Attr::Dynamic(_) => None,
    }
}
