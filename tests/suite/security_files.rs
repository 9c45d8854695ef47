//! Files that others could change are not believed, and places that others could swap are not written to. Claims of
//! docs/security.md.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::Command;

use camino::Utf8Path;

use super::support::{Run, System};

/// Somebody else.
const NOBODY: u32 = 65534;

const APPEND: &[&str] = &["append", "services.harmonia.settings.workers", "20", "--apply"];

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Only root can give files away.
fn skip(what: &str) {
    super::support::skip(&format!("{what}: needs root, to give files to somebody else"));
}

fn mode(path: &Utf8Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// What is refused names the place and the reason, and nothing at all is done.
#[track_caller]
fn refuses(system: &System, arguments: &[&str], words: &[&str]) -> Run {
    let before = system.everything();
    let run = system.run(arguments).ends(1);
    for word in words {
        assert!(run.stderr.contains(word), "{word:?} is not in {}", run.stderr);
    }
    assert_eq!(run.stdout, "");
    assert!(system.everything() == before, "{arguments:?} changed something");
    run
}

/// Every command refuses.
#[track_caller]
fn all_refuse(system: &System, words: &[&str]) {
    for arguments in [APPEND, &["apply"], &["reset"], &["rollback", "0"], &["unset", "services.harmonia.settings"]] {
        refuses(system, arguments, words);
    }
}

fn overridden() -> System {
    let system = System::new();
    system.run(APPEND).ends(0);
    system
}

#[test]
fn a_plan_log_or_state_that_others_may_write_to_is_refused() {
    for below in ["etc/dynix/plan.json", "etc/nixos/dynamic.nix", "run/dynix/state.json"] {
        let system = overridden();
        let path = system.path(below);
        for bits in [0o020, 0o002] {
            mode(&path, 0o644 | bits);
            refuses(&system, &["apply"], &[path.as_str(), "chmod go-w"]);
        }
        mode(&path, 0o644);
        system.run(&["apply"]).ends(0);
    }
}

#[test]
fn a_plan_log_or_state_below_a_directory_that_others_may_write_to_is_refused() {
    for below in ["etc/dynix", "etc/nixos", "run/dynix", "run", "etc", "."] {
        let system = overridden();
        let path = system.path(below);
        let (before, path) = (path.metadata().unwrap().mode(), path.canonicalize_utf8().unwrap());
        mode(&path, 0o777);
        refuses(&system, &["apply"], &[path.as_str(), "(mode 0777)", "chmod go-w"]);
        // As it is in /tmp: names of others can't be taken away there.
        mode(&path, 0o1777);
        system.run(&["apply"]).ends(0);
        mode(&path, before);
    }
}

#[test]
fn a_plan_log_or_state_of_somebody_else_is_refused() {
    if !is_root() {
        return skip("files of somebody else");
    }
    for below in ["etc/dynix/plan.json", "etc/nixos/dynamic.nix", "run/dynix/state.json"] {
        let system = overridden();
        chown(system.path(below), Some(NOBODY), None).unwrap();
        refuses(&system, &["apply"], &[system.path(below).as_str(), "65534"]);
    }
    for below in ["etc/dynix", "etc/nixos", "run/dynix", "run/dynix/harmonia", "etc", "."] {
        let system = overridden();
        let path = system.path(below).canonicalize_utf8().unwrap();
        chown(&path, Some(NOBODY), None).unwrap();
        let arguments: &[&str] = if below == "run/dynix/harmonia" { &["reset"] } else { &["apply"] };
        let run = system.run(arguments).ends(1);
        assert!(run.stderr.contains(&format!("cannot use {path}: user 65534 owns it")), "{}", run.stderr);
    }
}

#[test]
fn the_log_may_be_reached_through_links_of_root_and_is_none_itself() {
    let system = System::new();
    let home = system.path("home/admin/nixos");
    std::fs::create_dir_all(&home).unwrap();
    // As /etc/nixos often is. In a tree, an absolute link is one from the tree's root.
    symlink("/home/admin/nixos", system.path("etc/nixos")).unwrap();
    system.run(APPEND).ends(0);
    assert!(home.join("dynamic.nix").exists());
    std::fs::rename(home.join("dynamic.nix"), home.join("real.nix")).unwrap();
    symlink("real.nix", home.join("dynamic.nix")).unwrap();
    all_refuse(&system, &["dynamic.nix is a symbolic link", "--overrides"]);
}

#[test]
fn a_link_of_somebody_else_is_not_followed() {
    if !is_root() {
        return skip("links of somebody else");
    }
    let system = System::new();
    let real = system.path("real");
    std::fs::create_dir(&real).unwrap();
    std::fs::write(real.join("dynamic.nix"), "{ overrides, ... }: overrides\n").unwrap();
    let nixos = system.path("etc/nixos");
    symlink(&real, &nixos).unwrap();
    std::os::unix::fs::lchown(&nixos, Some(NOBODY), None).unwrap();
    all_refuse(&system, &[&format!("cannot follow the link {nixos}: user 65534 owns it")]);
    std::fs::remove_file(&nixos).unwrap();
    let plan = system.path("etc/dynix/plan.json");
    std::fs::rename(&plan, real.join("plan.json")).unwrap();
    symlink(real.join("plan.json"), &plan).unwrap();
    std::os::unix::fs::lchown(&plan, Some(NOBODY), None).unwrap();
    all_refuse(&system, &[&format!("cannot follow the link {plan}: user 65534 owns it")]);
}

#[test]
fn the_plan_is_reached_through_links_of_root_within_the_tree() {
    let system = System::new();
    // As NixOS has it: etc/dynix/plan.json -> /etc/static/... -> /nix/store/...
    let store = system.path("nix/store/x-etc/etc/dynix");
    std::fs::create_dir_all(&store).unwrap();
    mode(&system.path("nix/store"), 0o1775);
    std::fs::rename(system.path("etc/dynix/plan.json"), store.join("plan.json")).unwrap();
    symlink("/nix/store/x-etc/etc", system.path("etc/static")).unwrap();
    symlink("/etc/static/dynix/plan.json", system.path("etc/dynix/plan.json")).unwrap();
    system.run(APPEND).ends(0);
    // Out of the tree leads no way, by name or by `..`.
    for outside in ["/../../../../../../../../etc/hostname", "../../../../../../../../../../etc/hostname"] {
        std::fs::remove_file(system.path("etc/dynix/plan.json")).unwrap();
        symlink(outside, system.path("etc/dynix/plan.json")).unwrap();
        let run = system.run(&["apply"]).ends(1);
        assert!(run.stderr.contains("there is no plan at"), "{}", run.stderr);
    }
}

/// A link in each place that dynix writes to, leading to a directory or file that is to stay as it is.
#[test]
fn no_link_is_followed_below_run() {
    for (below, is_directory) in [
        ("run", true),
        ("run/dynix", true),
        ("run/dynix/gotosocial", true),
        ("run/dynix/gotosocial/.generation-1", true),
        ("run/dynix/gotosocial/generation-1", true),
        ("run/dynix/lock", false),
        ("run/dynix/state.json", false),
        ("run/dynix/.state.json.new", false),
        ("run/nixos", true),
        ("run/nixos/switch-to-configuration.lock", false),
        ("run/systemd", true),
        ("run/systemd/system", true),
        ("run/systemd/system/gotosocial.service.d", true),
        ("run/systemd/system/gotosocial.service.d/50-dynix.conf", false),
        ("run/systemd/system/gotosocial.service.d/.50-dynix.conf.new", false),
        ("var/cache", true),
        ("var/cache/dynix", true),
    ] {
        let system = System::new();
        let target = system.path("target");
        std::fs::create_dir(&target).unwrap();
        system.write("target/file", "mine");
        let link = system.path(below);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(if is_directory { target.clone() } else { target.join("file") }, &link).unwrap();
        // A port below 1024 changes the drop-in as well.
        let run = system.run(&["append", "services.gotosocial.settings.port", "80", "--apply"]);
        assert!(run.code == 0 || run.code == 1, "{below}: {run:?}");
        assert!(run.code == 0 || run.stderr.contains(link.as_str()), "{below}: {}", run.stderr);
        let names: Vec<_> = std::fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["file"], "{below}");
        assert_eq!(system.read("target/file"), "mine", "{below}");
    }
}

#[test]
fn a_file_with_a_second_name_is_refused_where_others_may_make_names() {
    let system = overridden();
    let log = system.path("etc/nixos/dynamic.nix");
    std::fs::hard_link(&log, system.path("second")).unwrap();
    system.run(&["apply"]).ends(0);
    mode(&system.path("etc/nixos"), 0o1777);
    refuses(&system, &["apply"], &[log.as_str(), "it has another name"]);
}

#[test]
fn what_is_no_plain_file_is_refused_at_once() {
    for below in ["etc/dynix/plan.json", "run/dynix/state.json", "etc/nixos/dynamic.nix"] {
        let system = overridden();
        let path = system.path(below);
        std::fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let run = system.run(&["apply"]).ends(1);
        assert!(run.stderr.contains(path.as_str()) && run.stderr.contains("plain file"), "{}", run.stderr);
    }
}

/// The system calls of an apply: each file of a generation is made for its owner alone, and has its owner and mode before
/// its first byte; and no umask of the caller makes a difference.
#[test]
fn files_have_their_owner_and_mode_before_their_first_byte() {
    if Command::new("strace").arg("-V").output().is_err() {
        return super::support::skip("files from the first byte: needs strace (Debian: apt-get install strace)");
    }
    let mut description = super::support::description();
    let file = &mut description["services"]["harmonia"]["files"]["harmonia.toml"];
    file["mode"] = "0440".into();
    if is_root() {
        file["owner"] = "nobody".into();
    }
    let system = System::of(&description);
    for umask in ["000", "077"] {
        let trace = system.path("trace");
        let command = system.command(&["append", "services.harmonia.settings.workers", "21", "--apply"]);
        let line = "umask $0; exec strace -f -y -o \"$1\" -e trace=openat,fchown,fchmod,write,rename,renameat,renameat2 \"${@:2}\"";
        let mut traced = Command::new("bash");
        traced.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        traced.args(["-c", line, umask, trace.as_str()]).arg(command.get_program()).args(command.get_args());
        super::support::finish(&mut traced).ends(0);
        let trace = std::fs::read_to_string(trace).unwrap();
        let about: Vec<&str> = trace.lines().filter(|line| line.contains("harmonia.toml")).collect();
        let place = |what: &str| about.iter().position(|line| line.contains(what)).unwrap_or_else(|| panic!("{trace}"));
        assert!(about[place("O_CREAT|O_EXCL|")].contains("O_NOFOLLOW|O_CLOEXEC, 0600)"), "{trace}");
        let first = place(" write(");
        assert!(place("fchmod(") < first && about[place("fchmod(")].contains("0440"), "{trace}");
        if is_root() {
            assert!(place("fchown(") < place("fchmod("), "{trace}");
        }
        let made = system.path("run/dynix/harmonia/current/harmonia.toml").metadata().unwrap();
        assert_eq!(made.mode() & 0o7777, 0o440);
        for (below, mode) in [
            ("run/dynix", 0o755),
            ("run/dynix/harmonia", 0o755),
            ("run/dynix/harmonia/generation-1", 0o755),
            ("run/dynix/lock", 0o600),
            ("run/dynix/state.json", 0o644),
            ("etc/nixos/dynamic.nix", 0o644),
        ] {
            assert_eq!(system.path(below).metadata().unwrap().mode() & 0o7777, mode, "{below} with umask {umask}");
        }
        for below in ["run", "etc/nixos", "var"] {
            std::fs::remove_dir_all(system.path(below)).unwrap();
        }
    }
}

/// Whoever can open a file can lock it, and everybody can read the log.
#[test]
fn a_reader_of_the_log_holds_up_nobody() {
    let system = overridden();
    let held = std::fs::File::open(system.path("etc/nixos/dynamic.nix")).unwrap();
    held.lock().unwrap();
    let start = std::time::Instant::now();
    system.run(&["append", "services.harmonia.settings.workers", "22", "--apply"]).ends(0);
    system.run(&["status"]).ends(0);
    // Otherwise an append waits for a minute.
    assert!(start.elapsed().as_secs() < 30);
    for lock in ["etc/nixos/.dynamic.nix.lock", "run/dynix/lock", "run/nixos/switch-to-configuration.lock"] {
        assert_eq!(system.path(lock).metadata().unwrap().mode() & 0o7777, 0o600, "{lock}");
    }
    drop(held);
}
