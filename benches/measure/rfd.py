"""The two benchmarks of the RFD: what Nix takes to evaluate an option, and what overrides cost it; beside dynix."""

import json
import statistics
import subprocess

from . import system
from .evaluator import Evaluator, library, nixpkgs
from .process import milliseconds

# The three services, as the bundled descriptions have them, and a setting of each.
SETTINGS = {
    "gotosocial": ("services.gotosocial.settings", "services.gotosocial.settings.application-name"),
    "harmonia": ("services.harmonia.settings", "services.harmonia.settings.workers"),
    "distccd": ("services.distccd.maxJobs", "services.distccd.maxJobs"),
}
GIGABYTE = 1 << 30


def options(dynix, runs):
    """Rows of what, seconds of Nix, milliseconds of dynix."""
    nix, words = Evaluator(), nixpkgs()

    def evaluated(attribute, times):
        taken = []
        for _ in range(times + 1):
            text, took = nix.value("--strict", "--json", system.REPOSITORY / "benches/rfd.nix", "-A", attribute, *words)
            if text is None:
                raise RuntimeError(f"{attribute}: {took}")
            taken.append(took)
        return statistics.median(taken[1:])

    rows = []
    with system.scratch("rfd") as base:
        described = {}
        for name in SETTINGS:
            described |= json.loads((system.REPOSITORY / f"descriptions/{name}.json").read_text())["services"]
        tree = system.Tree(base / "root", described, dynix)
        change = {}
        for name, (option, setting) in SETTINGS.items():
            get = milliseconds([*tree.words, "get", option, "--json"], runs=runs)
            rows.append([f"settings of {name}", "`dynix get`", evaluated(f"settings.{name}", 5), get])
            change[name] = milliseconds([*tree.words, "append", "--apply", setting, "VALUE"], lambda run: run + 1, runs)
        for name in SETTINGS:
            rows.append([f"text of {name}.service", "`dynix append --apply`", evaluated(f"unit.{name}", 5), change[name]])
        rows.append(["system.build.toplevel", "`dynix append --apply`", evaluated("toplevel", 3), max(change.values())])
    return rows


def overrides(dynix, runs):
    """Rows of records, seconds of Nix (None where it failed, with why), milliseconds of dynix from nothing and again."""
    nix, lib = Evaluator(), library()
    rows = []
    for records in [100, 1_000, 10_000, 100_000, 1_000_000]:
        with system.scratch("overrides") as base:
            (base / "x.json").write_text("{}\n")
            file = {
                "format": {"name": "json"},
                "value": {"option": "services.x.settings"},
                "static": "/x.json",
                "attach": {"bind": "/x.json"},
            }
            service = {
                "options": {"services.x.settings": {"static": {}, "schema": {"type": "object"}}},
                "files": {"x.json": file},
                "units": {"x.service": {}},
            }
            tree = system.Tree(base / "root", {"x": service}, dynix, base)
            log = tree.log(0)
            with log.open("a") as file:
                file.writelines(
                    f'{{ id = {number}; time = "2026-11-21T10:00:00Z"; by = "root"; '
                    f"set.services.x.settings.key{number % 1000} = {number}; }}\n"
                    for number in range(1, records + 1)
                )
            expression = base / "case.nix"
            expression.write_text(
                f"import {system.REPOSITORY}/tests/nix/logs.nix {{ lib = import {lib}/lib; static = {{ }}; }} [ {log} ]\n"
            )
            try:
                text, took = nix.value("--strict", "--json", expression, memory=12 * GIGABYTE, deadline=90)
            except subprocess.TimeoutExpired:
                text, took = None, "not done within 90 s"
            times = []
            for _ in range(5 if records < 1_000_000 else 3):
                tree.forget()
                times.append(milliseconds([*tree.words, "get", "services.x.settings"], runs=1, unread=0))
            value = json.loads(tree.run("get", "services.x.settings", "--json"))["value"]
            if text is not None and json.loads(text) != [value]:
                raise RuntimeError(f"Nix and dynix differ on {records} records")
            again = milliseconds([*tree.words, "get", "services.x.settings"], runs=runs)
            rows.append([records, took, min(times), again])
    return rows

