"""The system bus goes away, or systemd executes itself anew, in the middle of an apply: the apply goes on, and asks for
nothing twice."""

import json

# A unit begins to start (sd-messages(3), SD_MESSAGE_UNIT_STARTING).
STARTING = "7d4958e842da4a758f6c1cdc7b36dcc5"


def shown() -> dict:
    return json.loads(machine.wait_until_succeeds("timeout 5 cat < /dev/tcp/127.0.0.1/7000", timeout=20))


def starts() -> int:
    """How often systemd began to start the unit."""
    said = machine.succeed(f"journalctl --sync; journalctl --quiet --output=cat MESSAGE_ID={STARTING} UNIT=subject.service")
    return len(said.splitlines())


def bus() -> str:
    return machine.succeed("pidof -s dbus-daemon").strip()


def forgive() -> None:
    """The bus may be killed once more (systemd.unit(5), StartLimitBurst=)."""
    machine.succeed("systemctl reset-failed dbus.service dbus.socket; systemctl start dbus.socket dbus.service")


def began(name: str, setting: str, value: str) -> None:
    """Begins an apply in the background, and waits until its unit is starting."""
    forgive()
    machine.succeed(
        f"dynix append services.subject.settings.{setting} {value}",
        f"systemd-run --unit={name} --property=RemainAfterExit=yes dynix apply",
    )
    machine.wait_until_succeeds("systemctl show --property=ActiveState subject.service | grep activating", timeout=20)


def ended(name: str) -> tuple[str, str]:
    machine.wait_until_succeeds(f"systemctl show --property=SubState {name}.service | grep -E 'exited|failed'", timeout=60)
    said = machine.succeed(f"journalctl --sync; journalctl --unit={name} --output=cat")
    return machine.get_unit_property(f"{name}.service", "ExecMainStatus"), said


start_all()
machine.wait_for_unit("subject.service")
good = {"behaviour": "slow", "text": "static"}
machine.succeed("dynix append services.subject.settings.behaviour slow --apply")
t.assertEqual(shown(), good)

LOSSES = {
    "killed": "systemctl kill --signal=KILL dbus.service",
    "restarted": "systemctl kill --signal=KILL dbus.service; systemctl stop dbus.socket; sleep 1; systemctl start dbus.socket",
    "reexecuted": "systemctl daemon-reexec",
    "both": "systemctl kill --signal=KILL dbus.service; systemctl daemon-reexec",
}

for name, loss in LOSSES.items():
    with subtest(f"{name} while the unit starts on a good value: it is applied, and started once"):
        before = starts()
        began(name, "text", name)
        machine.succeed(loss)
        status, said = ended(name)
        good |= {"text": name}
        t.assertEqual((status, shown()), ("0", good), said)
        t.assertEqual(starts(), before + 1)
        machine.succeed("dynix apply")
        t.assertEqual(starts(), before + 1)

    with subtest(f"{name} while the unit starts on a bad value: it goes back"):
        began(f"{name}-bad", "behaviour", "hang")
        machine.succeed(loss)
        status, said = ended(f"{name}-bad")
        t.assertEqual((status, shown()), ("4", good), said)
        assert "[rejected: " in machine.succeed("dynix log | tail -n 2")

with subtest("killed at any moment: whatever was asked for is done, and nothing twice"):
    machine.succeed("dynix append services.subject.settings.behaviour good --apply")
    good |= {"behaviour": "good"}
    for number in range(15):
        forgive()
        before = starts()
        pid = bus()
        status, said = machine.execute(
            f"(sleep 0.{number * 20:03}; kill -KILL {pid}) & "
            f"dynix append services.subject.settings.text at-{number} --apply 2>&1; status=$?; wait; exit $status"
        )
        good |= {"text": f"at-{number}"}
        t.assertEqual((status, shown()), (0, good), said)
        t.assertEqual(starts(), before + 1, said)

with subtest("systemd is executed anew at any moment"):
    for number in range(8):
        before = starts()
        status, said = machine.execute(
            f"(sleep 0.{number * 30:03}; systemctl daemon-reexec) & "
            f"dynix append services.subject.settings.text anew-{number} --apply 2>&1; status=$?; wait; exit $status"
        )
        good |= {"text": f"anew-{number}"}
        t.assertEqual((status, shown()), (0, good), said)
        t.assertEqual(starts(), before + 1, said)

with subtest("what is watched afterwards stays watched"):
    forgive()
    machine.succeed("dynix append services.subject.settings.text watched --apply")
    good |= {"text": "watched"}
    machine.succeed("systemctl kill --signal=KILL dbus.service", "systemctl start dbus.service")
    machine.succeed("mkdir /run/systemd/system/subject.service.d")
    machine.succeed("printf '[Service]\\nRestart=no\\n' > /run/systemd/system/subject.service.d/no.conf; systemctl daemon-reload")
    machine.wait_until_succeeds("systemctl list-units --plain --no-legend 'dynix-watch-*.service' | grep running", timeout=20)
    machine.succeed("systemctl kill --signal=KILL subject.service")
    machine.wait_until_succeeds("dynix log | tail -n 2 | grep 'rejected: '", timeout=30)
    good |= {"text": "anew-7"}
    t.assertEqual(shown(), good)
    machine.succeed("rm --recursive /run/systemd/system/subject.service.d; systemctl daemon-reload")

with subtest("there is no bus any more: the apply ends, and says so; once there is one, an apply puts it right"):
    began("none", "behaviour", "slow")
    machine.succeed("systemctl mask --runtime dbus.service dbus.socket; systemctl kill --signal=KILL dbus.service; systemctl stop dbus.socket")
    status, said = ended("none")
    t.assertEqual(status, "5", said)
    assert "system bus" in said, said
    machine.succeed("systemctl unmask --runtime dbus.service dbus.socket")
    forgive()
    machine.succeed("dynix apply")
    good |= {"behaviour": "slow"}
    t.assertEqual(shown(), good)
