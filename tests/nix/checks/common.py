"""What all checks need: the evaluator, the program, and comparison."""

import difflib
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
HERE = ROOT / "tests" / "nix"
FIXTURES = ROOT / "tests" / "fixtures"
SERVICES = ["distccd", "gotosocial", "harmonia"]


class Absent(Exception):
    """What a check needs is not on this machine."""


class Wrong(Exception):
    """A check failed."""


def command(words, **options):
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)
    if result.returncode != 0:
        raise Wrong(f"{shlex.join(str(word) for word in words)} exited with {result.returncode}:\n{result.stderr[-4000:]}")
    return result.stdout


def expect(condition, message):
    if not condition:
        raise Wrong(message)


def same(given, expected, what):
    if given != expected:
        texts = [json.dumps(one, indent=2, sort_keys=True).splitlines() for one in (expected, given)]
        raise Wrong(f"{what}:\n" + "\n".join(difflib.unified_diff(*texts, "expected", "given", lineterm="")))


class Nix:
    """The evaluator and the nixpkgs that it works on."""

    def __init__(self):
        self.words = shlex.split(os.environ.get("DYNIX_NIX_INSTANTIATE", "nix-instantiate"))
        self.answers = {}
        self.tree = os.environ.get("DYNIX_NIXPKGS")
        self.lib = os.environ.get("DYNIX_NIXPKGS_LIB")
        self.modules = [one for one in os.environ.get("DYNIX_NIXPKGS_MODULES", "").split(":") if one]

    def run(self, *words, **options):
        if shutil.which(self.words[0]) is None:
            raise Absent(f"no {self.words[0]} (Debian: apt-get install nix-bin)")
        return command([*self.words, *words], **options)

    def find(self):
        """The tree, or None with only a lib."""
        if self.tree is None and self.lib is None:
            try:
                self.tree = self.run("--eval", "--expr", "toString <nixpkgs>").strip().strip('"')
            except Wrong:
                raise Absent("no nixpkgs: neither <nixpkgs> nor DYNIX_NIXPKGS, DYNIX_NIXPKGS_LIB") from None
        return self.tree

    def arguments(self, needs_nixos):
        tree = self.find()
        if needs_nixos:
            if tree is None:
                raise Absent("no NixOS: only DYNIX_NIXPKGS_LIB is set, not DYNIX_NIXPKGS")
            if not (Path(tree) / "nixos").is_dir():
                raise Absent(f"no NixOS in {tree}")
        words = []
        if tree is not None:
            words += ["--arg", "nixpkgs", tree]
        if self.lib is not None:
            words += ["--arg", "nixpkgsLib", self.lib]
        if self.modules:
            words += ["--arg", "extraModules", f"[ {' '.join(self.modules)} ]"]
        return words

    def value(self, attribute, needs_nixos=True, **options):
        """A value of checks.nix. No import from derivation, no experimental feature; nothing is written to a store."""
        if attribute not in self.answers:
            words = ["--readonly-mode", "--eval", "--strict", "--json", "--option", "allow-import-from-derivation", "false"]
            words += ["--option", "experimental-features", "", HERE / "checks.nix", "-A", attribute]
            if needs_nixos and attribute != "services":
                missing = [name for name, there in self.value("services").items() if not there]
                if missing:
                    raise Absent(f"the tree has no modules of {', '.join(missing)}; give them in DYNIX_NIXPKGS_MODULES")
            self.answers[attribute] = json.loads(self.run(*words, *self.arguments(needs_nixos), **options))
        return self.answers[attribute]

nix = Nix()


def dynix():
    given = os.environ.get("DYNIX")
    built = [ROOT / "target" / profile / "dynix" for profile in ("release", "debug")]
    found = [Path(given)] if given else sorted((one for one in built if one.exists()), key=lambda one: one.stat().st_mtime)
    if not found:
        raise Absent("no dynix: cargo build, or set DYNIX")
    return found[-1]


def nix_files():
    files = command(["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "*.nix"]).split()
    return sorted(ROOT / name for name in files if (ROOT / name).exists())

WRITE = "--write" in sys.argv[1:]
