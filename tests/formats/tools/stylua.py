"""stylua over toLua, as pkgs.formats.lua does."""

import json
import os
import shutil
import subprocess

import readers

from . import HERE, Comparison, Missing
from .nix import lua_bindings, nix


def stylua(cases):
    package = os.environ.get("STYLUA")
    if not package or not shutil.which("node"):
        raise Missing("STYLUA is not the directory of the npm package @johnnymorganz/stylua, or there is no node")
    to_lua = ("asBindings", "multiline")
    plain = [case | {"parameters": {k: v for k, v in case["parameters"].items() if k in to_lua}} for case in cases]
    lines = ""
    for case, lua in zip(cases, nix(plain), strict=True):
        code = ("" if case["parameters"].get("asBindings") else "return ") + lua["text"]
        wanted = {"columnWidth": 100, "indentWidth": 2, "indentUsingTabs": False} | case["parameters"] | {"code": code}
        lines += json.dumps(wanted) + "\n"
    command = ["node", HERE / "stylua_lines.cjs", package]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def lua(documents):
    parameters = documents.random.choice([{}, {"columnWidth": 60}, {"indentWidth": 4}, {"indentUsingTabs": True}])
    if documents.random.random() < 0.3:
        return {"asBindings": True} | parameters, lua_bindings(documents)
    return parameters, documents.value(4)


COMPARISONS = {"lua/stylua": Comparison(stylua, lua, readers.lua)}
