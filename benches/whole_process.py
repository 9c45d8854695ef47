#!/usr/bin/env python3
"""Whole-process figures of the release build, beside the budgets that dynix has.

    cargo build --release && python3 benches/whole_process.py [--json FILE]

Everything runs on a tmpfs (/dev/shm), so what is measured is dynix and not a disk: an append waits for its fsync, which
costs what the disk takes. Each figure is the median of many runs of the whole program, beside the same number of runs
of `true` in the same minute, because machines differ. Budgets are for 2 cores and are reported, not enforced.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
DYNIX = REPOSITORY / "target/release/dynix"
HEADER = "{ overrides, config, lib, pkgs, ... }: overrides\n"


def milliseconds(command, prepare=None, runs=60):
    """Median wall time of a command, in ms; `prepare(n)` gives the arguments of the nth run."""
    times = []
    for run in range(runs + 3):
        words = command + (prepare(run) if prepare else [])
        start = time.perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[3:])


def peak_memory(command):
    """Peak resident memory of a command, in MB.

    Asked from perl, not from here: what a process has before its exec counts too, and Python alone has more than dynix.
    """
    script = r"""
        open(STDERR, ">", "/dev/null"); open(my $out, ">&", STDOUT); open(STDOUT, ">", "/dev/null");
        system(@ARGV) == 0 or die;
        my $usage = "\0" x 144;
        syscall(98, -1, $usage) == 0 or die;  # getrusage(RUSAGE_CHILDREN) on x86_64
        print $out ((unpack("q*", $usage))[4]);
    """
    output = subprocess.run(["perl", "-e", script, *command], check=True, capture_output=True, text=True)
    return int(output.stdout) / 1024


def system(root, services):
    """A root with `services` copies of harmonia in its plan, proven as always."""
    template = json.loads((REPOSITORY / "descriptions/harmonia.json").read_text())["services"]["harmonia"]
    described = {}
    for number in range(services):
        name = f"service{number}"
        text = json.dumps(template).replace("services.harmonia", f"services.{name}").replace("harmonia.service", f"{name}.service")
        described[name] = json.loads(text)
    root.mkdir(parents=True)
    (root / "description.json").write_text(json.dumps({"version": 1, "services": described}))
    subprocess.run(
        [DYNIX, "generate", "--description", root / "description.json", "--static-root", REPOSITORY / "descriptions",
         "--out", root / "etc/dynix"],
        check=True,
    )
    return [str(DYNIX), "--root", str(root)]


def write_log(root, records):
    """A log of `records` records, as dynix writes them, over 50 settings of 20 services."""
    path = root / "etc/nixos/dynamic.nix"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as log:
        log.write(HEADER)
        for number in range(1, records + 1):
            log.write(
                f'{{ id = {number}; time = "2026-11-21T10:00:00Z"; by = "root"; '
                f"set.services.service{number % 20}.settings.key{number % 50} = {number}; }}\n"
            )


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--json", type=Path)
    arguments = arguments.parse_args()
    if not DYNIX.exists():
        sys.exit("there is no release build: cargo build --release")
    base = Path(tempfile.mkdtemp(prefix="dynix-bench.", dir="/dev/shm"))
    figures = []

    def note(what, value, unit, budget):
        figures.append({"what": what, "value": round(value, 2), "unit": unit, "budget": budget})

    try:
        true = milliseconds(["true"])
        note("`true`, the cost of any process", true, "ms", None)
        note("`dynix --version`", milliseconds([str(DYNIX), "--version"]), "ms", None)
        for records in [1, 1_000_000]:
            root = base / f"append-{records}"
            command = system(root, 20)
            write_log(root, records)
            subprocess.run([*command, "status"], check=True, stdout=subprocess.DEVNULL)
            value = milliseconds(
                [*command, "append", "services.service0.settings.workers"], lambda run: [str(run + 1)]
            )
            note(f"`append`, log of {records:,} records", value, "ms", 3)
            value = milliseconds(
                [*command, "append", "--apply", "services.service0.settings.workers"], lambda run: [str(run + 1001)]
            )
            note(f"`append --apply`, log of {records:,} records", value, "ms", None)
        shutil.rmtree(base / "append-1000000/var")
        whole = base / "append-1000000"
        start = time.perf_counter()
        subprocess.run([str(DYNIX), "--root", str(whole), "diff"], check=True, stdout=subprocess.DEVNULL)
        note("fold of 1,000,000 records from nothing (in `diff`)", (time.perf_counter() - start) * 1e3, "ms", 400)
        shutil.rmtree(whole / "var")
        note("memory of the same", peak_memory([str(DYNIX), "--root", str(whole), "diff"]), "MB", 256)
        root = base / "apply"
        command = system(root, 50)
        for number in range(50):
            subprocess.run([*command, "append", f"services.service{number}.settings.workers", "9"], check=True, stderr=subprocess.DEVNULL)
        subprocess.run([*command, "apply"], check=True, stdout=subprocess.DEVNULL)

        def one_changed(run):
            subprocess.run([*command, "append", f"services.service{run % 50}.settings.workers", str(run + 100)], check=True, stderr=subprocess.DEVNULL)
            return []

        note("`apply`, one of 50 services changed", timed_apply(command, one_changed), "ms", 8)
        note("memory of `true`", peak_memory(["true"]), "MB", None)
        note("memory of `apply`", peak_memory([*command, "apply"]), "MB", 12)
        note("memory of `append`", peak_memory([*command, "append", "services.service0.settings.workers", "1"]), "MB", 12)
        note("binary size", DYNIX.stat().st_size / 1e6, "MB", None)
    finally:
        shutil.rmtree(base)
    print("| what | measured | budget |\n| --- | --- | --- |")
    for figure in figures:
        budget = "" if figure["budget"] is None else f"{figure['budget']} {figure['unit']}"
        print(f"| {figure['what']} | {figure['value']} {figure['unit']} | {budget} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def timed_apply(command, prepare, runs=60):
    """Median of `apply` alone, the append before it not counted."""
    times = []
    for run in range(runs + 3):
        prepare(run)
        start = time.perf_counter()
        subprocess.run([*command, "apply"], check=True, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[3:])


if __name__ == "__main__":
    main()
