//! Settings of the kernel, with their names in sysctl.d(5) and their files below /proc/sys.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::fs::{self, FileError, atomic};

/// The unit that writes them.
pub const UNIT: &str = "systemd-sysctl.service";
/// The longest value that is kept.
const LONGEST: u64 = 64 * 1024;

/// The keys that a file sets: paths below /proc/sys, possibly with wildcards.
#[must_use]
pub fn settings(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let keys = lines.filter_map(|line| line.split_once('=')).map(|(key, _)| key.trim());
    keys.map(|key| path(key.strip_prefix('-').unwrap_or(key))).filter(|key| !key.is_empty()).collect()
}

/// A key as a path: if a dot comes first, dots and slashes change places (`sysctl_normalize`, src/basic/sysctl-util.c).
fn path(key: &str) -> String {
    if key.find(['.', '/']).is_some_and(|first| key[first..].starts_with('/')) {
        return key.trim_matches('/').to_owned();
    }
    let swapped = |ch: char| match ch {
        '.' => '/',
        '/' => '.',
        ch => ch,
    };
    key.chars().map(swapped).collect()
}

/// Whether a setting, possibly with wildcards, means this path.
#[must_use]
pub fn is_set_by(path: &str, setting: &str) -> bool {
    let (names, patterns) = (path.split('/'), setting.split('/'));
    names.clone().count() == patterns.clone().count() && names.zip(patterns).all(|(name, pattern)| fits(name, pattern))
}

/// glob(7) without brackets.
fn fits(name: &str, pattern: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let ends = name.char_indices().map(|(end, _)| end).chain([name.len()]);
            ends.into_iter().any(|end| fits(&name[end..], rest.as_str()))
        }
        Some(first) => {
            let mut name = name.chars();
            name.next().is_some_and(|ch| first == '?' || ch == first) && fits(name.as_str(), rest.as_str())
        }
    }
}

/// The kernel's values of a setting, by path. A value that can't be read, or not be written as one line, is left out.
#[must_use]
pub fn values(root: &Utf8Path, setting: &str) -> BTreeMap<String, String> {
    let top = root.join("proc/sys");
    let mut found = vec![Utf8PathBuf::new()];
    for pattern in setting.split('/') {
        if matches!(pattern, "" | "." | "..") {
            return BTreeMap::new();
        }
        let mut next = Vec::new();
        for directory in found {
            if pattern.contains(['*', '?']) {
                let names = fs::list(&top.join(&directory)).unwrap_or_default();
                next.extend(names.iter().filter(|name| fits(name, pattern)).map(|name| directory.join(name)));
            } else {
                next.push(directory.join(pattern));
            }
        }
        found = next;
    }
    let read = |path: Utf8PathBuf| {
        // Some can only be written, and some are for other machines.
        let bytes = fs::read_limited(&top.join(&path), LONGEST).ok()??;
        let value = String::from_utf8(bytes).ok()?.trim_end().to_owned();
        (!value.contains('\n')).then(|| (path.into_string(), value))
    };
    found.into_iter().filter_map(read).collect()
}

/// A file that sets these values. One that the kernel does not take any more is no failure.
#[must_use]
pub fn text<'v>(values: impl IntoIterator<Item = (&'v String, &'v String)>) -> String {
    values.into_iter().fold(String::new(), |text, (path, value)| text + &format!("-{path} = {value}\n"))
}

/// Parses the text that [`text`] wrote.
#[must_use]
pub fn read(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.strip_prefix('-')?.split_once(" = "));
    pairs.map(|(path, value)| (path.to_owned(), value.to_owned())).collect()
}

/// The stored values; none without a file.
pub fn load(place: &Utf8Path) -> Result<BTreeMap<String, String>, FileError> {
    let bytes = fs::read_trusted(place, fs::OWN)?.unwrap_or_default();
    Ok(read(&String::from_utf8_lossy(&bytes)))
}

/// Stores values until the next boot; without any there is no file.
pub fn save(place: &Utf8Path, values: &BTreeMap<String, String>) -> Result<(), FileError> {
    if values.is_empty() {
        return fs::remove(place).map(drop);
    }
    // Some can be read by root only.
    atomic::write(place, text(values).as_bytes(), 0o600, atomic::Durability::Volatile)
}

/// Adds to `noted` the kernel's values of what `next` sets and `built` does not. What is noted already stays: it is older.
pub fn note(root: &Utf8Path, noted: &mut BTreeMap<String, String>, next: &[String], built: &[String]) {
    for setting in next.iter().filter(|setting| !built.contains(setting)) {
        for (path, value) in values(root, setting) {
            if !built.iter().any(|one| is_set_by(&path, one)) {
                noted.entry(path).or_insert(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_systemd() {
        let text = "# a\n; b\nnet.ipv4.ip_forward=1\n -net.ipv4.conf.eth0/1.rp_filter = 2\nnet/ipv4/conf/eth0.1/x = 3\n\nsame\n-excluded\n";
        assert_eq!(settings(text), ["net/ipv4/ip_forward", "net/ipv4/conf/eth0.1/rp_filter", "net/ipv4/conf/eth0.1/x"]);
    }

    #[test]
    fn wildcards_stay_within_a_name() {
        for (path, setting, so) in [
            ("net/ipv4/conf/lo/rp_filter", "net/ipv4/conf/*/rp_filter", true),
            ("net/ipv4/conf/lo/rp_filter", "net/ipv4/*/rp_filter", false),
            ("net/ipv4/conf/lo/rp_filter", "net/ipv4/conf/?o/rp_*er", true),
            ("net/ipv4/conf/lo/rp_filter", "net/ipv4/conf/l/rp_filter", false),
            ("kernel/sysrq", "kernel/sysrq", true),
        ] {
            assert_eq!(is_set_by(path, setting), so, "{path} {setting}");
        }
    }

    #[test]
    fn what_is_there_is_read_and_written_as_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        for (path, value) in [("a/x/v", "1\n"), ("a/y/v", "4096\t16384\t4194304\n"), ("a/z/v", "two\nlines\n")] {
            std::fs::create_dir_all(root.join("proc/sys").join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join("proc/sys").join(path), value).unwrap();
        }
        let found = values(root, "a/*/v");
        assert_eq!(text(&found), "-a/x/v = 1\n-a/y/v = 4096\t16384\t4194304\n");
        assert_eq!(read(&text(&found)), found);
        assert!(values(root, "../v").is_empty() && values(root, "b/v").is_empty());
    }
}
