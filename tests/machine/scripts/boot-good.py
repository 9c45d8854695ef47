"""A boot uses what is known to work; what is not is tried once the system is up, and taken back where it does not work."""

import json

SETTINGS = "dynix append services.mortal.settings"
KNOWN = "/var/lib/dynix/known-good.json"


def shown() -> dict:
    """What the running process was started with."""
    return json.loads(machine.wait_until_succeeds("timeout 5 cat < /dev/tcp/127.0.0.1/7100", timeout=20))


def status() -> dict:
    return json.loads(machine.succeed("dynix status --json"))["services"]["mortal"]


def rejected() -> dict[int, str]:
    """The records that do not hold, with the reason."""
    log = json.loads(machine.succeed("dynix log --json"))
    return {one["id"]: one["rejected"] for one in log if "rejected" in one and not one["holds"]}


def last() -> int:
    return json.loads(machine.succeed("dynix log --json"))[-1]["id"]


def starts() -> list[str]:
    """With which texts it was started since the boot, oldest first."""
    said = machine.succeed("journalctl --boot --unit=mortal.service --output=cat --grep='^mortal: starts on' || true")
    return [line.split()[-1] for line in said.splitlines()]


def is_settled() -> None:
    """Waits until what is to be tried after a boot is tried, and nothing is watched any more."""
    machine.wait_for_unit("multi-user.target")
    machine.wait_until_fails("test -e /run/systemd/system/dynix-after-boot.service", timeout=60)
    machine.wait_until_succeeds(
        "test -z \"$(systemctl list-units --plain --no-legend 'dynix-watch-*' 'dynix-after-boot*')\"", timeout=60
    )


def boot(crash: bool = False) -> None:
    if crash:
        machine.crash()
        start_all()
    else:
        machine.reboot()
    is_settled()


start_all()
machine.wait_for_unit("mortal.service")
static = shown()

with subtest("what is seen to work is what the next boot starts on, from the first start"):
    machine.succeed(f"{SETTINGS}.text good --apply --wait")
    machine.succeed(f"grep --quiet mortal {KNOWN}")
    boot()
    t.assertEqual(shown(), static | {"text": "good"})
    t.assertEqual(starts(), ["good"])

with subtest("what was only recorded is tried once the system is up, and stays where it works"):
    machine.succeed(f"{SETTINGS}.text recorded")
    machine.reboot()
    machine.wait_for_unit("mortal.service")
    is_settled()
    t.assertEqual(starts(), ["good", "recorded"])
    t.assertEqual(shown(), static | {"text": "recorded"})
    boot()
    t.assertEqual(starts(), ["recorded"])

with subtest("where it does not work, it is in no boot's way, and is taken back"):
    machine.succeed(f"{SETTINGS}.lives 0.5")
    record = last()
    boot()
    assert "its time is over" in rejected()[record], rejected()
    t.assertEqual(starts(), ["recorded", "recorded", "recorded"])
    t.assertEqual(shown(), static | {"text": "recorded"})
    t.assertEqual(status()["lastFailure"]["result"], "rolledBack")
    boot()
    t.assertEqual(starts(), ["recorded"])

with subtest("what was applied, and not seen to work when the power failed, is tried as well"):
    machine.succeed(f"{SETTINGS}.text early --apply")
    t.assertEqual(shown()["text"], "early")
    boot(crash=True)
    t.assertEqual(starts(), ["recorded", "early"])
    boot(crash=True)
    t.assertEqual(starts(), ["early"])

with subtest("what takes the machine down each time that it is tried is not tried for ever"):
    machine.succeed(f"{SETTINGS}.text deadly")
    record = last()
    for _ in range(2):
        machine.crash()
        start_all()
        machine.wait_until_succeeds("dynix get services.mortal.settings.text | grep deadly", timeout=30)
        machine.wait_until_succeeds("timeout 5 cat < /dev/tcp/127.0.0.1/7100 | grep deadly", timeout=30)
    boot(crash=True)
    t.assertEqual(starts(), ["early"])
    assert "the machine went down 2 times" in rejected()[record], rejected()
    t.assertEqual(shown()["text"], "early")

with subtest("what works and finds something missing at boot is started again"):
    machine.succeed("touch /run/late", f"{SETTINGS}.needs /run/late --apply --wait")
    machine.succeed(
        "printf '[Service]\\nExecStart=/bin/touch /run/late\\n[Install]\\nWantedBy=multi-user.target\\n'"
        " > /etc/systemd/system/late.service",
        "mkdir -p /etc/systemd/system/late.service.d",
        "printf '[Unit]\\nAfter=mortal.service\\n[Service]\\nType=oneshot\\nExecStartPre=/bin/sleep 1\\n'"
        " > /etc/systemd/system/late.service.d/order.conf",
        "systemctl daemon-reload && systemctl enable late.service",
    )
    boot()
    t.assertEqual(shown(), static | {"text": "early", "needs": "/run/late"})
    t.assertEqual(starts(), ["early"])

with subtest("where it is missing for good, the values are taken back to those that worked before"):
    record = last()
    machine.succeed("systemctl disable late.service")
    boot()
    assert "/run/late is missing" in rejected()[record], rejected()
    t.assertEqual(shown(), static | {"text": "early"})
    t.assertEqual(starts(), ["static", "early"])

with subtest("where nothing is known, what was built comes first"):
    machine.succeed(f"{SETTINGS}.text known --apply --wait", f"rm {KNOWN}")
    boot()
    t.assertEqual(starts(), ["static", "known"])
    t.assertEqual(shown()["text"], "known")

with subtest("of another unit, nothing is known either"):
    machine.succeed("sed -i 's/^Description=.*/Description=Of another system/' /etc/systemd/system/mortal.service")
    boot()
    t.assertEqual(starts(), ["static", "known"])
    boot()
    t.assertEqual(starts(), ["known"])

with subtest("of a system that was upgraded, what is in effect and up for long enough is known with the next apply"):
    state = json.loads(machine.succeed("cat /run/dynix/state.json"))
    for service in state["services"].values():
        service.pop("works"), service.pop("values")
    before = json.dumps(state | {"version": 2})
    machine.succeed(f"rm {KNOWN}", f"cat > /run/dynix/state.json <<'END'\n{before}\nEND")
    machine.sleep(2)
    pid = machine.get_unit_property("mortal.service", "MainPID")
    t.assertEqual(machine.succeed("dynix apply"), "nothing to do\n")
    t.assertEqual(machine.get_unit_property("mortal.service", "MainPID"), pid)
    boot()
    t.assertEqual(starts(), ["known"])
