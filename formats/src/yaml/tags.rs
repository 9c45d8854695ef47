//! Tags that modules make of strings in a later step. YAML of pkgs.formats has no tags, so services.home-assistant and
//! modules like it take the quotes off strings such as `!include automations.yaml`. Takes the text before that step and
//! gives the text after it.

use serde_json::Value;

use crate::parameters::{Kind, Parameter};
use crate::walk::{self, Part};
use crate::{RenderError, Settings};

pub(super) const UNQUOTED_TAGS: Parameter = Parameter {
    name: "unquotedTags",
    kind: Kind::Boolean,
    summary: "a string such as \"!include FILE\" loses its quotes and is a tag, as in services.home-assistant (default false)",
};

/// Whether the strings become tags.
pub(super) fn are_unquoted(settings: &Settings) -> bool {
    settings.is_set(UNQUOTED_TAGS.name)
}

/// `sed -i -e "s/'\!\([a-z_]\+\) \(.*\)'/\!\1 \2/;s/^\!\!/\!/;"`, of nixos/modules/services/home-automation/home-assistant.nix.
pub(super) fn unquote(out: &mut Vec<u8>, from: usize) {
    let text = out.split_off(from);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let (line, end) = line.strip_suffix(b"\n").map_or((line, &b""[..]), |line| (line, b"\n"));
        let line = without_quotes(line).unwrap_or_else(|| line.to_vec());
        out.extend_from_slice(line.strip_prefix(b"!").filter(|rest| rest.starts_with(b"!")).unwrap_or(&line));
        out.extend_from_slice(end);
    }
}

/// The line without the quotes around its first tag.
fn without_quotes(line: &[u8]) -> Option<Vec<u8>> {
    let last = line.iter().rposition(|byte| *byte == b'\'')?;
    let begins = |at: &usize| line[*at..].starts_with(b"'!");
    let first = (0..last).filter(begins).find(|at| {
        let word = line[at + 2..last].iter().take_while(|byte| byte.is_ascii_lowercase() || **byte == b'_').count();
        word > 0 && line[..last].get(at + 2 + word) == Some(&b' ')
    })?;
    Some([&line[..first], &line[first + 1..last], &line[last + 1..]].concat())
}

/// Strings that the step makes something else of than a tag.
pub(super) fn ambiguities(value: &Value) -> Vec<RenderError> {
    let mut found = Vec::new();
    walk::for_each(value, &mut |path, part| {
        let message = match &part {
            Part::Name(name) if name.starts_with('!') => "the name begins with a !, so it would lose its quotes",
            _ if part.text().is_some_and(|text| text.contains("'!")) => {
                "there is a '! within, which is taken for the beginning of a tag"
            }
            _ => return,
        };
        found.push(RenderError { path: path.clone(), message: message.to_owned() });
    });
    found
}

#[cfg(test)]
mod tests {
    use super::unquote;

    fn after(text: &str) -> String {
        let mut out = text.as_bytes().to_vec();
        unquote(&mut out, 0);
        String::from_utf8(out).unwrap()
    }

    /// What GNU sed 4.9 gives.
    #[test]
    fn lines_are_what_sed_makes_of_them() {
        for (line, expected) in [
            ("a: '!include b.yaml'", "a: !include b.yaml"),
            ("- '!secret x'", "- !secret x"),
            ("'!secret x'", "!secret x"),
            ("a: '!secret it''s'", "a: !secret it''s"),
            ("'!a b': '!c d'", "!a b': '!c d"),
            ("a: '!include'", "a: '!include'"),
            ("a: '!Include b'", "a: '!Include b'"),
            ("a: '!include b", "a: '!include b"),
            ("a: '!1 b' '!c d'", "a: '!1 b' !c d"),
            ("a: '! b'", "a: '! b'"),
            ("a: '!b '", "a: !b "),
            ("!!a", "!a"),
            ("'!!a b'", "'!!a b'"),
        ] {
            assert_eq!(after(&format!("x\n{line}\ny")), format!("x\n{expected}\ny"));
        }
    }
}
