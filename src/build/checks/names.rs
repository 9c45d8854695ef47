//! Names and paths: the syntax of each kind, and why a given one breaks it.

use camino::Utf8Path;

use crate::host::paths::OWN_FILES;
use crate::host::systemd::quote;
use crate::host::systemd::users::EVERY;

/// The types of units that can be restarted for a new value (systemd.unit(5)).
const UNIT_TYPES: [&str; 7] = ["service", "socket", "mount", "automount", "swap", "timer", "path"];

/// The full name of a unit that can be started: systemd's characters, an optional instance, and a type
/// (`unit_name_is_valid`, src/basic/unit-name.c). `user/` before it is every user's service manager.
pub fn unit(name: &str) -> Result<(), String> {
    let no_unit = |why: String| Err(format!("{name:?} is not the name of a unit: {why}"));
    let name = name.strip_prefix(EVERY).unwrap_or(name);
    let Some((prefix, kind)) = name.rsplit_once('.') else {
        return no_unit("it has no type; write the full name, as in harmonia.service".to_owned());
    };
    if !UNIT_TYPES.contains(&kind) {
        return no_unit(format!("its type has to be one of {}", UNIT_TYPES.join(", ")));
    }
    // `UNIT_NAME_MAX`
    if name.len() > 255 {
        return no_unit("it has more than 255 bytes".to_owned());
    }
    let allowed = |ch: char| ch.is_ascii_alphanumeric() || matches!(ch, ':' | '-' | '_' | '.' | '\\' | '@');
    if let Some(ch) = prefix.chars().find(|&ch| !allowed(ch)) {
        return no_unit(format!("it has the character {ch:?}"));
    }
    if prefix.is_empty() || prefix.starts_with('@') {
        return no_unit("nothing stands before its type".to_owned());
    }
    if prefix.ends_with('@') && prefix.matches('@').count() == 1 {
        return no_unit("it is a template; name its instances, as in getty@tty1.service".to_owned());
    }
    Ok(())
}

/// The section of a unit file that holds the settings of what the unit executes (systemd.exec(5)); `None` for a type
/// that executes nothing.
#[must_use]
pub fn exec_section(unit: &str) -> Option<&'static str> {
    match unit.rsplit_once('.')?.1 {
        "service" => Some("Service"),
        "socket" => Some("Socket"),
        "mount" => Some("Mount"),
        "swap" => Some("Swap"),
        _ => None,
    }
}

/// A name that is one component of a path, and no hidden one.
fn component(name: &str) -> Result<(), String> {
    let why = if name.is_empty() {
        "it is empty".to_owned()
    } else if name.starts_with('.') {
        "it starts with a dot".to_owned()
    } else if name.len() > 200 {
        // The build puts text before and after a name, and the whole has to stay below `NAME_MAX`, 255 bytes.
        "it has more than 200 bytes".to_owned()
    } else if let Some(ch) = name.chars().find(|&ch| ch == '/' || ch == '\\' || ch.is_control()) {
        format!("it has the character {ch:?}")
    } else {
        // The name is a part of paths in units, so a stub has to be able to hold it.
        let path = format!("/{name}");
        let quoted = quote::bind_path(&path).and_then(|_| quote::environment_file(&path));
        return quoted.map(drop).map_err(|error| format!("{name:?} can't be part of a path in a unit: it {error}"));
    };
    Err(format!("{name:?} can't be one component of a path: {why}"))
}

/// The name of a service, a directory below /run/dynix.
pub fn service(name: &str) -> Result<(), String> {
    component(name)?;
    if OWN_FILES.contains(&name) {
        return Err(format!("/run/dynix/{name} is a file of dynix itself; give the service another name"));
    }
    Ok(())
}

/// The name of a file, in a directory of its service's generation.
pub fn file(name: &str) -> Result<(), String> {
    component(name)
}

/// An absolute path in normal form: nothing in it that the kernel would skip or step back over.
pub fn path(path: &Utf8Path) -> Result<(), String> {
    let text = path.as_str();
    let no_path = |why: &str| Err(format!("{text:?} is not an absolute path in normal form: {why}"));
    let Some(relative) = text.strip_prefix('/') else { return no_path("it does not start with /") };
    if relative.is_empty() {
        return no_path("it is the root directory");
    }
    // `PATH_MAX`
    if text.len() >= 4096 {
        return no_path("it has 4096 bytes or more");
    }
    for part in relative.split('/') {
        match part {
            "" => return no_path("it has an empty component"),
            "." | ".." => return no_path("it has the component . or .."),
            part if part.len() > 255 => return no_path("a component has more than 255 bytes"),
            part if part.chars().any(char::is_control) => return no_path("it has a control character"),
            _ => {}
        }
    }
    Ok(())
}

/// Octal permissions, of three or four digits. Bits beyond those for reading, writing and executing are none that a
/// configuration file has.
pub fn mode(text: &str) -> Result<(), String> {
    let digits = matches!(text.len(), 3 | 4) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    match u32::from_str_radix(text, 8) {
        Ok(mode) if digits && mode <= 0o777 => Ok(()),
        _ => Err(format!("{text:?} is not an octal mode between 0000 and 0777, as in 0444")),
    }
}

/// A user or group: a number, or a name that systemd takes (`valid_user_group_name`, src/basic/user-util.c).
pub fn user(text: &str) -> Result<(), String> {
    // -1 as 32 and as 16 bits means "leave it" to the kernel (chown(2)).
    let is_id = text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u32>().is_ok_and(|id| id != u32::MAX && id != u32::from(u16::MAX));
    let mut bytes = text.bytes();
    let is_name = text.len() <= 31
        && bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if is_id || is_name {
        return Ok(());
    }
    Err(format!("{text:?} is not a user or group: expected a name of letters, digits, _, - and ., or a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_names_are_systemds() {
        for good in [
            "harmonia.service",
            "user/a.service",
            "a@b.service",
            "a@b@.service",
            "a-b:c_d.e.timer",
            r"dev-disk\x2d1.swap",
        ] {
            assert_eq!(unit(good), Ok(()), "{good}");
        }
        let long = format!("{}.service", "a".repeat(248));
        for bad in [
            "harmonia",
            "a.slice",
            ".service",
            "@b.service",
            "a@.service",
            "a b.service",
            "a/b.service",
            "user/user/a.service",
            "user@1000/a.service",
            "user/a",
            "ü.service",
            "a.Service",
            "",
            ".",
            "a\n.service",
            "a%.service",
            &long,
        ] {
            assert!(unit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn components_do_not_escape() {
        let long = "a".repeat(201);
        for bad in ["", ".", "..", ".x", "a/b", "/", "a\0", "a\nb", "a\\b", "a\"b", "it's", "a ", "\u{fffe}", &long] {
            assert!(file(bad).is_err() && service(bad).is_err(), "{bad:?}");
        }
        for good in ["config.yml", "a b", "ü", "-x", "lock", "current"] {
            assert_eq!(file(good), Ok(()), "{good}");
        }
        assert!(service("lock").is_err() && service("state.json").is_err() && service("verdict.json").is_err());
    }

    #[test]
    fn paths_are_absolute_and_normal() {
        let long = format!("/{}", "a".repeat(256));
        for bad in ["", "a", "/", "/a/../b", "/a/", "/a//b", "/./a", "/a/.", "/..", "/a\nb", "a/b", &long] {
            assert!(path(Utf8Path::new(bad)).is_err(), "{bad}");
        }
        for good in ["/a", "/nix/store/x y-z.toml", "/a/..b/...", "/etc/x.d/ü"] {
            assert_eq!(path(Utf8Path::new(good)), Ok(()), "{good}");
        }
    }

    #[test]
    fn modes_are_octal() {
        for good in ["0444", "444", "0640", "0000", "0777"] {
            assert_eq!(mode(good), Ok(()), "{good}");
        }
        for bad in ["", "4", "0448", "+444", "-444", "4755", "00444", "0o44", "rw-", " 444"] {
            assert!(mode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn owners_are_names_or_numbers() {
        for good in ["root", "0", "65534", "_x", "a-b_1.c", "4294967294"] {
            assert_eq!(user(good), Ok(()), "{good}");
        }
        for bad in ["", "-x", "a b", "a:b", "1a", "ü", "4294967295", "65535", "4294967296", "a\n", ".a"] {
            assert!(user(bad).is_err(), "{bad}");
        }
    }
}
