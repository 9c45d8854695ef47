"""What a unit's process really sees is looked at: values that are in place and that it does not run on are no success."""

import json

TEXT = "services.subject.settings.text"
WORDS = "services.words.text"


def shown() -> dict:
    """What the running process was started with."""
    return json.loads(machine.wait_until_succeeds("timeout 5 cat < /dev/tcp/127.0.0.1/7000", timeout=20))


def arguments() -> list[str]:
    pid = machine.get_unit_property("words.service", "MainPID")
    return machine.succeed(f"tr '\\0' '\\n' < /proc/{pid}/cmdline").splitlines()


def drop_in(unit: str, *lines: str) -> None:
    """An admin's own."""
    directory = f"/etc/systemd/system/{unit}.d"
    text = "\\n".join(["[Service]", *lines])
    machine.succeed(f"mkdir -p {directory}", f"printf '{text}\\n' > {directory}/90-admin.conf", "systemctl daemon-reload")


def no_drop_in(unit: str) -> None:
    machine.succeed(f"rm /etc/systemd/system/{unit}.d/90-admin.conf", "systemctl daemon-reload")


def status(service: str) -> dict:
    return json.loads(machine.succeed("dynix status --json"))["services"][service]


start_all()
machine.wait_for_unit("subject.service")
machine.wait_for_unit("words.service")

with subtest("a drop-in takes the bind away: the apply says so, and so does the status"):
    drop_in("subject.service", "BindReadOnlyPaths=")
    code, said = machine.execute(f"dynix append {TEXT} one --apply 2>&1")
    t.assertEqual(code, 7)
    assert "subject: its values are in place, and it does not run on them: subject.service goes on with another" in said, said
    t.assertEqual(shown()["text"], "static")
    found = status("subject")
    t.assertEqual((found["lastFailure"]["result"], found["pending"]), ("unseen", True))
    t.assertEqual(json.loads(machine.succeed(f"dynix get {TEXT} --json"))["applied"], False)
    assert "it does not run on them" in machine.succeed("dynix status"), machine.succeed("dynix status")
    assert "rejected" not in machine.succeed("dynix log --json"), "the value is not what is wrong"

with subtest("once it is mended, an apply restarts the unit"):
    no_drop_in("subject.service")
    machine.succeed("dynix apply")
    t.assertEqual(shown()["text"], "one")
    assert "lastFailure" not in status("subject")
    t.assertEqual(machine.succeed("dynix apply"), "nothing to do\n")

with subtest("a unit that was restarted without its bind later on is noticed by the next apply"):
    drop_in("subject.service", "BindReadOnlyPaths=")
    machine.succeed("systemctl restart subject.service")
    t.assertEqual(shown()["text"], "static")
    t.assertEqual(machine.execute("dynix apply")[0], 7)
    no_drop_in("subject.service")
    machine.succeed("dynix apply")
    t.assertEqual(shown()["text"], "one")

with subtest("a bind of the unit's own over the same file counts first"):
    target = machine.succeed("systemctl show -p BindReadOnlyPaths --value subject.service").split(":")[1]
    machine.succeed("cp /run/dynix/subject/current/subject.json /root/own", "sed -i s/one/own/ /root/own")
    drop_in("subject.service", "BindReadOnlyPaths=", f"BindReadOnlyPaths=/root/own:{target}")
    t.assertEqual(machine.execute(f"dynix append {TEXT} two --apply")[0], 7)
    t.assertEqual(shown()["text"], "own")
    no_drop_in("subject.service")
    machine.succeed("dynix apply")
    t.assertEqual(shown()["text"], "two")

with subtest("variables that do not come to the process"):
    drop_in("words.service", "EnvironmentFile=")
    code, said = machine.execute(f"dynix append {WORDS} other --apply 2>&1")
    t.assertEqual(code, 7)
    assert "words.service goes on with another variable" in said, said
    assert "other" not in arguments(), arguments()
    no_drop_in("words.service")
    machine.succeed("dynix apply")
    assert "other" in arguments(), arguments()

with subtest("a reset is looked at as well"):
    machine.succeed("dynix reset")
    t.assertEqual(shown()["text"], "static")
    assert "other" not in arguments(), arguments()
