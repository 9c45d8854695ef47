import json
import queue
import re
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

BASE = "/dynix/tests/nixos/twin/base.nix"
CONFIGURATION = f"{{ imports = [ <nixpkgs/machine.nix> {BASE} CHANGE ]; }}"
# Each command in a session of its own, as of two machines: the kernel shares its time by sessions (sched(7), autogroup).
OWN = "setsid --wait"
# Where the results go, and which changes are made.
OUT = os.environ.get("DYNIX_TWIN_OUT")
ONLY = os.environ.get("DYNIX_TWIN_ONLY")


def configure(machine, change: str = "") -> None:
    machine.succeed(f"cat > /etc/nixos/configuration.nix <<'END'\n{CONFIGURATION.replace('CHANGE', change)}\nEND")


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def snapshot(machine) -> dict:
    # What a switch started may still be on its way.
    machine.succeed("while [ -n \"$(systemctl list-jobs --no-legend)\" ]; do sleep 0.1; done", timeout=60)
    return json.loads(machine.succeed("python3 /dynix/tests/nixos/twin/snapshot.py", timeout=60))


def differences(one: dict, other: dict, place: str = "") -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        found = []
        for key in sorted(one.keys() | other.keys()):
            if key not in one or key not in other:
                found.append(f"{place}/{key}: only {'after a rebuild' if key not in one else 'with dynix'}")
            else:
                found += differences(one[key], other[key], f"{place}/{key}")
        return found
    if one == other:
        return []
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [found for number, pair in enumerate(zip(one, other)) for found in differences(*pair, f"{place}/{number}")]
    if isinstance(one, str) and isinstance(other, str):
        # The lines that differ say more than the beginning of a long text; where there are none, their order does.
        lines, others = one.splitlines(), other.splitlines()
        one = [line for line in lines if line not in others] or one
        other = [line for line in others if line not in lines] or other
    return [f"{place}: {str(one)[:300]!r} with dynix, {str(other)[:300]!r} after a rebuild"]


def nix(value) -> str:
    if isinstance(value, dict):
        return "{ " + " ".join(f"{json.dumps(name)} = {nix(one)};" for name, one in value.items()) + " }"
    if isinstance(value, list):
        return "[ " + " ".join(nix(one) for one in value) + " ]"
    return json.dumps(value).replace("${", "\\${")


def definition(path: str, value) -> str:
    # What dynix records: each leaf by itself, below every other priority.
    if isinstance(value, dict) and value:
        return " ".join(definition(f"{path}.{json.dumps(name)}", one) for name, one in value.items())
    return f"{path} = lib.mkOverride (-1) {nix(value)};"


def outcome_of(machine, number: int, system: str, before: dict) -> tuple[dict, dict]:
    """Makes one change with dynix and by a rebuild: how that ended, and the system afterwards."""
    kind, what, definitions, *_ = CHANGES[number]
    result = {"number": number, "class": kind, "what": what}
    began = time.monotonic()
    said = ""
    code = 0
    paths = list(definitions.items())
    for place, (path, value) in enumerate(paths):
        apply = "--apply" if place + 1 == len(paths) else ""
        code, more = machine.execute(f"{OWN} dynix append {quoted(path)} --json {quoted(json.dumps(value))} {apply} 2>&1", timeout=240)
        said += more
        if code != 0:
            break
    result["seconds"] = round(time.monotonic() - began, 2)
    result["said"] = said.strip()[-600:]
    if code != 0:
        result["outcome"] = "refused" if code == 3 else f"failed ({code})"
        machine.execute("dynix reset 2>&1", timeout=120)
        after = snapshot(machine)
        left = differences(after, before)
        if left:
            result |= {"outcome": "silently different", "differences": left[:10]}
        return result, after
    with_dynix = snapshot(machine)
    machine.succeed("dynix reset 2>&1", timeout=120)
    back = snapshot(machine)
    # The same by a rebuild.
    text = " ".join(definition(path, value) for path, value in paths)
    configure(machine, f"({{ lib, ... }}: {{ {text} }})")
    began = time.monotonic()
    code, more = machine.execute(f"{OWN} nixos-rebuild test --fast 2>&1", timeout=300)
    result["rebuild seconds"] = round(time.monotonic() - began, 2)
    if code not in (0, 4):
        result |= {"outcome": "a rebuild fails", "rebuild": more[-600:]}
    else:
        found = differences(with_dynix, snapshot(machine))
        result |= {"outcome": "equal" if not found else "silently different", "differences": found[:10]}
    configure(machine)
    machine.succeed(f"{system}/bin/switch-to-configuration test", timeout=120)
    # What is left behind either way (a directory of a service's state) is no difference. The kernel's settings go back with
    # dynix alone: systemd-sysctl restores nothing.
    after = snapshot(machine)
    result["back"] = differences(back, after | {"kernel": before["kernel"]})[:10]
    return result, after


def work(machine, waiting: queue.Queue, results: list[dict]) -> None:
    """Makes the changes that wait, until none is left."""
    configure(machine)
    machine.succeed("nixos-rebuild switch", timeout=300)
    system = machine.succeed("readlink -f /run/current-system").strip()
    before = snapshot(machine)
    while True:
        try:
            number = waiting.get_nowait()
        except queue.Empty:
            return
        kind, what, *_ = CHANGES[number]
        with subtest(f"{number} {kind}: {what}"):
            try:
                result, before = outcome_of(machine, number, system, before)
            except Exception:
                result = {"number": number, "class": kind, "what": what, "outcome": "broken", "said": traceback.format_exc()[-600:]}
                machine.execute("systemctl reset-failed; dynix reset 2>&1", timeout=120)
                configure(machine)
                machine.execute(f"{system}/bin/switch-to-configuration test; systemctl reset-failed", timeout=120)
                before = snapshot(machine)
            results.append(result)
            if OUT:
                with open(OUT, "w") as file:
                    json.dump(sorted(results, key=lambda one: one["number"]), file, indent=1)
            print({key: value for key, value in result.items() if key != "said"})


start_all()
for machine in machines:
    machine.wait_for_unit("multi-user.target")

if machines[0].execute("test -e /dynix/modules && nix-instantiate --eval --expr '<nixpkgs/machine.nix>'")[0] != 0:
    print("SKIPPED: this machine has no nixpkgs to evaluate")
else:
    waiting = queue.Queue()
    for number, (kind, what, *_) in enumerate(CHANGES):
        if not ONLY or re.search(ONLY, f"{number} {kind} {what}"):
            waiting.put(number)
    results = []
    with ThreadPoolExecutor(len(machines)) as workers:
        done = [workers.submit(work, machine, waiting, results) for machine in machines]
    for one in done:
        one.result()
    expected = {number: (change[3] if len(change) > 3 else "equal") for number, change in enumerate(CHANGES)}
    wrong = [one for one in results if one["outcome"] not in (expected[one["number"]], "refused") or one.get("back")]
    for one in wrong:
        print(f"WRONG: {json.dumps(one)}")
    print({outcome: len([one for one in results if one["outcome"] == outcome]) for outcome in {one["outcome"] for one in results}})
    t.assertEqual(wrong, [])
