"""The test `package`: every phase of package.nix in Nix's sandbox, its tests and checks included (tests/nixos/package.nix).

The toolchain is the one of the host, and the crates are those of Cargo.lock, laid out by `cargo vendor`: both lie outside of
the store. Beside them the sandbox has the C library's files and compiler at their fixed places, and nothing else.
"""

import hashlib
import re
import shutil
import subprocess
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

from . import rootfs
from .log import Log, complain

NAME = "package"

_REPOSITORY = Path(__file__).resolve().parent.parent.parent.parent

# What Debian's compiler, linker and programs need at fixed paths. No programs: /bin and /usr/bin are not there.
_PATHS = ["/lib", "/lib64", "/usr/include", "/usr/lib", "/usr/lib64", "/usr/libexec"]
# What takes programs out of Debian can't be built in a sandbox; it is an input.
_PREPARE = """\
drv=$(nix-instantiate /dynix/tests/nixos/package.nix --argstr toolchain "$1" | tail -n 1)
nix-store --query --references "$drv" | grep '[.]drv$' | xargs nix-store --realise > /dev/null
echo "$drv"
"""
_BUILD = """\
options=(--option sandbox true --option sandbox-fallback false --option sandbox-paths "$2")
# What the build says is in its log, also where it was built before.
nix-store --realise "$1" "${options[@]}" > /tmp/said 2>&1 || { cat /tmp/said; exit 1; }
nix-store --read-log "$1"
"""
_BASH = ["bash", "-euo", "pipefail", "-c"]


class Absent(Exception):
    """What the test needs is not here."""


def run(enter: Callable[[list[str], dict[str, Path], bool], str], log: Log) -> bool:
    """Whether the package is built. Where it can't be tried, that is said, and no failure."""
    began = time.monotonic()
    try:
        toolchain, version = _toolchain()
        crates = _crates()
    except Absent as absent:
        complain(f"SKIPPED: {NAME}: {absent}")
        return True
    shown = {"/toolchain": toolchain, "/vendor": crates}
    paths = " ".join([*_PATHS, *shown])
    log.say(f"building the package in Nix's sandbox with {version}")
    try:
        derivation = enter([*_BASH, _PREPARE, NAME, version], {}, True).splitlines()[-1]
        said = enter([*_BASH, f"exec 2>&1\n{_BUILD}", NAME, derivation, paths], shown, False)
    except RuntimeError as error:
        log.say(f"FAILED: {NAME} is not built: {str(error)[-20000:]}")
        return False
    for line in re.findall(r"^(?:in the sandbox: |built in |checked in |test result: |[Ff]ound version ).*$", said, re.MULTILINE):
        log.say(line)
    counts = [int(count) for count in re.findall(r"^test result: ok\. (\d+) passed", said, re.MULTILINE)]
    if not counts or sum(counts) == 0:
        log.say(f"FAILED: {NAME}: its check phase ran no test")
        return False
    log.say(f"passed: {NAME} ({sum(counts)} tests in the sandbox, in {time.monotonic() - began:.1f} s)")
    return True


def _toolchain() -> tuple[Path, str]:
    """Where a toolchain that can compile dynix lies, and what it says of itself."""
    rustc = shutil.which("rustc")
    if rustc is None:
        raise Absent("there is no rustc")
    version, sysroot = (
        subprocess.run([rustc, *words], capture_output=True, text=True, check=True, cwd=_REPOSITORY).stdout.strip()
        for words in (["--version"], ["--print", "sysroot"])
    )
    if not (Path(sysroot) / "bin/cargo").is_file():
        raise Absent(f"{sysroot} is no toolchain as rustup has it: it has no bin/cargo")
    least = tomllib.loads((_REPOSITORY / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
    number = lambda text: [int(part) for part in re.findall(r"\d+", text)[:2]]
    if number(version) < number(least):
        raise Absent(f"it needs rustc {least} or later, and there is {version}")
    return Path(sysroot), version


def _crates() -> Path:
    """The crates of Cargo.lock."""
    key = hashlib.sha256((_REPOSITORY / "Cargo.lock").read_bytes()).hexdigest()[:16]
    directory = rootfs.cache() / f"crates-{key}"
    if not directory.exists():
        partial = directory.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        words = ["cargo", "vendor", "--quiet", "--locked", "--versioned-dirs", str(partial)]
        laid = subprocess.run(words, capture_output=True, text=True, check=False, cwd=_REPOSITORY)
        if laid.returncode != 0:
            raise Absent(f"cannot have the crates of Cargo.lock: {laid.stderr.strip()}")
        partial.rename(directory)
    return directory
