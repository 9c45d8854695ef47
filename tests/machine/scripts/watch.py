"""A unit that dies after the apply goes back all the same, as long as it is watched; the next apply says what failed."""

import json
import time

WINDOW = 2
TEXT = "dynix append services.mortal.settings.text"
LIVES = "dynix append services.mortal.settings.lives"


def shown(port: int = 7100) -> dict:
    """What the running process was started with."""
    return json.loads(machine.wait_until_succeeds(f"timeout 5 cat < /dev/tcp/127.0.0.1/{port}", timeout=20))


def status(service: str = "mortal") -> dict:
    return json.loads(machine.succeed("dynix status --json"))["services"][service]


def watchers() -> list[str]:
    listed = machine.succeed("systemctl list-units --plain --no-legend 'dynix-watch-*'")
    return [line.split()[0] for line in listed.splitlines()]


def unwatched() -> None:
    """Waits until nothing is watched any more, and nobody watches."""
    machine.wait_until_succeeds("test -z \"$(systemctl list-units --all --plain --no-legend 'dynix-watch-*')\"", timeout=30)
    assert "watched" not in status() and "watched" not in status("phoenix")


def rejected() -> dict[int, str]:
    """The records that do not hold, with the reason."""
    log = json.loads(machine.succeed("dynix log --json"))
    return {one["id"]: one["rejected"] for one in log if "rejected" in one and not one["holds"]}


def last() -> int:
    return json.loads(machine.succeed("dynix log --json"))[-1]["id"]


def goes_back(service: str = "mortal") -> str:
    """Waits until it went back; the reason."""
    end = time.monotonic() + 20
    while status(service).get("lastFailure", {}).get("result") != "rolledBack":
        assert time.monotonic() < end, status(service)
        time.sleep(0.05)
    # What came along, and is none of its fault, may be tried again by now.
    machine.wait_until_succeeds(f"systemctl is-active {service}.service", timeout=20)
    reason: str = status(service)["lastFailure"]["reason"]
    return reason


start_all()
machine.wait_for_unit("mortal.service")
machine.wait_for_unit("phoenix.service")
static = shown()

with subtest("what is in effect is watched, and that is said"):
    said = machine.succeed(f"{TEXT} first --apply")
    assert f"in effect, watched for {WINDOW} s" in said, said
    t.assertEqual(shown()["text"], "first")
    t.assertEqual(status()["units"], {"mortal.service": "active"})
    assert 0 < status()["watched"] <= WINDOW
    assert "mortal.service is active; watched for" in machine.succeed("dynix status")
    t.assertEqual(len(watchers()), 1)
    # OK is below 5.0.
    machine.succeed(f"systemd-analyze security --no-pager --threshold=49 {watchers()[0]}")
    unwatched()
    t.assertEqual(shown()["text"], "first")

with subtest("it dies later: it goes back, and the record is rejected with the reason"):
    good = machine.succeed("readlink /run/dynix/mortal/current")
    machine.succeed(f"{LIVES} 0.5 --apply")
    record = last()
    reason = goes_back()
    assert "mortal.service: it is failed" in reason and "mortal: its time is over" in reason, reason
    t.assertEqual(machine.succeed("readlink /run/dynix/mortal/current"), good)
    t.assertEqual(shown(), static | {"text": "first"})
    t.assertIn("its time is over", rejected()[record])
    machine.wait_until_succeeds(f"journalctl DYNIX_SERVICE=mortal DYNIX_RESULT=rolled-back DYNIX_ID={record} | grep mortal")
    unwatched()

with subtest("what was recorded before, and came into effect with it, is judged by itself"):
    machine.succeed(f"{TEXT} before")
    record = last()
    machine.succeed(f"{LIVES} 0.5 --apply")
    machine.wait_until_succeeds(f"dynix log --json | python3 -c 'import json, sys; sys.exit(not any(\"rejected\" in one for one in json.load(sys.stdin) if one[\"id\"] == {record + 1}))'", timeout=20)
    unwatched()
    assert record not in rejected(), rejected()
    t.assertEqual(shown(), static | {"text": "before"})
    machine.succeed(f"{TEXT} first --apply")
    unwatched()
    t.assertEqual(machine.succeed("dynix apply"), "nothing to do\n")
    t.assertEqual(shown()["text"], "first")

with subtest("it ends by itself, with success"):
    machine.succeed("dynix append services.mortal.settings.status 0", f"{LIVES} 0.3 --apply")
    assert "mortal.service: it is inactive" in goes_back()
    # The status came along, and is none of its fault.
    machine.wait_until_succeeds("timeout 5 cat < /dev/tcp/127.0.0.1/7100 | grep '\"status\": 0'", timeout=20)
    t.assertEqual(shown(), static | {"text": "first", "status": 0})
    machine.succeed("dynix unset services.mortal.settings.status --apply")
    unwatched()
    t.assertEqual(shown(), static | {"text": "first"})

with subtest("killed at any moment, and nobody applies again: what was under way is finished, and goes back"):
    rejections = len(rejected())
    for number in range(1, 15):
        before = last()
        machine.execute(f"timeout --signal=KILL 0.{number * 25:03} {LIVES} 0.6 --apply")
        unwatched()
        t.assertEqual(shown(), static | {"text": "first"})
        state = json.loads(machine.succeed("cat /run/dynix/state.json"))
        assert "underWay" not in state and not any("pending" in one for one in state["services"].values()), state
        if any(one["id"] > before and "set" in one and one["holds"] for one in json.loads(machine.succeed("dynix log --json"))):
            # It was not under way yet.
            machine.succeed("dynix rollback")
        t.assertEqual(machine.succeed("dynix apply"), "nothing to do\n")
    assert len(rejected()) > rejections

with subtest("systemd starts it again and again"):
    machine.succeed("dynix append services.phoenix.settings.lives 0.3 --apply")
    assert "systemd had to start it again" in goes_back("phoenix")
    t.assertEqual(shown(7101), static)
    unwatched()

with subtest("who wants to know waits: 4 if it failed, 0 if it did not"):
    code, said = machine.execute(f"{LIVES} 0.5 --apply --wait 2>&1")
    t.assertEqual(code, 4, said)
    assert "its time is over" in said and "is back on what it had" in said, said
    began = time.monotonic()
    said = machine.succeed(f"{TEXT} second --apply --wait")
    assert time.monotonic() - began >= WINDOW and "watched" not in said, said
    t.assertEqual(status().get("watched"), None)
    began = time.monotonic()
    said = machine.succeed(f"{TEXT} third --apply --wait=100ms")
    assert time.monotonic() - began < WINDOW and "watched for" in said, said
    unwatched()

with subtest("who stops it in the meantime is no failure, however it ends"):
    for dies in [0, 1]:
        machine.succeed(f"dynix append services.mortal.settings.dies {dies} --apply")
        record = last()
        shown()
        machine.succeed("systemctl stop mortal.service")
        t.assertEqual(status()["units"]["mortal.service"], "failed (stopped)" if dies else "inactive (stopped)")
        unwatched()
        t.assertNotIn(record, rejected())
        t.assertEqual(machine.succeed("dynix apply"), "nothing to do\n")
        machine.fail("systemctl is-active mortal.service")
        machine.succeed("systemctl reset-failed mortal.service; systemctl start mortal.service")
        t.assertEqual(shown()["dies"], dies)
    machine.succeed("dynix append services.mortal.settings.dies 0 --apply --wait")

with subtest("who restarts it begins nothing anew"):
    machine.succeed(f"{LIVES} 1 --apply && systemctl restart mortal.service")
    goes_back()
    unwatched()

with subtest("of two changes the second is bad: the first one stays"):
    machine.succeed(f"{TEXT} fourth --apply", f"{LIVES} 0.3 --apply")
    second = last()
    goes_back()
    t.assertEqual(shown(), static | {"text": "fourth"})
    t.assertIn(second, rejected())
    t.assertNotIn(second - 1, rejected())
    t.assertEqual(len(watchers()), 1)
    unwatched()
    t.assertEqual(shown()["text"], "fourth")

with subtest("the first one is bad, and fails under the second: that one is tried again without it"):
    machine.succeed(f"{LIVES} 1 --apply", f"{TEXT} innocent --apply")
    innocent = last()
    machine.wait_until_succeeds("dynix get services.mortal.settings.text | grep innocent", timeout=20)
    machine.wait_until_succeeds(f"dynix log | grep 'failed without it as well'", timeout=20)
    t.assertEqual(shown(), static | {"text": "innocent"})
    t.assertIn(innocent - 1, rejected())
    t.assertNotIn(innocent, rejected())
    unwatched()
    t.assertEqual(shown(), static | {"text": "innocent"})

with subtest("whoever watches is killed: it is started again"):
    machine.succeed(f"{LIVES} 1.7 --apply")
    machine.succeed(f"systemctl kill --signal=KILL {watchers()[0]}")
    goes_back()
    t.assertEqual(shown(), static | {"text": "innocent"})
    unwatched()

with subtest("whoever watches is stopped: the next apply sees to it"):
    machine.succeed(f"{LIVES} 1 --apply")
    machine.succeed(f"systemctl stop {watchers()[0]}")
    machine.wait_until_fails("systemctl is-active mortal.service", timeout=10)
    machine.succeed("dynix apply phoenix")
    goes_back()
    unwatched()

with subtest("on trial: what fails is over, whoever confirms it meanwhile"):
    machine.succeed(f"{LIVES} 0.5 --apply --confirm 10min")
    goes_back()
    unwatched()
    assert "awaiting" not in json.loads(machine.succeed("dynix status --json"))
    machine.fail("systemctl list-units --plain --no-legend 'dynix-confirm-*' | grep .")
    machine.succeed(f"{LIVES} 1.5 --apply --confirm 10min")
    record = last() - 1
    machine.succeed("dynix confirm")
    goes_back()
    t.assertIn("its time is over", rejected()[record])
    unwatched()
    t.assertEqual(machine.succeed("dynix apply"), "nothing to do\n")
    t.assertEqual(shown(), static | {"text": "innocent"})

with subtest("a change that is taken back by hand is not watched any more"):
    machine.succeed(f"{LIVES} 1.7 --apply --confirm 10min", "dynix confirm --revert")
    unwatched()
    t.assertEqual(shown(), static | {"text": "innocent"})
    t.assertEqual(status()["lastFailure"]["result"], "notConfirmed")

with subtest("while a switch is under way it waits"):
    machine.succeed(f"{LIVES} 0.5 --apply")
    machine.succeed(
        "systemd-run --unit=switching flock /run/nixos/switch-to-configuration.lock sleep 600",
        "until ! flock --nonblock /run/nixos/switch-to-configuration.lock true; do sleep 0.05; done",
    )
    machine.wait_until_fails("systemctl is-active mortal.service", timeout=10)
    machine.sleep(1)
    machine.fail("systemctl is-active mortal.service")
    machine.succeed("systemctl stop switching.service")
    goes_back()
    unwatched()

with subtest("where going back fails as well, it is on what was built"):
    machine.succeed(f"{LIVES} 1 --apply")
    machine.succeed(
        "mkdir /run/systemd/system/mortal.service.d",
        "printf '[Service]\\nExecStartPre=/bin/false\\n' > /run/systemd/system/mortal.service.d/broken.conf",
        "systemctl daemon-reload",
    )
    machine.wait_until_succeeds("dynix status --json | grep --quiet rollbackFailed", timeout=20)
    machine.succeed("rm --recursive /run/systemd/system/mortal.service.d", "systemctl daemon-reload")
    machine.succeed("systemctl reset-failed mortal.service", "systemctl restart mortal.service")
    t.assertEqual(shown(), static)
    # Nothing is known of the value: it failed when nothing else worked.
    machine.succeed("dynix unset services.mortal.settings.lives --apply --wait")
    t.assertEqual(shown(), static | {"text": "innocent"})

with subtest("a unit that fails when it is not watched any more is said by the next apply"):
    unwatched()
    machine.succeed("systemctl kill --signal=KILL mortal.service")
    machine.wait_until_fails("systemctl is-active mortal.service", timeout=10)
    code, said = machine.execute("dynix apply 2>&1")
    t.assertEqual(code, 1, said)
    assert "mortal.service has failed, with the recorded values in effect" in said and "nothing to do" not in said, said
    assert "mortal.service is failed" in machine.succeed("dynix status")
    machine.succeed("systemctl restart mortal.service")
    t.assertEqual(machine.succeed("dynix apply"), "nothing to do\n")

with subtest("a switch to the built configuration watches nothing"):
    machine.succeed(f"{TEXT} fifth --apply", "/run/current-system/bin/switch-to-configuration switch")
    t.assertEqual(shown(), static)
    unwatched()
