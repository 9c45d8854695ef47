"""Services are acted on at once, each under its own deadlines; one that comes after another waits for that one."""

import json
import time


def started(unit: str) -> int:
    """When, in microseconds."""
    return int(machine.get_unit_property(unit, "ActiveEnterTimestampMonotonic"))


def workers() -> int:
    answer = machine.wait_until_succeeds("curl --silent --fail http://localhost:5000/stand-in/settings", timeout=60)
    return json.loads(answer)["workers"]


def subject() -> dict:
    return json.loads(machine.wait_until_succeeds("timeout 5 cat < /dev/tcp/127.0.0.1/7000", timeout=20))


def text() -> str:
    pid = machine.get_unit_property("words.service", "MainPID")
    # It counts as started before its start script has run the program.
    said = machine.wait_until_succeeds(f"tr '\\0' '\\n' < /proc/{pid}/cmdline | grep --line-regexp -A1 -e --text")
    return said.splitlines()[1]


def record(number: int, behaviour: str) -> None:
    machine.succeed(f"dynix append services.harmonia.settings.workers {number}")
    machine.succeed(f"dynix append services.words.text number-{number}")
    machine.succeed(f"dynix append services.subject.settings.behaviour {behaviour}")
    machine.succeed(f"dynix append services.subject.settings.text number-{number}")


start_all()
for unit in ["harmonia", "pair-reloads", "pair-restarts", "subject", "words"]:
    machine.wait_for_unit(f"{unit}.service")
good = subject()

with subtest("in order: words comes after subject"):
    record(5, "good")
    machine.succeed("dynix apply")
    t.assertEqual((workers(), text(), subject()["text"]), (5, "number-5", "number-5"))
    assert started("subject.service") < started("words.service")
    good = subject()

with subtest("a restart that hangs holds up what comes after it until its deadline, and nothing else"):
    record(6, "hang")
    machine.succeed("systemd-run --unit=hanging --property=SuccessExitStatus=4 dynix apply")
    machine.wait_until_succeeds("curl --silent localhost:5000/stand-in/settings | grep --quiet '\"workers\": 6'", timeout=20)
    t.assertEqual(machine.get_unit_property("subject.service", "ActiveState"), "activating")
    t.assertEqual(text(), "number-5")
    machine.wait_until_succeeds("systemctl show --property=ActiveState hanging.service | grep inactive", timeout=60)
    t.assertEqual((workers(), text(), subject()), (6, "number-6", good))
    # What comes after it came when it was back on what it had.
    assert started("subject.service") < started("words.service")

with subtest("so does a probe"):
    record(7, "deaf")
    machine.succeed("systemd-run --unit=deaf --property=SuccessExitStatus=4 dynix apply")
    machine.wait_until_succeeds("curl --silent localhost:5000/stand-in/settings | grep --quiet '\"workers\": 7'", timeout=20)
    t.assertEqual(text(), "number-6")
    machine.wait_until_succeeds("systemctl show --property=ActiveState deaf.service | grep inactive", timeout=60)
    t.assertEqual((workers(), text(), subject()), (7, "number-7", good))

with subtest("a reload that hangs ends at its deadline of 3 seconds"):
    machine.succeed("mkdir /run/systemd/system/pair-reloads.service.d")
    machine.succeed(
        "printf '[Service]\\nExecReload=\\nExecReload=/usr/bin/sleep infinity\\n'"
        " > /run/systemd/system/pair-reloads.service.d/hang.conf",
        "systemctl daemon-reload",
    )
    machine.succeed("dynix append services.pair.shared.greeting hello", "dynix append services.harmonia.settings.workers 8")
    began = time.monotonic()
    status, said = machine.execute("dynix apply 2>&1")
    took = time.monotonic() - began
    t.assertEqual(status, 4)
    assert "pair-reloads.service: not done within 3 s" in said, said
    assert 3 <= took < 30, took
    t.assertEqual(workers(), 8)
    for unit in ["pair-reloads", "pair-restarts"]:
        machine.wait_until_succeeds(f"systemctl is-active {unit}.service", timeout=20)
    machine.succeed("rm --recursive /run/systemd/system/pair-reloads.service.d", "systemctl daemon-reload")

with subtest("a check that hangs ends at its deadline of 2 seconds; it says nothing of the values, so nothing is rejected"):
    pid = machine.get_unit_property("pair-restarts.service", "MainPID")
    machine.succeed("dynix append services.pair.shared.greeting 'hang the check'")
    machine.succeed("dynix append services.harmonia.settings.workers 9")
    status, said = machine.execute("dynix apply 2>&1")
    t.assertEqual(status, 1)
    assert "was not done within 2 s and was killed" in said, said
    assert "hang the check" in machine.succeed("dynix log | tail -n 3 | grep -v rejected")
    t.assertEqual(workers(), 9)
    t.assertEqual(machine.get_unit_property("pair-restarts.service", "MainPID"), pid)
    machine.fail("pgrep --full pair-check")
