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
                f"set.services.wide{number}.{setting} = {value}; }}\n"
            )
    return first + count


def timed(words):
    began = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    took = (time.perf_counter() - began) * 1e3
    if done.returncode != 0:
        sys.exit(f"{words[:4]} exited with {done.returncode}: {done.stderr[-2000:]}")
    return took, done.stderr


def main():
    text("dynix", "append", "services.wide0.settings.value", "1")
    text("dynix", "apply")
    found, next_id, value = [], 2, 100
    for count in map(int, sys.argv[1:]):
        units = [f"wide{number}.service" for number in range(count)]
        for setting in ("settings.value", "nice"):
            for _ in range(3):
                value += 1
                next_id = record(next_id, setting, value if setting != "nice" else value % 15 + 1, count)
                # Noted beside the log, as an append does it.
                text("dynix", "get", "services.wide0.nice")
                before, loaded = started(units), reloads()
                took, said = timed(["env", "DYNIX_TIMINGS=1", "dynix", "apply"])
                after = started(units)
                floor, _ = timed(["systemctl", "restart", *units])
                found.append(
                    {
                        "count": count,
                        "setting": setting,
                        "apply": took,
                        "systemctl": floor,
                        "restarted": sum(one != other for one, other in zip(before, after)),
                        "reloaded": reloads() != loaded,
                        "parts": [[name, float(part)] for part, name in PART.findall(said)],
                    }
                )
    json.dump(found, sys.stdout)


main()
