#!/usr/bin/env python3
"""Checks the quoting for systemd on a real one: what programs get is what was quoted.

    tests/formats/systemd.py [--cases N] [--seed N]

Boots MACHINE_ROOT in systemd-nspawn with one service for each case and compares the arguments, the environment and the
bound files that its programs see. Needs root, systemd-nspawn, and in MACHINE_ROOT a system with systemd and perl, such as
mmdebstrap --variant=minbase --include=systemd,systemd-sysv,dbus,perl-base trixie DIRECTORY. The directory is left as it
is: the machine runs on a copy in memory (--volatile=overlay). Without all that it says so and is SKIPPED.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = ["", " ", "  ", "\t", "\n", "\r", "\\", "\\\\", "'", '"', "`", "$", "$$", "%", "%%", "%i", ";", "#", "=", ":", "-", "--x", "@"]
PARTS += ["$WORDS", "${WORDS}", "$(x)", "\\n", "\\x41", "\\\n", "\x01", "\x1b", "\x7f", "é", "日", "😀", "\ufeff", "\u0085", "\u2028"]
PARTS += ["a b", "A=b", "*", "?", "[x]", "~", "word", "/a/b", "\\;", "&", "|", ">", "x" * 200]
PROGRAM = r"""#!/usr/bin/perl
# Writes its arguments, or with --name the variable NAME, or with --file a file's content.
my $out = shift;
open(my $file, '>', $out) or die;
if (($ARGV[0] // '') eq '--name' and @ARGV == 1) { print {$file} $ENV{NAME} }
elsif (($ARGV[0] // '') eq '--file') { open(my $in, '<', $ARGV[1]) or die; print {$file} <$in> }
else { print {$file} join("", map($_ . "\0", @ARGV)) }
close($file) or die;
"""


def words(source):
    def word():
        return "".join(source.choices(PARTS, k=source.choice([0, 1, 1, 2, 3, 5])))

    return [word() for _ in range(source.choice([1, 1, 2, 3, 6]))]


def is_file_name(name):
    return name not in ("", ".", "..") and "/" not in name and len(name.encode()) < 200


def quoted(cases):
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    command = ["cargo", "run", "-q", "--example", "quote_lines"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(done.stderr)
    return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def prepare(directory, cases):
    """Units and files of all cases; gives the expected outputs by name."""
    units, inputs, expected = Path(directory, "units"), Path(directory, "cases"), {}
    units.mkdir()
    inputs.mkdir()
    Path(directory, "out").mkdir()
    program = Path(directory, "program")
    program.write_text(PROGRAM)
    program.chmod(0o755)
    names = []
    for index, (case, quotes) in enumerate(zip(cases, quoted(cases), strict=True)):
        Path(directory, f"{index}.env").write_text(quotes["environment_file"], newline="")
        lines = [
            "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot",
            f"EnvironmentFile=/test/{index}.env",
            f"Environment={quotes['environment']}",
            f"ExecStart=/test/program /test/out/{index}-variable $WORDS",
            f"ExecStart=/test/program /test/out/{index}-exec {quotes['exec']}",
            f"ExecStart=/test/program /test/out/{index}-name --name",
        ]
        arguments = b"".join(word.encode() + b"\0" for word in case)
        # A first argument that asks the program for something else is no use as a case.
        if case[0] not in ("--name", "--file"):
            expected[f"{index}-variable"] = expected[f"{index}-exec"] = arguments
        expected[f"{index}-name"] = case[0].encode()
        if quotes["bind"] and is_file_name(case[0]):
            Path(inputs, case[0]).write_text(f"bound {case[0]}")
            # Below /test, so that the service still sees its program.
            lines.append(f"BindReadOnlyPaths={quotes['bind'].replace('/cases/', '/test/cases/', 1)}:/run/bound")
            lines.append(f"ExecStart=/test/program /test/out/{index}-file --file /run/bound")
            expected[f"{index}-file"] = f"bound {case[0]}".encode()
        name = f"case-{index}.service"
        Path(units, name).write_text("\n".join(lines) + "\n", newline="")
        names.append(name)
    wants = " ".join(names)
    Path(units, "cases.service").write_text(
        f"[Unit]\nDefaultDependencies=no\nWants={wants}\nAfter={wants}\n"
        "[Service]\nType=oneshot\nExecStart=/bin/systemctl --no-block --force poweroff\n"
    )
    return expected


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=5, help="how many failures to show")
    arguments = parser.parse_args()
    machine = os.environ.get("MACHINE_ROOT", "")
    if os.geteuid() or not shutil.which("systemd-nspawn") or not Path(machine, "usr/lib/systemd/systemd").exists() or not machine:
        print("systemd: SKIPPED, NOT CHECKED: needs root, systemd-nspawn, and MACHINE_ROOT with systemd and perl")
        return
    source = random.Random(arguments.seed)
    cases = [words(source) for _ in range(arguments.cases)]
    with tempfile.TemporaryDirectory() as directory:
        expected = prepare(directory, cases)
        binds = [f"--bind={directory}:/test", f"--bind-ro={directory}/units:/run/systemd/system"]
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--volatile=overlay", f"--directory={machine}"]
        command += [*binds, "--boot", "--", "--unit=cases.service", "--log-target=console"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
        out = Path(directory, "out")
        found = {name: Path(out, name).read_bytes() if Path(out, name).exists() else None for name in expected}
    wrong = [name for name, content in expected.items() if found[name] != content]
    print(f"systemd: {len(expected) - len(wrong)} of {len(expected)} as expected")
    for name in wrong[:arguments.show]:
        print(f"  {name}: {cases[int(name.split('-')[0])]!r}\n  expected {expected[name]!r}\n  found    {found[name]!r}")
    if wrong:
        sys.exit(done.stdout.decode(errors="replace")[-3000:] + done.stderr.decode(errors="replace")[-1000:])


if __name__ == "__main__":
    main()
