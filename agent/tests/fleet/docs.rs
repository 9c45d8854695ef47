//! What docs/fleets.md shows is what happens.

use std::path::Path;
use std::process::Command;

use crate::cli::masked;
use crate::engine::is_here;
use crate::hosts::dynix;
use crate::ports;

const PAGE: &str = include_str!("../../../docs/fleets.md");
const TRY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/fleet/try");

#[test]
fn the_fleet_of_ten_minutes_is_as_the_page_says() {
    if !is_here() {
        return;
    }
    let shown = PAGE.split_once("<!-- try -->\n").unwrap().1.split_once("<!-- end of try -->").unwrap().0;
    let shown: Vec<&str> = shown.lines().map(|line| line.strip_prefix("    ").unwrap()).collect();
    let commands = shown.iter().filter_map(|line| line.strip_prefix("$ "));
    let script: String = commands.fold(String::new(), |script, command| {
        let quoted = command.replace('\'', "'\\''");
        script + &format!("printf '%s\\n' '$ {quoted}'\n{command}\n")
    });
    let directory = tempfile::tempdir().unwrap();
    for program in
        [&dynix(), Path::new(env!("CARGO_BIN_EXE_dynix-agent")), Path::new(env!("CARGO_BIN_EXE_dynix-fleet"))]
    {
        std::os::unix::fs::symlink(program, directory.path().join(program.file_name().unwrap())).unwrap();
    }
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(TRY);
    command
        .args(["sh", "-ec", &script])
        .env("PATH", path)
        .env("USER", "alice")
        .env("DYNIX_TRY_PORT", ports::free().to_string());
    let output = command.env_remove("SUDO_USER").env_remove("JOURNAL_STREAM").output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    // Reports of hosts take revisions as well, in no certain order.
    let plain = |text: &str| masked(text).lines().map(|line| without_revision(line) + "\n").collect::<String>();
    let (left, right) = (plain(&told), plain(&shown.join("\n")));
    assert!(left == right, "what happens:\n{left}\nwhat the page says:\n{right}");
}

fn without_revision(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    for at in 1..words.len() {
        if words[at - 1].ends_with("revision") {
            let number = words[at].bytes().take_while(u8::is_ascii_digit).count();
            words[at].replace_range(..number, "");
        }
    }
    words.join(" ")
}
