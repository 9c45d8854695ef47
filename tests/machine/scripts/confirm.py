"""A change on trial goes back by itself unless it is confirmed, whatever becomes of whoever made it."""

import json


def workers() -> int:
    answer = machine.wait_until_succeeds("curl --silent --fail http://localhost:5000/stand-in/settings", timeout=60)
    return json.loads(answer)["workers"]


def status() -> dict:
    return json.loads(machine.succeed("dynix status --json"))


def timers() -> list[str]:
    """The timers of dynix's that systemd knows, running or not, with their services."""
    listed = machine.succeed("systemctl list-units --all --plain --no-legend 'dynix-*'")
    units = [line.split()[0] for line in listed.splitlines()]
    return [unit for unit in units if not unit.startswith(("dynix-watch-", "dynix-after-boot"))]


def goes_back_to(number: int, within: int) -> None:
    # Asked of the file that the unit reads and of the process.
    machine.wait_until_succeeds(
        f"curl --silent --fail http://localhost:5000/stand-in/settings | grep --quiet '\"workers\": {number}\\b'",
        timeout=within,
    )
    machine.wait_until_fails("systemctl list-units --all --plain --no-legend 'dynix-*' | grep --invert-match 'dynix-watch\|dynix-after-boot'", timeout=10)
    assert "awaiting" not in status()


WORKERS = "dynix append services.harmonia.settings.workers"

start_all()
machine.wait_for_unit("harmonia.service")
machine.wait_for_unit("words.service")
machine.succeed(f"{WORKERS} 5 --apply")
t.assertEqual(workers(), 5)
prior = machine.succeed("readlink /run/dynix/harmonia/current")

with subtest("with nothing on trial, there is nothing to confirm"):
    for flag in ["", "--revert"]:
        code, said = machine.execute(f"dynix confirm {flag} 2>&1")
        t.assertEqual(code, 1)
        assert "nothing awaits a confirmation" in said, said

with subtest("confirmed in time: it stays"):
    said = machine.succeed(f"{WORKERS} 6 --apply --confirm 20s 2>&1")
    assert "awaits its confirmation" in said and "`dynix confirm` keeps it" in said, said
    t.assertEqual(workers(), 6)
    awaiting = status()["awaiting"]
    t.assertEqual(awaiting["services"], ["harmonia"])
    assert 10 < awaiting["left"] <= 20, awaiting
    assert "awaits its confirmation" in machine.succeed("dynix status")
    t.assertEqual(machine.succeed("dynix get services.harmonia.settings.workers"), "6\n")
    machine.succeed("dynix confirm")
    t.assertEqual(timers(), [])
    assert "awaiting" not in status()
    machine.succeed("dynix apply")
    t.assertEqual(workers(), 6)
    log = machine.succeed("dynix log")
    assert "reject" in log and "[rejected: not confirmed]" not in log.split("confirmed\n")[0].splitlines()[-3], log
    machine.fail("dynix confirm")

with subtest("a timer that comes too late ends its own trial and no other"):
    machine.succeed(f"{WORKERS} 20 --apply --confirm 60s")
    late = timers()[0].rpartition(".")[0]
    machine.succeed("dynix confirm", f"{WORKERS} 21 --apply --confirm 60s")
    machine.succeed(f"dynix confirm --revert --of {late}")
    t.assertEqual(workers(), 21)
    machine.succeed("dynix confirm --revert")
    t.assertEqual(workers(), 20)
    machine.succeed(f"{WORKERS} 6 --apply")

with subtest("not confirmed: it goes back to the very generation that it had, and an apply does not bring it back"):
    prior = machine.succeed("readlink /run/dynix/harmonia/current")
    machine.succeed(f"{WORKERS} 7 --apply --confirm 2s")
    t.assertEqual(workers(), 7)
    goes_back_to(6, within=15)
    t.assertEqual(machine.succeed("readlink /run/dynix/harmonia/current"), prior)
    machine.succeed("dynix apply")
    t.assertEqual(workers(), 6)
    t.assertEqual(status()["services"]["harmonia"]["lastFailure"]["result"], "notConfirmed")
    assert "not confirmed" in machine.succeed("dynix status")
    assert "[rejected: not confirmed]" in machine.succeed("dynix log")

with subtest("the caller is killed as soon as the new values are in effect"):
    machine.succeed(
        f"systemd-run --unit=caller --setenv=PATH=$PATH bash -c '{WORKERS} 8 --apply --confirm 3s; sleep 600'"
    )
    machine.wait_until_succeeds("curl --silent localhost:5000/stand-in/settings | grep --quiet '\"workers\": 8'")
    machine.succeed("systemctl kill --signal=KILL caller.service")
    goes_back_to(6, within=15)

with subtest("dynix itself is killed at any moment: it goes back all the same, or never was"):
    for number in range(20):
        machine.execute(f"timeout --signal=KILL 0.{number * 4:03} {WORKERS} 9 --apply --confirm 1s")
        goes_back_to(6, within=15)
        machine.wait_until_succeeds("systemctl is-active --quiet harmonia.service", timeout=5)

with subtest("what was only recorded goes on trial as well, with several services"):
    machine.succeed(f"{WORKERS} 10", "dynix append services.words.text trial")
    machine.succeed("dynix apply --confirm 2s")
    t.assertEqual(workers(), 10)
    t.assertEqual(status()["awaiting"]["services"], ["harmonia", "words"])
    goes_back_to(6, within=15)
    t.assertEqual(machine.succeed("dynix get services.words.text"), "static\n")
    machine.fail("test -e /run/dynix/words/current")

with subtest("going back at once"):
    machine.succeed(f"{WORKERS} 11 --apply --confirm 10min", "dynix confirm --revert")
    goes_back_to(6, within=1)

with subtest("while a change awaits its confirmation, its services are left alone and others are not"):
    machine.succeed(f"{WORKERS} 12 --apply --confirm 10min")
    code, said = machine.execute(f"{WORKERS} 13 --apply 2>&1")
    t.assertEqual(code, 1)
    assert "awaits its confirmation" in said, said
    code, said = machine.execute("dynix append services.words.text second --apply --confirm 5s 2>&1")
    t.assertEqual(code, 1)
    assert "awaits its confirmation" in said, said
    machine.succeed("dynix append services.words.text other --apply")
    said = machine.succeed("dynix apply 2>&1")
    assert "nothing else is done to it" in said, said
    machine.succeed("dynix reset words")
    t.assertEqual(machine.succeed("dynix get services.words.text"), "static\n")
    machine.succeed("dynix append services.words.text other --apply")
    t.assertEqual(workers(), 12)
    assert any(unit.endswith(".timer") for unit in timers()), timers()
    machine.succeed("dynix confirm")
    t.assertEqual(workers(), 12)
    # Recorded meanwhile, and not applied by that.
    t.assertEqual(status()["services"]["harmonia"]["pending"], True)
    machine.succeed("dynix apply")
    t.assertEqual(workers(), 13)
    t.assertEqual(machine.succeed("dynix get services.words.text"), "other\n")

with subtest("a rollback, an unset and a reset can be on trial too"):
    machine.succeed("dynix rollback --apply --confirm 2s")
    t.assertEqual(machine.succeed("dynix get services.words.text"), "static\n")
    machine.wait_until_succeeds("dynix get services.words.text | grep other", timeout=15)
    machine.succeed("dynix unset services.harmonia.settings.workers --apply --confirm 2s")
    t.assertEqual(workers(), 4)
    goes_back_to(13, within=15)
    machine.succeed("dynix reset --confirm 2s")
    t.assertEqual(workers(), 4)
    goes_back_to(13, within=15)

with subtest("what does not work is not left on trial"):
    code, _ = machine.execute("dynix append services.subject.settings.behaviour crash --apply --confirm 10min")
    t.assertEqual(code, 4)
    t.assertEqual(timers(), [])
    assert "awaiting" not in status()
    machine.succeed("dynix append services.harmonia.settings.workers 13 --apply --confirm 10min")
    t.assertEqual(timers(), [])

with subtest("a switch ends it: the built configuration is in effect"):
    machine.succeed(f"{WORKERS} 14 --apply --confirm 10min")
    machine.succeed("/run/current-system/bin/switch-to-configuration switch")
    t.assertEqual(workers(), 4)
    t.assertEqual(timers(), [])
    machine.fail("dynix confirm")

with subtest("a log that somebody broke in the meantime keeps nothing from going back"):
    machine.succeed(f"{WORKERS} 15 --apply --wait", "cp /etc/nixos/dynamic.nix /root/kept", f"{WORKERS} 16 --apply --confirm 2s")
    machine.succeed("echo '{ this is no record' >> /etc/nixos/dynamic.nix; echo >> /etc/nixos/dynamic.nix")
    machine.wait_until_succeeds("curl --silent localhost:5000/stand-in/settings | grep --quiet '\"workers\": 15'", timeout=15)
    machine.succeed("cp /root/kept /etc/nixos/dynamic.nix", "dynix apply")
    t.assertEqual(workers(), 15)

with subtest("a reboot while it awaits its confirmation: it does not come back"):
    machine.succeed(f"{WORKERS} 17 --apply --confirm 10min")
    t.assertEqual(workers(), 17)
    machine.reboot()
    machine.wait_for_unit("harmonia.service")
    t.assertEqual(workers(), 15)
    t.assertEqual(timers(), [])
    machine.fail("dynix confirm")

with subtest("a power failure neither"):
    machine.succeed(f"{WORKERS} 18 --apply --confirm 10min")
    machine.crash()
    start_all()
    machine.wait_for_unit("harmonia.service")
    t.assertEqual(workers(), 15)
