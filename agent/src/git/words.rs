//! What others wrote, as it may be shown: a commit's subject, a signer, what a server answers.

/// Most characters of it.
const MOST: usize = 400;

/// One line without control characters and without secrets of addresses.
pub(super) fn plain(text: &str) -> String {
    let spaced: String =
        text.chars().map(|ch| if ch.is_control() { ' ' } else { ch }).filter(|ch| !is_odd(*ch)).collect();
    let words: Vec<String> = spaced.split_whitespace().map(without_password).collect();
    let line = words.join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// Characters that change how the rest of the line reads: marks of direction, and of nothing.
fn is_odd(ch: char) -> bool {
    matches!(ch, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `https://user:password@host` without the password.
fn without_password(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let authority = rest.find('/').unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_text_is_one_plain_line() {
        for (text, shown) in [
            ("fatal: no\n\u{1b}[31mred\r\n", "fatal: no [31mred"),
            ("fatal: 'https://me:secret@host/a@b.git/': no", "fatal: 'https://host/a@b.git/': no"),
            ("a\u{202e}b\tc", "ab c"),
        ] {
            assert_eq!(plain(text), shown);
        }
        assert_eq!(plain(&"é".repeat(500)), format!("{}...", "é".repeat(400)));
    }
}
