"""Runs the tests of tests/nixos on a real NixOS: a whole system, built from a nixpkgs, booted in a container.

The programs are Debian's (tests/nixos/container), so that nothing is compiled and nothing downloaded but Debian's packages,
and remarshal from PyPI. The nixpkgs is whichever the environment names; nothing of it is kept but what is built.
"""

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from . import cli, host, rootfs, sandbox, script
from .container import SYSTEM, Container
from .log import Log, complain
from .machine import Machine
from .network import Network

_REPOSITORY = Path(__file__).resolve().parent.parent.parent.parent
_TESTS = _REPOSITORY / "tests/nixos"
_RECIPE = _TESTS / "container"
_STAND_INS = _REPOSITORY / "tests/machine/services"

# remarshal as nixpkgs has it, for Debian's Python.
_REMARSHAL = ["1.3.0", "0.17.1"]
_WHEELS = ["--python-version=3.13", "--implementation=cp", "--only-binary=:all:", "--platform=any"]

# What takes too long for a run of all.
_LONG = {"package": "10 minutes", "twin": "45 minutes"}

# Where they are while something is built, and in the machines.
_TREE, _NIXPKGS, _SOURCE, _BEFORE, _HOME_MANAGER = "/tree", "/nixpkgs", "/dynix", "/dynix-before", "/home-manager"

_NIX_CONFIG = """\
sandbox = false
build-users-group =
substituters =
max-jobs = 2
"""


class Absent(Exception):
    """What the tests need is not here."""


def main() -> int:
    tests = _names()
    arguments = _parse(tests)
    if arguments.list:
        print("\n".join(tests))
        return 0
    try:
        if (obstacle := host.obstacle()) is not None:
            raise Absent(obstacle)
        nixpkgs = _nixpkgs()
    except Absent as absent:
        return _skip(absent)
    if absent := [one for one in (arguments.dynix, arguments.dynix.with_name("dynix-agent")) if not one.is_file()]:
        complain(f"there is no {absent[0]}; run cargo build, or name a dynix with --dynix")
        return 2
    if (status := host.isolate()) is not None:
        return status
    cli.limit(arguments.timeout)
    log = Log()
    log.loudly(
        "STAND-INS: programs are Debian's at store paths; harmonia and gotosocial are Python programs that read their files; "
        "some of the twin test's servers do nothing (tests/nixos/container/servers.nix)."
    )
    try:
        lab = _Lab(nixpkgs, arguments.dynix, log)
    except (Absent, rootfs.Unbuildable) as absent:
        return _skip(absent)
    for name, why in _LONG.items() if not arguments.tests else ():
        log.loudly(f"LEFT OUT: {name}, which takes {why}. To run it: tests/nixos/run --timeout 7200 {name}")
    failed = [name for name in arguments.tests or _usual(tests) if not _run(name, lab, arguments.shell, log)]
    if failed:
        log.say(f"FAILED: {' '.join(failed)}")
    return 1 if failed else 0


def _skip(reason: Exception) -> int:
    complain(f"SKIPPED: NixOS tests: {reason}")
    return host.CANNOT


def _names() -> list[str]:
    """Of the files beside default.nix, those that are tests: others belong to their machines."""
    machines = [path.stem for path in _TESTS.glob("*.nix") if re.search(r"^  nodes[. ]", path.read_text(), re.MULTILINE)]
    return sorted([*machines, sandbox.NAME])


def _usual(tests: list[str]) -> list[str]:
    """What runs where none is named."""
    return [name for name in tests if name not in _LONG]


def _parse(tests: list[str]) -> argparse.Namespace:
    target = Path(os.environ.get("CARGO_TARGET_DIR") or _REPOSITORY / "target")
    parser = argparse.ArgumentParser(
        prog="tests/nixos/run",
        description="Runs the NixOS tests in containers, on the nixpkgs that DYNIX_NIXPKGS names, else <nixpkgs>.",
    )
    parser.add_argument("tests", nargs="*", metavar="TEST", help=f"where none is named, all but {' and '.join(_LONG)}: {', '.join(tests)}")
    parser.add_argument("--dynix", type=Path, default=target / "debug/dynix", help="program under test (%(default)s)")
    parser.add_argument("--timeout", type=int, default=3600, help="seconds for the whole run (%(default)s)")
    parser.add_argument("--shell", action="store_true", help="a shell in the machine instead of the script")
    parser.add_argument("--list", action="store_true", help="the names of all tests")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.tests if name not in tests]:
        parser.error(f"there is no test {' '.join(unknown)}; there are {', '.join(tests)}")
    arguments.dynix = arguments.dynix.resolve()
    return arguments


def _nixpkgs() -> Path:
    """The nixpkgs to build on."""
    given = os.environ.get("DYNIX_NIXPKGS")
    if not given:
        asked = ["nix-instantiate", "--eval", "--expr", "toString <nixpkgs>"]
        if shutil.which(asked[0]) is None:
            raise Absent("there is no nixpkgs: DYNIX_NIXPKGS is not set, and there is no nix-instantiate to find <nixpkgs>")
        found = subprocess.run(asked, capture_output=True, text=True, check=False)
        if found.returncode != 0:
            raise Absent("there is no nixpkgs: DYNIX_NIXPKGS is not set, and <nixpkgs> is not found")
        given = found.stdout.strip().strip('"')
    tree = Path(given).resolve()
    for part in ["lib/default.nix", "nixos/lib/eval-config.nix", "pkgs/top-level/default.nix"]:
        if not (tree / part).exists():
            raise Absent(f"{tree} is no whole nixpkgs: it has no {part}")
    return tree


class _Lab:
    """Where systems are built: a Debian with Nix, its store (kept from run to run), and the tree of expressions."""

    def __init__(self, nixpkgs: Path, dynix: Path, log: Log) -> None:
        self._nixpkgs = nixpkgs
        self._rootfs = rootfs.obtain(log, _RECIPE / "rootfs.toml")
        key = hashlib.sha256(str(self._rootfs).encode()).hexdigest()[:16]
        self.store = rootfs.cache() / f"nixos-store-{key}"
        (self.store / "nix").mkdir(parents=True, exist_ok=True)
        self._lock = (rootfs.cache() / "nixos-lock").open("w")
        self._tree = Path(tempfile.mkdtemp(prefix="tree-", dir=host.SCRATCH))
        self._lay_out(dynix)
        with log.nested("building what every machine's root file system has"):
            self.usr = self.build(["--expr", f"(import {_TREE} {{ }}).debian-usr"])

    def _lay_out(self, dynix: Path) -> None:
        for file in _RECIPE.iterdir():
            if file.suffix != ".toml":
                shutil.copy(file, self._tree)
        for name in ["gotosocial", "harmonia"]:
            _copy(_STAND_INS / name / f"{name}.py", self._tree / "stand-ins" / f"{name}.py")
        for name in ("dynix", "dynix-agent", "dynix-fleet"):
            program = self._tree / "programs" / name
            _copy(dynix if name == "dynix" else dynix.with_name(name), program)
            subprocess.run(["strip", str(program)], check=False)
        (self._tree / "nixpkgs").symlink_to(_NIXPKGS)
        # A directory of its own: of an imported path that is a link, Nix finds what it imports beside the link's target.
        (self._tree / "nixos").mkdir()
        for part in [*self._nixpkgs.iterdir(), *(self._nixpkgs / "nixos").iterdir()]:
            inside = part.relative_to(self._nixpkgs)
            if not (self._tree / inside).exists():
                (self._tree / inside).symlink_to(f"{_NIXPKGS}/{inside}")
        for version in _REMARSHAL:
            shutil.copytree(self._remarshal(version), self._tree / "pypi" / version)

    def _remarshal(self, version: str) -> Path:
        """remarshal with what it needs, unpacked."""
        directory = rootfs.cache() / f"remarshal-{version}"
        if not directory.exists():
            platforms = [f"--platform={kind}_{os.uname().machine}" for kind in ["manylinux2014", "manylinux_2_17"]]
            partial = directory.with_suffix(".partial")
            words = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", f"--target={partial}"]
            words += [*_WHEELS, *platforms, f"remarshal=={version}"]
            installed = subprocess.run(words, capture_output=True, text=True, check=False)
            if installed.returncode != 0:
                raise Absent(f"cannot have remarshal {version}, which NixOS writes files with: {installed.stderr.strip()}")
            partial.rename(directory)
        return directory

    def build(self, what: list[str]) -> str:
        """The path in the store of what an expression gives."""
        return self.run(["nix-build", "--no-out-link", *what]).splitlines()[-1]

    def run(self, command: list[str], shown: dict[str, Path] | None = None, alone: bool = True) -> str:
        """What a command says where systems are built; it sees also what of the host is to be shown, by its place there.

        Others wait for it, unless it takes long and is not to be `alone`: Nix keeps apart who builds at the same time.
        """
        container = Container(self._rootfs)
        if alone:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            container.bind(self.store / "nix", "/nix", writable=True)
            self.show_sources(container)
            for place, source in (shown or {}).items():
                container.bind(source, place)
            settings = [f"NIX_CONFIG={_NIX_CONFIG}", f"NIX_PATH=nixpkgs={_TREE}", "HOME=/root", "LANG=C.UTF-8"]
            return container.run_unbooted(["env", *settings, *command])
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            container.discard()

    def show_sources(self, container: Container) -> None:
        container.bind(self._nixpkgs, _NIXPKGS)
        container.bind(self._tree, _TREE)
        container.bind(_REPOSITORY, _SOURCE)
        # A checkout of an earlier version, with its program in target/debug, to upgrade from.
        if before := os.environ.get("DYNIX_BEFORE"):
            container.bind(Path(before).resolve(), _BEFORE)
        if home_manager := os.environ.get("DYNIX_HOME_MANAGER"):
            container.bind(Path(home_manager).resolve(), _HOME_MANAGER)

    def machine(self, system: str) -> Container:
        """A machine with a system that was built, as nixos-install leaves it."""
        container = Container(self.store)
        root = container.root
        for directory in ["dev", "etc/nixos", "nix/var/nix/daemon-socket", "proc", "root", "run", "sys", "tmp", "usr/bin", "var"]:
            (root / directory).mkdir(parents=True, exist_ok=True)
        (root / "etc/NIXOS").touch()
        for name in ["lib", "share", "libexec"]:
            (root / "usr" / name).symlink_to(f"{self.usr}/{name}")
        # What systemd runs by a path that was built into it.
        for name in ["mount", "umount"]:
            (root / "usr/bin" / name).symlink_to(f"{self.usr}/bin/{name}")
        # The upper layer of an /etc that is an overlay can't be on an overlay, which the root of a container is.
        container.hold("/.rw-etc")
        (root / "lib").symlink_to("usr/lib")
        (root / "lib64").symlink_to(f"{self.usr}/lib64")
        self.show_sources(container)
        profile = root / SYSTEM.lstrip("/")
        profile.parent.mkdir(parents=True, exist_ok=True)
        (profile.parent / "system-1-link").symlink_to(system)
        profile.symlink_to("system-1-link")
        container.environment |= {
            "PATH": "/run/wrappers/bin:/run/current-system/sw/bin",
            "NIX_PATH": f"nixpkgs={_TREE}:nixos-config=/etc/nixos/configuration.nix",
            "LOCALE_ARCHIVE": "",
        }
        return container


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    shutil.copy(source, target)


def _run(name: str, lab: _Lab, shell: bool, log: Log) -> bool:
    if name == sandbox.NAME:
        return sandbox.run(lab.run, log)
    began = time.monotonic()
    try:
        test = lab.build([f"{_SOURCE}/default.nix", "--arg", "nixpkgs", _TREE, "--attr", f"tests.{name}"])
    except RuntimeError as error:
        log.say(f"FAILED: {name} is not built: {error}")
        return False
    built = time.monotonic()
    place = lab.store / test.lstrip("/")
    systems = {link.name: os.readlink(link) for link in sorted((place / "systems").iterdir())}
    out = Path(tempfile.gettempdir()) / "dynix-machine-out"
    with ExitStack() as stack:
        network = None
        networked = (place / "networked").read_text().split()
        if len(networked) > 1:
            network = Network(networked)
            stack.callback(network.discard)
        machines = []
        for node, system in systems.items():
            container = lab.machine(system)
            stack.callback(container.discard)
            container.hostname = node if len(systems) > 1 else container.hostname
            if network is not None and node in networked:
                container.network = network.of(node)
            machines.append(Machine(container, log, out, node, network))
        if shell:
            # The first one in this terminal, with the others up.
            for machine in machines:
                machine.start()
            machines[0].interact()
            return True
        passed = script.run(place / "script.py", machines, log)
        for machine in machines if not passed else ():
            log.say(machine.last_words(), machine.name if len(machines) > 1 else None)
    ended = time.monotonic()
    log.say(f"{'passed' if passed else 'FAILED'}: {name} (built in {built - began:.1f} s, ran in {ended - built:.1f} s)")
    return passed
