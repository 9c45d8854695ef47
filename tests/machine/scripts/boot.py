"""What works comes into effect at boot, before units start; what a switch took back stays taken back."""

import json


def shown() -> dict:
    answer = machine.wait_until_succeeds("curl --silent --fail http://localhost:5000/stand-in/settings", timeout=60)
    return json.loads(answer)


def jobs() -> str:
    pid = machine.get_unit_property("distccd.service", "MainPID")
    words = machine.succeed(f"tr '\\0' '\\n' < /proc/{pid}/cmdline").splitlines()
    return words[words.index("--jobs") + 1]


def wait() -> None:
    machine.wait_for_unit("multi-user.target")
    machine.wait_for_unit("harmonia.service")
    machine.wait_for_unit("distccd.service")


def wait_until_tried() -> None:
    """What was never in effect comes into effect once the system is up."""
    machine.wait_until_fails("test -e /run/systemd/system/dynix-after-boot.service", timeout=60)


def starts() -> int:
    """How often harmonia was started since boot."""
    return machine.succeed("journalctl --boot --unit=harmonia.service").count("Started harmonia")


STATIC = {"workers": 4, "max_connection_rate": 256}
boot_id = "cat /proc/sys/kernel/random/boot_id; systemctl show --property=UserspaceTimestamp"

start_all()
wait()
t.assertEqual(shown(), STATIC)

with subtest("what was applied survives a reboot, and what was only recorded comes into effect with it"):
    machine.succeed("dynix append services.harmonia.settings.workers 20 --apply --wait")
    machine.succeed("dynix append services.distccd.maxJobs 4")
    t.assertEqual(shown(), STATIC | {"workers": 20})
    t.assertEqual(jobs(), "12")
    before = machine.succeed(boot_id)
    machine.reboot()
    wait()
    t.assertNotEqual(machine.succeed(boot_id), before)
    t.assertEqual(shown(), STATIC | {"workers": 20})
    wait_until_tried()
    t.assertEqual(jobs(), "4")

with subtest("the units were started on these values, not restarted for them"):
    t.assertEqual(starts(), 1)
    pid = machine.get_unit_property("harmonia.service", "MainPID")
    machine.succeed("apply-dynamic-configuration")
    t.assertEqual(machine.get_unit_property("harmonia.service", "MainPID"), pid)

with subtest("an append survives a power failure"):
    machine.succeed("dynix append services.harmonia.settings.max_connection_rate 7")
    machine.crash()
    start_all()
    wait()
    wait_until_tried()
    t.assertEqual(shown(), STATIC | {"workers": 20, "max_connection_rate": 7})

with subtest("the activation script, run by hand, applies what is recorded"):
    machine.succeed("dynix append services.harmonia.settings.workers 21")
    t.assertEqual(shown()["workers"], 20)
    machine.succeed("/nix/var/nix/profiles/system/activate")
    t.assertEqual(shown()["workers"], 21)

with subtest("a dry activation only says what it would do"):
    said = machine.succeed("/run/current-system/bin/switch-to-configuration dry-activate")
    assert "restart harmonia.service" in said, said
    t.assertEqual(shown()["workers"], 21)

with subtest("so does what is meant for the next boot"):
    machine.succeed("/run/current-system/bin/switch-to-configuration boot")
    t.assertEqual(shown()["workers"], 21)

with subtest("a switch goes back to the built configuration, and it stays so after a reboot"):
    machine.succeed("/run/current-system/bin/switch-to-configuration switch")
    t.assertEqual(shown(), STATIC)
    t.assertEqual(jobs(), "12")
    machine.reboot()
    wait()
    t.assertEqual(shown(), STATIC)
    t.assertEqual(jobs(), "12")

with subtest("activated in a chroot, as by a systemd initrd, files are changed and the outer systemd is left alone"):
    machine.succeed("dynix append services.harmonia.settings.workers 22 --apply --wait")
    machine.succeed(
        "mkdir -p /sysroot && mount -t tmpfs none /sysroot && cd / &&"
        " for entry in *; do [ $entry = sysroot ] || { if [ -L $entry ]; then cp -a $entry /sysroot/;"
        " elif [ -d $entry ]; then mkdir /sysroot/$entry && mount --rbind --make-rslave /$entry /sysroot/$entry; fi; }; done"
    )
    # Nobody watches it, so it is not known whether it works.
    machine.succeed("dynix append services.harmonia.settings.workers 23 --apply; systemctl stop 'dynix-watch-*'")
    t.assertEqual(shown()["workers"], 23)
    pid = machine.get_unit_property("harmonia.service", "MainPID")
    said = machine.succeed("env -u NIXOS_ACTION chroot /sysroot /nix/var/nix/profiles/system/activate 2>&1")
    assert "units are left alone" in said, said
    # The next boot starts on what is known to work.
    assert "workers = 22" in machine.succeed("cat /run/dynix/harmonia/current/harmonia.toml")
    t.assertEqual(machine.get_unit_property("harmonia.service", "MainPID"), pid)
    machine.succeed("umount --lazy /sysroot && dynix reset")
    t.assertEqual(shown(), STATIC)

with subtest("a log that can't be read keeps nothing from booting"):
    machine.succeed("dynix append services.harmonia.settings.workers 20 --apply")
    machine.succeed("echo '{ this is no record' >> /etc/nixos/dynamic.nix; echo >> /etc/nixos/dynamic.nix")
    machine.succeed("echo '}}}}' >> /etc/nixos/dynamic.nix")
    machine.reboot()
    wait()
    t.assertEqual(shown(), STATIC)
    status, _ = machine.execute("dynix apply")
    t.assertEqual(status, 1)
