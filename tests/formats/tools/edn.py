"""The EDN format of a nixpkgs that has it, under Nix, and zprint over that."""

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import Comparison, Missing
from .nix import in_nix_root

EXPRESSION = """
let
  lib = import /cases/lib;
  # What it would build is the text.
  format = import /cases/edn.nix { lib = lib // { runCommand = _: attrs: _: attrs.edn; }; pkgs.zprint = "zprint"; };
in
map (
  case:
  (format (if case.parameters.keywordTransform or "" == "none" then { keywordTransform = name: name; } else { })).generate
    "x" case.input
) (builtins.fromJSON (builtins.readFile /cases/cases.json))
"""


def to_edn(cases):
    lib, edn = os.environ.get("NIXPKGS_LIB"), os.environ.get("EDN_FORMAT")
    if not lib or not Path(lib, "generators.nix").exists():
        raise Missing("NIXPKGS_LIB is not the lib directory of a nixpkgs")
    if not edn or not Path(edn).exists():
        raise Missing("EDN_FORMAT is not pkgs/pkgs-lib/formats/edn/default.nix of a nixpkgs that has it")
    with tempfile.TemporaryDirectory() as directory:
        shutil.copytree(lib, Path(directory, "lib"))
        shutil.copy(edn, Path(directory, "edn.nix"))
        Path(directory, "cases.json").write_text(json.dumps(cases))
        command = ["env", "NIX_STATE_DIR=/tmp/nix", "HOME=/tmp"]
        command += ["nix-instantiate", "--store", "dummy://", "--eval", "--strict", "--json", "--expr", EXPRESSION]
        return [{"text": text} for text in json.loads(in_nix_root(directory, command))]


def zprint(cases):
    command = os.environ.get("ZPRINT")
    if not command:
        raise Missing("ZPRINT is not a command that runs zprint 1.3.0")
    results = []
    for one in to_edn(cases):
        done = subprocess.run(shlex.split(command), input=one["text"].encode(), capture_output=True)
        results.append({"error": done.stderr.decode()} if done.returncode else {"text": done.stdout.decode()})
    return results


def value(documents, depth, plain):
    kind = documents.random.random()
    if depth > 0 and kind < 0.25:
        return [value(documents, depth - 1, plain) for _ in range(documents.size())]
    if depth > 0 and kind < 0.35:
        special = documents.random.choice(["list", "keyword", "symbol", "set", "map", "raw"][: 3 if plain else 6])
        if special in ("keyword", "symbol", "raw"):
            return {"_ednType": special, "value": name(documents, plain)}
        size = documents.size()
        if special == "map":
            pairs = [{"_ednType": "kv"} | {key: value(documents, depth - 1, plain) for key in ("key", "value")} for _ in range(size)]
            return {"_ednType": special, "value": pairs}
        return {"_ednType": special, "value": [value(documents, depth - 1, plain) for _ in range(size)]}
    if depth > 0 and kind < 0.6:
        attrs = {name(documents, plain): value(documents, depth - 1, plain) for _ in range(documents.size())}
        return dict(sorted(attrs.items(), key=lambda item: item[0].encode()))
    scalar = documents.scalar()
    if plain and isinstance(scalar, str):
        return "".join(char for char in scalar if char not in "#\n\r\t")[:20]
    return scalar


def name(documents, plain):
    if plain:
        return documents.random.choice(["a", "b", "key", "log-level", "max_jobs", "Z9", "x1", "c*", "a.b", "?", "A", "zz"])
    return documents.name()


def any_value(documents):
    return documents.random.choice([{}, {"keywordTransform": "none"}]), value(documents, 3, False)


def on_one_line(documents):
    """What the writer takes: short, without what zprint sorts."""
    while True:
        short = value(documents, 3, True)
        if len(json.dumps(short)) < 70:
            return {}, short


COMPARISONS = {"edn/cat": Comparison(to_edn, any_value), "edn/zprint": Comparison(zprint, on_one_line)}
