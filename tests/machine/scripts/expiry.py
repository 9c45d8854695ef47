"""An override with an end is over by itself, also behind a reboot, and leaves no timer."""

import json
import time


def text() -> str:
    pid = machine.get_unit_property("words.service", "MainPID")
    # It counts as started before its start script has run the program.
    said = machine.wait_until_succeeds(f"tr '\\0' '\\n' < /proc/{pid}/cmdline | grep --line-regexp -A1 -e --text")
    return said.splitlines()[1]


def is_over(value: str, within: int) -> None:
    machine.wait_until_succeeds(
        f"tr '\\0' '\\n' < /proc/$(systemctl show --property=MainPID --value words.service)/cmdline | grep --quiet '^{value}$'",
        timeout=within,
    )


def timers() -> list[str]:
    listed = machine.succeed("systemctl list-units --plain --no-legend 'dynix-*.timer'")
    return [line.split()[0] for line in listed.splitlines()]


def workers() -> int:
    answer = machine.wait_until_succeeds("curl --silent --fail http://localhost:5000/stand-in/settings", timeout=60)
    return json.loads(answer)["workers"]


WORDS = "dynix append services.words.text"

start_all()
machine.wait_for_unit("words.service")
machine.wait_for_unit("harmonia.service")
t.assertEqual(timers(), [])

with subtest("it ends by itself, and what held before holds again"):
    machine.succeed(f"{WORDS} lasting --apply")
    t.assertEqual(timers(), [])
    machine.succeed(f"{WORDS} brief --for 3s --apply")
    t.assertEqual(text(), "brief")
    t.assertEqual(len(timers()), 1)
    # OK is below 5.0.
    machine.succeed(f"systemd-analyze security --no-pager --threshold=49 {timers()[0].replace('.timer', '.service')}")
    assert "ends in" in machine.succeed("dynix status")
    is_over("lasting", within=20)
    assert "[rejected: expired]" in machine.succeed("dynix log")
    machine.wait_until_fails("systemctl list-units --all --plain --no-legend 'dynix-*' | grep --invert-match 'dynix-watch\|dynix-after-boot'", timeout=10)

with subtest("what is recorded and not applied stays so"):
    machine.succeed("dynix append services.harmonia.settings.workers 9", f"{WORDS} brief --for 2s --apply")
    is_over("lasting", within=20)
    t.assertEqual(workers(), 4)
    machine.succeed("dynix reset", f"{WORDS} lasting --apply")

with subtest("with several, there is one timer for the next end"):
    machine.succeed(f"{WORDS} long --for 1h --apply", "dynix append services.harmonia.settings.workers 7 --for 3s --apply")
    t.assertEqual(len(timers()), 1)
    machine.wait_until_succeeds("curl --silent localhost:5000/stand-in/settings | grep --quiet '\"workers\": 4'", timeout=20)
    t.assertEqual(text(), "long")
    machine.wait_until_succeeds("systemctl list-timers --all | grep dynix-expiry", timeout=10)
    t.assertEqual(len(timers()), 1)
    machine.succeed("dynix apply")
    t.assertEqual(len(timers()), 1)

with subtest("taken back before its end, it leaves no timer"):
    machine.succeed("dynix unset services.words.text --apply")
    t.assertEqual(timers(), [])

with subtest("an apply of another service takes what is over with it"):
    machine.succeed(f"{WORDS} brief --for 2s --apply")
    machine.succeed(f"systemctl stop {timers()[0]}")
    machine.wait_until_succeeds("dynix status | grep 'time is over'", timeout=20)
    machine.succeed("dynix append services.harmonia.settings.workers 8 --apply")
    t.assertEqual(text(), "static")
    t.assertEqual(timers(), [])

with subtest("after a reboot it still ends by itself"):
    machine.succeed(f"{WORDS} lasting --apply --wait", f"{WORDS} brief --for 20s --apply --wait")
    machine.reboot()
    machine.wait_for_unit("multi-user.target")
    machine.wait_for_unit("words.service")
    t.assertEqual(text(), "brief")
    t.assertEqual(timers(), ["dynix-expiry.timer"])
    machine.succeed("systemd-analyze security --no-pager --threshold=49 dynix-expiry.service")
    is_over("lasting", within=60)
    machine.wait_until_fails("test -e /run/systemd/system/dynix-expiry.timer", timeout=10)
    machine.wait_until_fails("test -e /run/systemd/system/dynix-expiry.service", timeout=10)

with subtest("over while the machine was off: it is not there after the start"):
    machine.succeed(f"{WORDS} brief --for 3s --apply")
    machine.shutdown()
    time.sleep(4)
    machine.start()
    machine.wait_for_unit("multi-user.target")
    machine.wait_for_unit("words.service")
    t.assertEqual(text(), "lasting")
    machine.wait_until_fails("systemctl list-units --plain --no-legend 'dynix-*' | grep --invert-match 'dynix-watch\|dynix-after-boot'", timeout=10)

with subtest("what was in the way of its end is only in the way: it is tried again"):
    machine.succeed(f"{WORDS} brief --for 2s --apply", "mount --bind /run/dynix /run/dynix")
    machine.succeed("mount -o remount,bind,ro /run/dynix")
    machine.wait_until_succeeds("journalctl -b -u 'dynix-expiry-*' | grep 'Read-only'", timeout=20)
    t.assertEqual(text(), "brief")
    machine.succeed("umount /run/dynix")
    is_over("lasting", within=30)
    machine.wait_until_fails("systemctl list-units --all --plain --no-legend 'dynix-*' | grep --invert-match 'dynix-watch\|dynix-after-boot'", timeout=10)

with subtest("a switch leaves no timer"):
    machine.succeed(f"{WORDS} long --for 1h --apply")
    machine.succeed("/run/current-system/bin/switch-to-configuration switch")
    t.assertEqual(timers(), [])
    t.assertEqual(text(), "static")

with subtest("what ends within a trial ends when that is over"):
    machine.succeed(f"{WORDS} brief --for 2s --apply --confirm 4s")
    machine.wait_until_succeeds("dynix status | grep 'time is over'", timeout=20)
    t.assertEqual(text(), "brief")
    machine.succeed("dynix confirm")
    is_over("static", within=20)
