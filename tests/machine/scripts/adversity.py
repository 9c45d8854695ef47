"""The file system is full or read-only, dynix is killed half-way: nothing is half-applied, an apply puts it right."""

import json


def workers() -> int:
    answer = machine.wait_until_succeeds("curl --silent --fail http://localhost:5000/stand-in/settings", timeout=60)
    return json.loads(answer)["workers"]


def subject() -> dict:
    return json.loads(machine.wait_until_succeeds("timeout 5 cat < /dev/tcp/127.0.0.1/7000", timeout=20))


def main_pid() -> str:
    return machine.get_unit_property("harmonia.service", "MainPID")


def mount(path: str, options: str) -> None:
    """Puts what is there onto a file system of its own."""
    machine.succeed(
        f"mkdir --parents /root/kept {path}; cp --archive {path}/. /root/kept/",
        f"mount -t tmpfs -o {options} tmpfs {path}; cp --archive /root/kept/. {path}/; rm --recursive /root/kept",
    )


start_all()
machine.wait_for_unit("harmonia.service")
machine.wait_for_unit("subject.service")
machine.succeed("dynix append services.harmonia.settings.workers 5 --apply")
t.assertEqual(workers(), 5)
pid = main_pid()

with subtest("no space under /run/dynix: nothing changes, and it works once there is"):
    mount("/run/dynix", "size=64k")
    machine.succeed("dynix append services.harmonia.settings.workers 6")
    machine.execute("cat /dev/zero > /run/dynix/filler 2>/dev/null")
    status, said = machine.execute("dynix apply 2>&1")
    t.assertEqual(status, 1)
    assert "No space left" in said and "/run/dynix" in said, said
    t.assertEqual(main_pid(), pid)
    machine.succeed("systemctl restart harmonia.service")
    t.assertEqual(workers(), 5)
    machine.succeed("rm /run/dynix/filler", "dynix apply")
    t.assertEqual(workers(), 6)
    # The generations that are kept would fill 64 kB in what follows.
    machine.succeed("mount -o remount,size=1M /run/dynix")
    pid = main_pid()

with subtest("/run/dynix read-only: nothing changes, and it works once it is not"):
    machine.succeed("mount -o remount,ro /run/dynix", "dynix append services.harmonia.settings.workers 7")
    status, said = machine.execute("dynix apply 2>&1")
    t.assertEqual(status, 1)
    assert "Read-only" in said and "/run/dynix" in said, said
    t.assertEqual(main_pid(), pid)
    machine.succeed("mount -o remount,rw /run/dynix", "dynix apply")
    t.assertEqual(workers(), 7)

with subtest("no space for the log: the append is refused, and every record is whole"):
    mount("/etc/nixos", "size=16k")
    machine.execute("cat /dev/zero > /etc/nixos/filler 2>/dev/null")
    value = "x" * 9000
    status, said = machine.execute(f"dynix append services.subject.settings.text {value} 2>&1")
    t.assertEqual(status, 1)
    assert "/etc/nixos/dynamic.nix" in said, said
    t.assertEqual(len(json.loads(machine.succeed("dynix log --json"))), 3)
    machine.succeed("rm /etc/nixos/filler")
    machine.succeed("dynix append services.harmonia.settings.workers 8 --apply")
    t.assertEqual(workers(), 8)
    t.assertEqual(len(json.loads(machine.succeed("dynix log --json"))), 4)

with subtest("killed between the swap and the unit's answer: the next apply puts it right"):
    good = subject()
    machine.succeed("dynix append services.subject.settings.behaviour hang")
    machine.succeed("systemd-run --unit=first dynix apply")
    machine.wait_until_succeeds("systemctl show --property=ActiveState subject.service | grep activating")
    machine.succeed("systemctl kill --signal=KILL first.service")
    status, _ = machine.execute("dynix apply")
    t.assertEqual(status, 4)
    t.assertEqual(subject(), good)
    machine.succeed("dynix apply")

with subtest("killed at any moment: both the file and the process are the old or the new ones, never something else"):
    for number in range(30):
        wanted = 10 + number
        machine.succeed(f"dynix append services.harmonia.settings.workers {wanted}")
        machine.execute(f"timeout --signal=KILL 0.{number * 6:03} dynix apply")
        seen = machine.succeed("cat /run/dynix/harmonia/current/harmonia.toml")
        assert f"workers = {wanted}\n" in seen or f"workers = {wanted - 1}\n" in seen or number == 0, seen
        machine.succeed("dynix apply")
        t.assertEqual(workers(), wanted)
        pid = main_pid()
        machine.succeed("dynix apply")
        t.assertEqual(main_pid(), pid)

with subtest("killed at any moment of a change on trial, or of its confirmation: it is the old or the new value as a whole"):
    standing = workers()
    for number in range(10):
        wanted = 100 + number
        machine.execute(
            f"timeout --signal=KILL 0.{number * 15:03} dynix append services.harmonia.settings.workers {wanted}"
            " --apply --confirm 1s"
        )
        if number % 2:
            machine.execute(f"timeout --signal=KILL 0.{number * 2:03} dynix confirm")
        machine.wait_until_fails("systemctl list-units --all --plain --no-legend 'dynix-*' | grep --invert-match dynix-watch", timeout=30)
        machine.succeed("dynix apply")
        now = workers()
        assert now == standing or number % 2 and now == wanted, (now, standing, wanted)
        t.assertEqual(int(machine.succeed("dynix get services.harmonia.settings.workers")), now)
        assert "awaiting" not in json.loads(machine.succeed("dynix status --json"))
        standing = now

with subtest("nothing of all that stays behind"):
    machine.succeed("dynix reset")
    t.assertEqual(workers(), 4)
    leftover = machine.succeed("find /run/dynix /etc/nixos /run/systemd/system -name '.*' -not -name '*.lock' -o -name '*.tmp*'")
    t.assertEqual(leftover, "")
