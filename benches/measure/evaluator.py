"""The Nix evaluator and a nixpkgs, by the variables of tests/nix/run."""

import os
import resource
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from .system import REPOSITORY, Absent

_STACK = 4 << 30
_MACHINE = REPOSITORY / "tests/machine"


class Evaluator:
    """nix-instantiate, with a store of its own that nothing is written to."""

    def __init__(self):
        self._state = tempfile.TemporaryDirectory(prefix="dynix-nix-")
        state = self._state.name
        self.environment = os.environ | {
            "NIX_REMOTE": f"local?root={state}/root",
            "NIX_STATE_DIR": f"{state}/var",
            "NIX_CONF_DIR": f"{state}/etc",
            "NIX_CONFIG": "build-users-group =",
        }
        given = shlex.split(os.environ.get("DYNIX_NIX_INSTANTIATE", "nix-instantiate"))
        if Path(given[0]).resolve() == (_MACHINE / "nix-instantiate").resolve():
            # What that script runs, without the script: it would be timed as well.
            given = _inside_root_file_system()
        if shutil.which(given[0]) is None:
            raise Absent(f"no {given[0]} (Debian: apt-get install nix-bin)")
        self.words = [*given, "--readonly-mode", "--eval"]

    def value(self, *words, memory=None, deadline=600):
        """Text that an evaluation prints, and the seconds that it took; TimeoutExpired, or None where it failed."""

        def limit():
            # Its own 64 MB overflow on a log of 100,000 records.
            resource.setrlimit(resource.RLIMIT_STACK, (_STACK, resource.RLIM_INFINITY))
            if memory:
                resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

        began = time.perf_counter()
        done = subprocess.run(
            [*self.words, *(str(word) for word in words)],
            capture_output=True, text=True, env=self.environment, timeout=deadline, preexec_fn=limit, check=False,
        )  # fmt: skip
        took = time.perf_counter() - began
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.startswith("error: ")] or [f"error: {done.returncode}"]
            return None, said[-1]
        return done.stdout, took


def _inside_root_file_system():
    found = subprocess.run([_MACHINE / "run", "--rootfs"], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise Absent(f"no root file system with Nix: {found.stderr.strip()}")
    root = Path(found.stdout.splitlines()[-1])
    libraries = next(root.glob("usr/lib/*-linux-gnu"))
    loader = next(libraries.glob("ld-linux-*.so.?"))
    return [str(loader), "--library-path", str(libraries), "--argv0", "nix-instantiate", str(root / "usr/bin/nix-instantiate")]


def nixpkgs():
    """The arguments of benches/rfd.nix for the tree that DYNIX_NIXPKGS and its like name."""
    tree, library = os.environ.get("DYNIX_NIXPKGS"), os.environ.get("DYNIX_NIXPKGS_LIB")
    modules = [one for one in os.environ.get("DYNIX_NIXPKGS_MODULES", "").split(":") if one]
    if tree is None:
        raise Absent("no nixpkgs: DYNIX_NIXPKGS is not set (tests/nix/run says what it and its like are)")
    words = ["--arg", "nixpkgs", tree]
    words += ["--arg", "nixpkgsLib", library] if library else []
    words += ["--arg", "extraModules", f"[ {' '.join(modules)} ]"] if modules else []
    return words


def library():
    """The tree whose lib/ is to be used."""
    tree = os.environ.get("DYNIX_NIXPKGS_LIB") or os.environ.get("DYNIX_NIXPKGS")
    if tree is None:
        raise Absent("no nixpkgs lib: neither DYNIX_NIXPKGS_LIB nor DYNIX_NIXPKGS is set")
    return tree
