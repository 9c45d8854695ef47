"""In the machine: one setting of a running unit changed again and again, in several ways that take turns.

Takes a JSON file with the service, the ways and the rounds; prints JSON: for each way the milliseconds of every round,
and for dynix those of each of its parts.
"""

import json
import os
import re
import subprocess
import sys
import time

CLOCK = re.compile(r"timings: began at ([0-9.]+) s")
PART = re.compile(r"timings: +([0-9.]+) ms  (.*)")


def run(words, environment=None):
    """Start and end by the monotonic clock, and what was said on standard error."""
    began = time.clock_gettime(time.CLOCK_MONOTONIC)
    done = subprocess.run(
        words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    ended = time.clock_gettime(time.CLOCK_MONOTONIC)
    if done.returncode != 0:
        sys.exit(f"{words} exited with {done.returncode}: {done.stderr}")
    return began, ended, done.stderr


def with_dynix(words):
    """Milliseconds in all, until the unit runs on the new value, until its restart is asked for; and the parts."""
    began, ended, said = run(words, os.environ | {"DYNIX_TIMINGS": "1"})
    started = float(CLOCK.search(said)[1])
    parts = [["process start", (started - began) * 1e3]]
    parts += [[name, float(took)] for took, name in PART.findall(said)]
    names = [name for name, _ in parts]
    restarted = names.index("the units' own restart")
    asked = names.index("D-Bus: jobs")
    parts.append(["process end", (ended - began) * 1e3 - sum(took for _, took in parts)])
    return {
        "total": (ended - began) * 1e3,
        "running": sum(took for _, took in parts[: restarted + 1]),
        "before": sum(took for _, took in parts[:asked]),
        "parts": parts,
    }


def with_shell(prepare, unit):
    """The same for shell commands and a restart."""
    began, prepared, _ = run(["sh", "-ec", prepare])
    again, ended, _ = run(["systemctl", "restart", unit])
    before, total = (prepared - began) * 1e3, (prepared - began + ended - again) * 1e3
    return {"total": total, "running": total, "before": before}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        asked = json.load(file)
    found = {}
    value = asked["from"]
    for turn in range(max(way["rounds"] for way in asked["ways"])):
        for way in asked["ways"]:
            if turn >= way["rounds"]:
                continue
            value += 1
            if "words" in way:
                measured = with_dynix([word.replace("VALUE", str(value)) for word in way["words"]])
            else:
                measured = with_shell(way["shell"].replace("VALUE", str(value)), asked["unit"])
            if turn > 0:
                # The first time reads everything from its file.
                found.setdefault(way["name"], []).append(measured)
            if "seen" in way:
                # A unit of Type=simple counts as started before its program runs.
                check = f"for try in $(seq 40); do if {way['seen']}; then exit 0; fi; sleep 0.05; done; exit 1"
                if subprocess.run(["sh", "-c", check.replace("VALUE", str(value))], check=False).returncode != 0:
                    sys.exit(f"{way['name']}: {asked['unit']} does not run on {value}")
    json.dump(found, sys.stdout)


main()
