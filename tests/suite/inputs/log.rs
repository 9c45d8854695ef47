//! The log: what is read is Nix, and the scanner of plain lines reads what rnix reads.

use std::cell::OnceCell;

use camino::Utf8Path;
use dynix::overrides::{HEADER, Kind, LogError, LogFile, Record};

pub fn check(data: &[u8]) {
    let whole = [HEADER.as_bytes(), data].concat();
    let Ok(records) = read(&whole) else { return };
    // What is torn does not count. A log with expressions is not folded here, and its end not told.
    let torn = match LOG.with(|log| log.get().unwrap().1.fold()) {
        Ok(folded) => folded.torn,
        Err(_) if whole.contains(&0) || !whole.ends_with(b"\n") => return,
        Err(_) => None,
    };
    let counted = &whole[..torn.map_or(whole.len(), |torn| usize::try_from(torn.offset).unwrap())];
    // rnix reads text; Nix takes any bytes in a comment.
    let Ok(text) = std::str::from_utf8(counted) else { return };
    let parsed = rnix::Root::parse(text);
    assert!(parsed.errors().is_empty(), "{:?} in {text:?}", parsed.errors());
    assert!(records.windows(2).all(|pair| pair[0].id < pair[1].id), "{records:?}");
    // A comment may hold zeros, for Nix and for us, but none that stands within brackets may for us.
    for line in text.lines().skip(HEADER.lines().count()).filter(|line| !line.contains('\0')) {
        let Ok(plain) = read(format!("{HEADER}{line}\n").as_bytes()) else { continue };
        if plain.iter().any(|record| matches!(record.kind, Kind::Expression(_))) || plain.len() != 1 {
            continue;
        }
        // In parentheses it is nothing for the scanner, and the same for Nix.
        let by_rnix = read(format!("{HEADER}({line}\n)\n").as_bytes());
        assert_eq!(by_rnix.unwrap_or_else(|error| panic!("{error}: {line:?}")), plain, "{line:?}");
    }
}

thread_local! {
    static LOG: OnceCell<(tempfile::TempDir, LogFile)> = const { OnceCell::new() };
}

fn read(text: &[u8]) -> Result<Vec<Record>, LogError> {
    LOG.with(|log| {
        let (_, log) = log.get_or_init(|| {
            let directory = tempfile::tempdir().unwrap();
            let root = Utf8Path::from_path(directory.path()).unwrap();
            // Nothing is remembered.
            let log = LogFile::new(&root.join("dynamic.nix"), Utf8Path::new("/proc/nothing"), None);
            (directory, log)
        });
        std::fs::write(log.path(), text).unwrap();
        log.records()
    })
}
