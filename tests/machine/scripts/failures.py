"""A unit that does not come up well on new values is back on the old ones, and the log says why."""

import json
import time


def shown() -> dict:
    """What the running process was started with."""
    return json.loads(machine.wait_until_succeeds("timeout 5 cat < /dev/tcp/127.0.0.1/7000", timeout=20))


def refuse(value: str) -> tuple[str, float]:
    """Applies a value that does not work; the reason that the log gives, and the seconds that it took."""
    before = shown()
    began = time.monotonic()
    status, _ = machine.execute(f"dynix append services.subject.settings.behaviour {value} --apply")
    took = time.monotonic() - began
    t.assertEqual(status, 4)
    t.assertEqual(shown(), before)
    t.assertEqual(machine.get_unit_property("subject.service", "ActiveState"), "active")
    rejected = [one["rejected"] for one in json.loads(machine.succeed("dynix log --json")) if "rejected" in one]
    # What does not hold is not tried again.
    pid = machine.get_unit_property("subject.service", "MainPID")
    machine.succeed("apply-dynamic-configuration")
    t.assertEqual(machine.get_unit_property("subject.service", "MainPID"), pid)
    return rejected[-1], took


start_all()
machine.wait_for_unit("subject.service")
machine.wait_for_unit("words.service")
static = {"behaviour": "good", "text": "static"}
t.assertEqual(shown(), static)

with subtest("on static values: it crashes at once"):
    reason, took = refuse("crash")
    assert "subject.service: " in reason and "subject.service said last: subject: told to crash" in reason, reason
    t.assertEqual(shown(), static)
    machine.fail("test -e /run/dynix/subject/current")

machine.succeed("dynix append services.subject.settings.text mine --apply")
mine = static | {"text": "mine"}
t.assertEqual(shown(), mine)
good = machine.succeed("readlink /run/dynix/subject/current")

with subtest("on overridden values: it crashes at once"):
    reason, took = refuse("crash")
    assert "subject.service" in reason, reason

with subtest("it crashes after it said that it is ready"):
    reason, took = refuse("crash-later")
    assert "subject.service: " in reason and "said last: subject: told to crash later" in reason, reason
    assert "told to crash later" in machine.succeed("dynix status")
    went = json.loads(machine.succeed("dynix status --json"))["services"]["subject"]["lastFailure"]["result"]
    t.assertEqual(went, "rolledBack")

with subtest("a condition that does not hold any more is said, and is no fault of the value"):
    machine.succeed("mkdir /run/systemd/system/subject.service.d; touch /run/condition")
    drop_in = "/run/systemd/system/subject.service.d/condition.conf"
    machine.succeed(f"printf '[Unit]\\nConditionPathExists=/run/condition\\n' > {drop_in}; systemctl daemon-reload")
    machine.succeed("dynix append services.subject.settings.text before --apply; rm /run/condition")
    status, said = machine.execute("dynix append services.subject.settings.text after --apply 2>&1")
    print(said)
    assert status == 0 and "a condition of it does not hold" in said, (status, said)
    t.assertEqual(machine.get_unit_property("subject.service", "ActiveState"), "inactive")
    machine.succeed("rm -r /run/systemd/system/subject.service.d; systemctl daemon-reload")
    machine.succeed("systemctl start subject.service")
    t.assertEqual(shown()["text"], "after")
    machine.succeed("dynix append services.subject.settings.text mine --apply")
    good = machine.succeed("readlink /run/dynix/subject/current")

with subtest("it never gets ready: that ends at the unit's deadline of 3 seconds"):
    reason, took = refuse("hang")
    assert "not done within 3 s" in reason, reason
    assert 3 <= took < 10, took

with subtest("it runs, and does not serve: that ends at the deadline of its health check, 2 seconds"):
    reason, took = refuse("deaf")
    assert "not healthy within 2 s" in reason, reason
    assert 2 <= took < 10, took

with subtest("it is on exactly the generation that it had"):
    t.assertEqual(machine.succeed("readlink /run/dynix/subject/current"), good)
    t.assertEqual(shown(), mine)

with subtest("one service's bad value does not hold up another's"):
    machine.succeed("dynix append services.subject.settings.behaviour crash")
    machine.succeed("dynix append services.words.text other")
    status, _ = machine.execute("apply-dynamic-configuration")
    t.assertEqual(status, 4)
    t.assertEqual(shown(), mine)
    pid = machine.get_unit_property("words.service", "MainPID")
    words = machine.succeed(f"tr '\\0' '\\n' < /proc/{pid}/cmdline").splitlines()
    t.assertEqual(words[-3:], ["--text", "other", "--end"])

with subtest("after a rejected value, a good one is taken"):
    machine.succeed("dynix append services.subject.settings.text next --apply")
    mine = static | {"text": "next"}
    t.assertEqual(shown(), mine)

with subtest("where going back fails as well, the exit status says so, and the built files are what is left; no value is to blame"):
    broken = "/run/systemd/system/subject.service.d/broken.conf"
    machine.succeed("mkdir /run/systemd/system/subject.service.d")
    machine.succeed(f"printf '[Service]\\nExecStartPre=/bin/false\\n' > {broken}")
    machine.succeed("systemctl daemon-reload")
    status, _ = machine.execute("dynix append services.subject.settings.text never --apply")
    t.assertEqual(status, 5)
    assert "never" in machine.succeed("dynix log | tail -n 2 | grep -v rejected")
    went = json.loads(machine.succeed("dynix status --json"))["services"]["subject"]["lastFailure"]["result"]
    t.assertEqual(went, "rollbackFailed")
    machine.succeed("rm --recursive /run/systemd/system/subject.service.d", "systemctl daemon-reload")
    machine.succeed("systemctl reset-failed subject.service", "systemctl restart subject.service")
    t.assertEqual(shown(), static)

with subtest("and once it can start again, an apply puts back what holds"):
    machine.succeed("apply-dynamic-configuration")
    mine |= {"text": "never"}
    t.assertEqual(shown(), mine)

with subtest("a unit that takes longer to stop than its deadline is not left stopped"):
    machine.succeed("dynix append services.subject.settings.behaviour stubborn --apply")
    mine["behaviour"] = "stubborn"
    t.assertEqual(shown(), mine)
    status, _ = machine.execute("dynix append services.subject.settings.text late --apply")
    assert status in [4, 5], status
    machine.wait_until_succeeds("systemctl is-active --quiet subject.service", timeout=40)
    assert shown() in [static, mine]
