"""Evaluating the services: nix-instantiate on default.nix."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

from store import Store

HERE = Path(__file__).resolve().parent
TREES = (("nixpkgs", "DYNIX_NIXPKGS"), ("nixpkgsLib", "DYNIX_NIXPKGS_LIB"), ("current", "DYNIX_NIXPKGS_CURRENT"))


class Refused(Exception):
    """What the evaluation refuses, on one line."""


def program():
    return shlex.split(os.environ.get("DYNIX_NIX_INSTANTIATE", "nix-instantiate"))


def trees():
    return [(name, os.environ[variable]) for name, variable in TREES if os.environ.get(variable)]


def instantiate(state, services, *words):
    arguments = [word for name, path in trees() for word in ("--arg", name, path)]
    command = [*program(), HERE / "default.nix", "--arg", "services", HERE / services, *arguments, *words]
    environment = os.environ | {"DYNIX_NIX_STATE": str(state)}
    return subprocess.run([str(one) for one in command], capture_output=True, text=True, check=False, env=environment)


def evaluator(name):
    """As a plan has it: the system of a case."""
    given = "".join(f"{name} = {path}; " for name, path in trees())
    return {
        "command": [*program(), "--eval", "--strict", "--json"],
        "arguments": f"{{ inherit ((import {HERE}/default.nix {{ {given}}}).systems.{json.dumps(name)}) config pkgs; }}",
    }


def reason(stderr):
    """The last error of Nix or dynix, on one line."""
    errors = re.split(r"^\s*error:\s", stderr.strip(), flags=re.MULTILINE)
    return re.sub(r"\s+", " ", errors[-1]).strip()


def parse(name, state, services="cases.nix"):
    """The facts of a service, its description, and the derivation that both come from."""
    instantiated = instantiate(state, services, "-A", f"systems.{json.dumps(name)}.measured")
    if instantiated.returncode:
        raise Refused(reason(instantiated.stderr))
    derivation = instantiated.stdout.split("\n")[0].split("!")[0]
    store = Store(state, state, None)
    measured = store.derivation(derivation)
    return json.loads(measured.environment["facts"]), store.generated(measured).environment["description"], derivation
