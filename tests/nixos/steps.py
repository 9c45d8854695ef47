import re
import time

FILES = "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,write,ftruncate,fchmod"
# What asks systemd to do something; all other messages ask it for something.
DEEDS = ["StartTransientUnit", "StartUnit", "StopUnit", "RestartUnit", "TryRestartUnit", "ReloadUnit", "Reload", "SetUnitProperties"]


def steps(command: str) -> list[tuple[str, int, str]]:
    """What a command changes, in order: the system call, the how manieth of its kind in dynix's first thread, and on what."""
    machine.succeed(f"strace -f -y -s 2000 -o /run/trace -e trace={FILES},sendmsg {command}", timeout=120)
    lines = machine.succeed("cat /run/trace").splitlines()
    first = lines[0].split()[0]
    counts: dict[str, int] = {}
    found = []
    for line in lines:
        process, call, *_ = re.split(r"[\s(]+", line, maxsplit=2)
        if process != first or not re.match(r"[a-z]+", call):
            continue
        counts[call] = counts.get(call, 0) + 1
        if call == "sendmsg":
            # The name of a method stands between two zero bytes.
            deed = next((deed for deed in DEEDS if f"\\0{deed}\\0" in line), None)
            if deed is not None:
                found.append((call, counts[call], deed))
        # Of what is written, what goes into files.
        elif "= -1" not in line and (call != "write" or re.search(r"\(\d+</(etc|run|var)/", line)):
            words = re.findall(r'<([^>]*)>|"([^"]*)"', line if call != "write" else line.partition(",")[0])
            found.append((call, counts[call], " ".join(directory or name for directory, name in words)))
    return found


def is_held() -> bool:
    """Whether strace has stopped dynix."""
    return machine.execute("grep -q 'stopped by SIGSTOP' /run/trace")[0] == 0


def crash_after(call: str, number: int, command: str, value) -> int | None:
    """Ends the machine when dynix has done this; what is recorded by then, or None if it did not come so far."""
    # The signal comes when the call begins, and stops dynix when it is over.
    inject = f"-e trace={call} -e inject={call}:signal=STOP:when={number}"
    machine.succeed("rm -f /run/trace")
    machine.succeed(f"strace -o /run/trace {inject} {command} > /run/said 2>&1 < /dev/null & echo $! > /run/held")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if is_held():
            recorded = value()
            machine.crash()
            return recorded
        if machine.execute("test -e /proc/$(cat /run/held)")[0] != 0:
            print(machine.succeed("cat /run/said"))
            return None
    raise AssertionError(f"neither held nor over: {command}")


def crash_after_each(what: list[tuple[str, int, str]], command, value, check) -> None:
    """The power fails after each of the steps in turn: `value` is what is recorded, `check` says whether that is in effect."""
    known = value()
    kept = []
    for call, number, on in what:
        with subtest(f"after {call} {number}: {on}"):
            written = crash_after(call, number, command(known + 1), value)
            assert written in [known, known + 1], (known, written)
            machine.start()
            is_settled()
            recorded = value()
            t.assertEqual(recorded, written)
            kept.append(recorded - known)
            check(recorded)
            t.assertEqual(machine.succeed("systemctl list-units --failed --plain --no-legend"), "")
            known = recorded
    print(f"{len(kept)} steps; the record was there after {sum(kept)} of the crashes: {kept}")
    assert 1 in kept, kept
