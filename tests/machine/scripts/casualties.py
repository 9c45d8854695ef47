"""What an apply may take down with it: units that depend on the one that it restarts, what the administrator stopped, and
itself, by a signal or with its terminal."""

import json
import time

DEPENDENTS = ["requires", "binds", "part", "requisite", "transitive"]


def shown() -> dict:
    return json.loads(machine.wait_until_succeeds("timeout 5 cat < /dev/tcp/127.0.0.1/7000", timeout=20))


def state(unit: str) -> str:
    return machine.get_unit_property(f"{unit}.service", "ActiveState")


def states() -> dict[str, str]:
    return {unit: state(unit) for unit in [*DEPENDENTS, "idle"]}


def invocation(unit: str) -> str:
    return machine.get_unit_property(f"{unit}.service", "InvocationID")


def apply(setting: str, value: str, options: str = "") -> tuple[int, str]:
    return machine.execute(f"dynix append services.subject.settings.{setting} {value} --apply {options} 2>&1")


def start_dependents() -> None:
    units = " ".join(f"{unit}.service" for unit in DEPENDENTS)
    machine.succeed(f"systemctl reset-failed {units}; systemctl start --job-mode=ignore-requirements {units}")


def rejected() -> int:
    return machine.succeed("dynix log").count("[rejected: ")


def began(name: str, value: str, options: str = "") -> None:
    """Begins an apply in the background, and waits until its unit is starting."""
    machine.succeed(
        f"dynix append services.subject.settings.behaviour {value}",
        f"systemd-run --unit={name} --property=RemainAfterExit=yes dynix apply {options}",
    )
    machine.wait_until_succeeds("systemctl show --property=ActiveState subject.service | grep activating", timeout=20)


def ended(name: str) -> tuple[str, str]:
    """How it ended: exited or killed, and the code or signal."""
    machine.wait_until_succeeds(f"systemctl show --property=SubState {name}.service | grep -E 'exited|failed'", timeout=60)
    return machine.get_unit_property(f"{name}.service", "Result"), machine.get_unit_property(f"{name}.service", "ExecMainStatus")


start_all()
for unit in ["subject", *DEPENDENTS]:
    machine.wait_for_unit(f"{unit}.service")
machine.succeed("systemctl stop idle.service")
up = {unit: "active" for unit in DEPENDENTS} | {"idle": "inactive"}
t.assertEqual(states(), up)
good = shown()

with subtest("a value that crashes the unit: what went down with it is up again, and nothing else"):
    before = invocation("transitive")
    status, said = apply("behaviour", "crash")
    t.assertEqual((status, shown(), states()), (4, good, up), said)
    assert invocation("transitive") != before

with subtest("a value that hangs it"):
    status, said = apply("behaviour", "hang")
    t.assertEqual((status, shown(), states()), (4, good, up), said)

with subtest("a value that works: all of them are up when the command is done"):
    status, said = apply("text", "one")
    t.assertEqual((status, states()), (0, up), said)
    good |= {"text": "one"}
    t.assertEqual(shown(), good)

with subtest("what was stopped before stays stopped"):
    machine.succeed("systemctl stop transitive.service requires.service")
    for setting, value, code in [("behaviour", "crash", 4), ("text", "two", 0)]:
        status, said = apply(setting, value)
        t.assertEqual((status, states()), (code, up | {"requires": "inactive", "transitive": "inactive"}), said)
    good |= {"text": "two"}
    start_dependents()

with subtest("one that does not come up again, whatever the values are, is named; nothing is rejected for it"):
    before = rejected()
    machine.succeed("mkdir /run/systemd/system/part.service.d")
    machine.succeed("printf '[Service]\\nExecStartPre=/bin/false\\n' > /run/systemd/system/part.service.d/broken.conf")
    machine.succeed("systemctl daemon-reload")
    status, said = apply("text", "three")
    t.assertEqual((status, shown(), rejected()), (1, good, before), said)
    assert "part.service, which depends on it, does not come up again" in said, said
    t.assertEqual(states(), up | {"part": "failed"})
    status, said = machine.execute("dynix apply 2>&1")
    good |= {"text": "three"}
    t.assertEqual((status, shown()), (0, good), said)
    machine.succeed("rm --recursive /run/systemd/system/part.service.d", "systemctl daemon-reload")
    machine.succeed("systemctl start part.service")

with subtest("a daemon that ends with 143 on `systemctl stop` is failed then, and stays stopped"):
    t.assertEqual(apply("behaviour", "curt")[0], 0)
    good |= {"behaviour": "curt"}
    machine.succeed("systemctl stop subject.service")
    t.assertEqual(state("subject"), "failed")
    t.assertEqual((apply("text", "four")[0], state("subject")), (0, "failed"))
    t.assertEqual((apply("text", "five", "--for 3s")[0], state("subject")), (0, "failed"))
    machine.wait_until_succeeds("dynix log | grep 'rejected: expired'", timeout=20)
    machine.wait_until_fails("systemctl list-units --all --plain --no-legend 'dynix-*' | grep --invert-match dynix-watch", timeout=20)
    t.assertEqual(state("subject"), "failed")
    machine.succeed("systemctl start subject.service")
    good |= {"text": "four"}
    t.assertEqual(shown(), good)
    start_dependents()

with subtest("one that crashed by itself is started"):
    machine.succeed("systemctl kill --signal=KILL subject.service; systemctl stop subject.service; systemctl start subject.service")
    machine.succeed("mkdir /run/systemd/system/subject.service.d")
    machine.succeed("printf '[Service]\\nRestart=no\\n' > /run/systemd/system/subject.service.d/no.conf; systemctl daemon-reload")
    machine.succeed("systemctl kill --signal=KILL subject.service")
    machine.wait_until_succeeds("systemctl is-failed subject.service", timeout=20)
    t.assertEqual((apply("text", "six")[0], state("subject")), (0, "active"))
    machine.succeed("rm --recursive /run/systemd/system/subject.service.d; systemctl daemon-reload")
    good |= {"text": "six"}
    start_dependents()

with subtest("`systemctl stop` while its apply starts it, and while it is probed: the stop wins, and nothing is rejected"):
    before = rejected()
    for number, value in enumerate(["slow", "hang", "deaf"]):
        machine.succeed(f"dynix append services.subject.settings.behaviour {value}")
        machine.succeed(f"systemd-run --unit=stopped-{number} --property=RemainAfterExit=yes dynix apply")
        wanted = "active" if value == "deaf" else "activating"
        machine.wait_until_succeeds(f"systemctl show --property=ActiveState subject.service | grep ={wanted}; grep -q {value} /run/dynix/subject/current/subject.json", timeout=20)
        machine.succeed("systemctl stop subject.service")
        t.assertEqual(ended(f"stopped-{number}"), ("success", "0"))
        assert state("subject") in ["inactive", "failed"], state("subject")
        t.assertEqual(rejected(), before)
        said = f"journalctl --unit=stopped-{number} --output=cat | grep --quiet 'was stopped by somebody else'"
        machine.wait_until_succeeds(said, timeout=20)
        machine.succeed("dynix rollback --apply")
        machine.succeed("systemctl start subject.service")
        t.assertEqual(shown(), good)

start_dependents()

with subtest("a signal that ends it: it goes back first, and ends as the signal says; nothing is rejected"):
    before = rejected()
    for signal, number in [("TERM", "15"), ("INT", "2"), ("QUIT", "3")]:
        began(signal, "hang")
        machine.succeed(f"systemctl kill --kill-whom=main --signal={signal} {signal}.service")
        result, code = ended(signal)
        assert result in ["signal", "core-dump", "success"] and code == number, (result, code)
        t.assertEqual((shown(), states(), rejected()), (good, up, before))
        assert "goes back first" in machine.succeed(f"journalctl --unit={signal} --output=cat")
        machine.succeed("dynix rollback")

with subtest("the end of its terminal is none of an apply"):
    began("HUP", "slow")
    machine.succeed("systemctl kill --kill-whom=main --signal=HUP HUP.service")
    machine.succeed("systemctl kill --kill-whom=main --signal=TSTP HUP.service")
    t.assertEqual(ended("HUP"), ("success", "0"))
    good |= {"behaviour": "slow"}
    t.assertEqual((shown(), states()), (good, up))
    # The terminal goes away while the unit is starting, and the value is a bad one.
    machine.succeed("dynix append services.subject.settings.behaviour hang")
    machine.succeed(
        "python3 -c 'import os, pty, time; pid, fd = pty.fork()\n"
        'if pid == 0: os.execvp("dynix", ["dynix", "-v", "apply"])\n'
        "time.sleep(1); os.close(fd); time.sleep(0.2)'"
    )
    machine.wait_until_succeeds("dynix log | tail -n 3 | grep 'rejected: '", timeout=20)
    machine.wait_until_fails("pgrep --exact dynix", timeout=20)
    t.assertEqual((shown(), states(), rejected()), (good, up, before + 1))
    # Nobody reads what it says.
    machine.succeed("dynix -v append services.subject.settings.text seven --apply >&- 2>&-")
    machine.execute("dynix -v append services.subject.settings.text eight --apply >/dev/full 2>/dev/full")
    good |= {"text": "eight"}
    t.assertEqual((shown(), states()), (good, up))
