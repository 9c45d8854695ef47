"""A unit is touched only where what it reads changed, and once; one apply at a time."""

import json


def main_pid(unit: str) -> str:
    return machine.get_unit_property(unit, "MainPID")


def started(unit: str) -> int:
    """When, in microseconds."""
    return int(machine.get_unit_property(unit, "ActiveEnterTimestampMonotonic"))


def starts(unit: str) -> int:
    """How often systemd started it since boot."""
    # The message's identity in systemd's catalogue: "A start job for unit ... has finished successfully".
    identity = "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf"
    return len(machine.succeed(f"journalctl --boot --quiet --output=cat {identity} UNIT={unit}").splitlines())


def loaded() -> str:
    """Changes with every daemon-reload."""
    return machine.succeed("systemctl show --property=UnitsLoadTimestampMonotonic")


def workers() -> int:
    answer = machine.wait_until_succeeds("curl --silent --fail http://localhost:5000/stand-in/settings")
    return json.loads(answer)["workers"]


start_all()
for unit in ["distccd.service", "harmonia.service", "subject.service", "words.service"]:
    machine.wait_for_unit(unit)
untouched = main_pid("distccd.service")

with subtest("what this script looks at tells a daemon-reload and a restart"):
    reloads, count = loaded(), starts("words.service")
    machine.succeed("systemctl daemon-reload", "systemctl restart words.service")
    t.assertNotEqual(loaded(), reloads)
    t.assertEqual(starts("words.service"), count + 1)

reloads = loaded()

with subtest("only the unit whose file changed is restarted, and once"):
    counts = {unit: starts(f"{unit}.service") for unit in ["distccd", "harmonia", "subject", "words"]}
    machine.succeed("dynix append services.harmonia.settings.workers 5")
    machine.succeed("dynix append services.harmonia.settings.max_connection_rate 99")
    machine.succeed("dynix append services.harmonia.settings.workers 6")
    machine.succeed("apply-dynamic-configuration")
    t.assertEqual(workers(), 6)
    after = {unit: starts(f"{unit}.service") for unit in counts}
    t.assertEqual(after, counts | {"harmonia": counts["harmonia"] + 1})

with subtest("values that come to the same file touch nothing"):
    pid = main_pid("harmonia.service")
    machine.succeed("dynix append services.harmonia.settings.workers 7")
    machine.succeed("dynix append services.harmonia.settings.workers 6")
    machine.succeed("apply-dynamic-configuration")
    machine.succeed("apply-dynamic-configuration")
    t.assertEqual(main_pid("harmonia.service"), pid)

with subtest("a stopped unit stays stopped, and starts on the new value"):
    machine.succeed("systemctl stop harmonia.service")
    machine.succeed("dynix append services.harmonia.settings.workers 8 --apply")
    t.assertEqual(machine.get_unit_property("harmonia.service", "ActiveState"), "inactive")
    machine.succeed("systemctl start harmonia.service")
    t.assertEqual(workers(), 8)

with subtest("a dry run only says what it would do"):
    pid = main_pid("harmonia.service")
    machine.succeed("dynix append services.harmonia.settings.workers 9")
    said = machine.succeed("dynix apply --dry-run")
    assert "restart harmonia.service" in said and "words" not in said, said
    t.assertEqual(main_pid("harmonia.service"), pid)
    t.assertEqual(workers(), 8)
    machine.succeed("dynix apply")
    t.assertEqual(workers(), 9)

with subtest("an apply waits for the one before it"):
    # The first is held up by a unit that never gets ready, until that one's deadline is over and it is back.
    before = started("subject.service")
    machine.succeed("dynix append services.subject.settings.behaviour hang")
    machine.succeed("systemd-run --unit=first --property=SuccessExitStatus=4 dynix apply subject 2>&1")
    machine.wait_until_succeeds("systemctl show --property=ActiveState subject.service | grep activating")
    machine.succeed("dynix append services.words.text second --apply 2>/tmp/second >&2")
    t.assertEqual(machine.get_unit_property("subject.service", "ActiveState"), "active")
    assert before < started("subject.service") < started("words.service")
    machine.wait_until_succeeds("systemctl show --property=ActiveState first.service | grep inactive")
    said = machine.succeed("cat /tmp/second")
    assert "waiting" in said, said

with subtest("an apply waits for a switch, and says what it waits for"):
    machine.succeed("mkdir --parents /run/nixos")
    machine.succeed("systemd-run --unit=switching flock /run/nixos/switch-to-configuration.lock sleep 2")
    machine.wait_until_fails("flock --nonblock /run/nixos/switch-to-configuration.lock true")
    said = machine.succeed("dynix append services.words.text third --apply 2>&1")
    t.assertEqual(machine.get_unit_property("switching.service", "ActiveState"), "inactive")
    assert "waiting for" in said and "flock" in said, said

with subtest("an override that is over no longer holds at the next apply"):
    machine.succeed("dynix append services.words.text brief --for 3s --apply")
    machine.wait_until_succeeds("test $(date +%s) -gt $(($(stat --format=%Y /etc/nixos/dynamic.nix) + 3))")
    machine.succeed("dynix apply")
    t.assertEqual(machine.succeed("dynix get services.words.text"), "third\n")

with subtest("many at once: every record counts, and the last one is in effect"):
    machine.succeed(
        "pids=(); for n in $(seq 10 21); do"
        " dynix append services.harmonia.settings.workers $n --apply & pids+=($!);"
        " done; for pid in ${pids[@]}; do wait $pid; done"
    )
    records = json.loads(machine.succeed("dynix log --json"))
    records = [one for one in records if "harmonia" in json.dumps(one)][-12:]
    t.assertEqual(len({one["id"] for one in records}), 12)
    in_effect = workers()
    t.assertEqual(json.loads(machine.succeed("dynix get services.harmonia.settings.workers")), in_effect)
    assert f" {in_effect}" in json.dumps(records[-1]), (in_effect, records[-1])

with subtest("through all of it, the other service was left alone, and systemd reloaded nothing"):
    machine.succeed("dynix reset")
    t.assertEqual(workers(), 4)
    t.assertEqual(main_pid("distccd.service"), untouched)
    t.assertEqual(loaded(), reloads)
