"""In the machine: many services changed in one apply, beside systemctl restart of the same units.

Takes the numbers of services as arguments; prints JSON.
"""

import json
import re
import subprocess
import sys
import time

LOG = "/etc/nixos/dynamic.nix"
PART = re.compile(r"timings: +([0-9.]+) ms  (.*)")


def text(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def reloads():
    return text("systemctl", "show", "--property=UnitsLoadTimestampMonotonic")


def started(units):
    shown = text("systemctl", "show", "--property=InvocationID", *units)
    return [line for line in shown.splitlines() if line]


def record(first, setting, value, count):
    """What `dynix append` would write, for many services at once."""
    with open(LOG, "a", encoding="utf-8") as log:
        for number in range(count):
            log.write(
                f'{{ id = {first + number}; time = "2026-11-21T10:00:00Z"; by = "root"; '
                f"set.services.wide-{number}.{setting} = {value}; }}\n"
            )
    return first + count


class Failed(Exception):
    """What came of a command that failed, or that was given up."""


def timed(words):
    began = time.perf_counter()
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(words[-3:])}: not done within 120 s") from None
    took = (time.perf_counter() - began) * 1e3
    print(f"{words[:4]}: {took:.0f} ms", file=sys.stderr, flush=True)
    if done.returncode != 0:
        said = "\n".join(line for line in done.stderr.splitlines() if not line.startswith("timings:"))
        raise Failed(f"{' '.join(words[-3:])} exited with {done.returncode}: {said[-300:]}")
    return took, done.stderr


def measure(counts, found):
    """Adds to `found`, the smallest number of units first; within a budget of time."""
    next_id, value, began = 2, 100, time.monotonic()
    for count in counts:
        units = [f"wide-{number}.service" for number in range(count)]
        for setting in ("settings.value", "nice"):
            for turn in range(3):
                if turn > 0 and count >= 1000 or time.monotonic() - began > 150:
                    continue
                value += 1
                next_id = record(next_id, setting, value if setting != "nice" else value % 15 + 1, count)
                # Noted beside the log, as an append does it.
                text("dynix", "get", "services.wide-0.nice")
                before, loaded = started(units), reloads()
                took, said = timed(["env", "DYNIX_TIMINGS=1", "dynix", "apply"])
                after, reloaded = started(units), reloads() != loaded
                floor, _ = timed(["systemctl", "restart", *units])
                found.append(
                    {
                        "count": count,
                        "setting": setting,
                        "apply": took,
                        "systemctl": floor,
                        "restarted": sum(one != other for one, other in zip(before, after)),
                        "reloaded": reloaded,
                        "parts": [[name, float(part)] for part, name in PART.findall(said)],
                    }
                )


def main():
    text("dynix", "append", "services.wide-0.settings.value", "1")
    text("dynix", "apply")
    found = {"rounds": [], "stopped": None}
    try:
        measure(list(map(int, sys.argv[1:])), found["rounds"])
    except Failed as failed:
        found["stopped"] = str(failed)
    json.dump(found, sys.stdout)


main()
