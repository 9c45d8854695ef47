"""What dynix costs against the size of what it works on: the log, the plan, the settings, a change."""

import json
import subprocess
import time

from . import system
from .process import megabytes, milliseconds

SETTING = "services.service0.settings.workers"


def logs(dynix, runs):
    """Logs of 1 to 10^6 records."""
    rows = []
    for records in [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000]:
        with system.scratch("log") as base:
            tree = system.Tree(base / "root", system.harmonias(20), dynix)
            tree.log(records)
            tree.run("get", SETTING)
            append = milliseconds([*tree.words, "append", SETTING, "VALUE"], lambda run: run + 1, runs)
            applied = milliseconds([*tree.words, "append", "--apply", SETTING, "VALUE"], lambda run: run + 1001, runs)
            tree.log(records)
            times = []
            for _ in range(5):
                tree.forget()
                times.append(milliseconds([*tree.words, "get", SETTING], runs=1, unread=0))
            tree.forget()
            memory = megabytes([*tree.words, "get", SETTING])
            rows.append({"size": records, "append": append, "append --apply": applied, "from nothing": min(times), "memory": memory})
    return rows


def services(dynix, runs):
    """Plans of 1 to 2,000 services, one of them changed."""
    rows = []
    for count in [1, 10, 50, 100, 200, 500, 1_000, 2_000]:
        with system.scratch("plan") as base:
            tree = system.Tree(base / "root", system.harmonias(count), dynix)
            activate = milliseconds([*tree.words, "activate"], runs=runs)
            append = milliseconds([*tree.words, "append", SETTING, "VALUE"], lambda run: run + 1, runs)
            applied = milliseconds([*tree.words, "append", "--apply", SETTING, "VALUE"], lambda run: run + 1001, runs)
            size = (base / "root/etc/dynix/plan.json").stat().st_size
            rows.append({"size": count, "plan": size, "activate": activate, "append": append, "append --apply": applied})
    return rows


def settings(dynix, runs):
    """Settings of 1 kB to 10 MB of TOML."""
    rows = []
    for size in [1_000, 10_000, 100_000, 1_000_000, 10_000_000]:
        with system.scratch("settings") as base:
            values = _settings(size)
            value = base / "value.json"
            value.write_text(json.dumps(values))
            text = subprocess.run([dynix, "render", "--format", "toml", value], capture_output=True, check=True).stdout
            (base / "static").mkdir()
            (base / "static/service.toml").write_bytes(text)
            file = {
                "format": {"name": "toml", "dialect": "toml-rs"},
                "value": {"option": "services.service0.settings"},
                "static": "/service.toml",
                "attach": {"bind": "/service.toml"},
            }
            option = {"static": values, "schema": {"type": "object"}}
            service = {
                "options": {"services.service0.settings": option},
                "files": {"service.toml": file},
                "units": {"service0.service": {}},
            }
            tree = system.Tree(base / "root", {"service0": service}, dynix, base / "static")
            fewer = runs if size < 1_000_000 else 5
            append = milliseconds([*tree.words, "append", SETTING, "VALUE"], lambda run: run + 1, fewer)
            applied = milliseconds([*tree.words, "append", "--apply", SETTING, "VALUE"], lambda run: run + 1001, fewer)
            memory = megabytes([*tree.words, "append", "--apply", SETTING, "7"])
            rows.append({"size": len(text), "append": append, "append --apply": applied, "memory": memory})
    return rows


def _settings(size):
    """About `size` bytes of sections like those of a service."""
    section = {
        "bind-address": "127.0.0.1:8080",
        "description": "Settings of the service, with a sentence that is long enough to be folded somewhere: or not",
        "enable": True,
        "log-level": "info",
        "max_connection_rate": 256,
        "allow": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"],
        "timeout": "30s",
    }
    count = max(1, size // 330)
    return {"workers": 4} | {f"section-{number:06}": section for number in range(count)}


def changed(dynix, runs):
    """1 to 1,000 of 1,000 services changed in one apply, files only."""
    rows = []
    with system.scratch("changed") as base:
        tree = system.Tree(base / "root", system.harmonias(1_000), dynix)
        log = tree.log(0)
        record = 0
        for count in [1, 10, 100, 1_000]:
            times = []
            for turn in range(min(runs, 7)):
                with log.open("a") as file:
                    for number in range(count):
                        record += 1
                        file.write(
                            f'{{ id = {record}; time = "2026-11-21T10:00:00Z"; by = "root"; '
                            f"set.services.service{number}.settings.workers = {record % 1000 + turn}; }}\n"
                        )
                # What an append notes beside the log.
                tree.run("get", SETTING)
                began = time.perf_counter()
                tree.run("apply")
                times.append((time.perf_counter() - began) * 1e3)
            rows.append({"size": count, "apply": sorted(times)[len(times) // 2]})
    return rows


def whole(dynix, runs):
    """Rows of what, figure, unit, budget: whole processes beside `true`, which is what any process costs."""
    rows = []
    with system.scratch("whole") as base:

        def note(what, figure, unit="ms", budget=None):
            rows.append([what, figure, unit, budget])

        note("`true`", milliseconds(["true"], runs=runs))
        note("`dynix --version`", milliseconds([dynix, "--version"], runs=runs))
        for records in [1, 1_000_000]:
            tree = system.Tree(base / f"log-{records}", system.harmonias(20), dynix)
            tree.log(records)
            tree.run("get", SETTING)
            append = milliseconds([*tree.words, "append", SETTING, "VALUE"], lambda run: run + 1, runs)
            note(f"`append`, log of {records:,} record{'s' if records > 1 else ''}", append, budget=3)
            words = [*tree.words, "append", "--apply", SETTING, "VALUE"]
            applied = milliseconds(words, lambda run: run + 1001, runs)
            note(f"`append --apply`, log of {records:,} record{'s' if records > 1 else ''}", applied)
        times = []
        for _ in range(5):
            tree.forget()
            times.append(milliseconds([*tree.words, "get", SETTING], runs=1, unread=0))
        note("fold of 1,000,000 records from nothing (in `get`)", sorted(times)[2], budget=400)
        tree.forget()
        note("memory of that fold", megabytes([*tree.words, "get", SETTING]), "MB", 256)
        fifty = system.Tree(base / "fifty", system.harmonias(50), dynix)
        for number in range(50):
            fifty.run("append", f"services.service{number}.settings.workers", "9")
        fifty.run("apply")

        def one_changed(run):
            fifty.run("append", f"services.service{run % 50}.settings.workers", str(run + 100))

        note("`apply`, one of 50 services changed", milliseconds([*fifty.words, "apply"], one_changed, runs), budget=8)
        note("`apply`, nothing to do", milliseconds([*fifty.words, "apply"], runs=runs))
        note("memory of `append`", megabytes([*fifty.words, "append", SETTING, "1"]), "MB", 12)
        note("memory of `apply`", megabytes([*fifty.words, "apply"]), "MB", 12)
        note("binary", dynix.stat().st_size / 1e6, "MB")
    return rows


