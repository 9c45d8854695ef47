# Where the log is on hosts that can't keep it in /etc/nixos: a link into somebody's home, a file system in memory.
{
  nodes.machine = {
    imports = [ ./subject.nix ];
    users.users.alice = {
      isNormalUser = true;
      uid = 1000;
    };
  };

  testScript = builtins.readFile ./subject.py + ''
    append = "dynix append services.subject.settings"
    usual, state = "/etc/nixos/dynamic.nix", "/var/lib/dynix/dynamic.nix"
    system = machine.succeed("readlink --canonicalize /run/current-system").strip()

    with subtest("/etc/nixos is a link into a home"):
        machine.succeed(
            "mkdir --parents /etc/nixos /home/alice",
            "mv /etc/nixos /home/alice/nixos",
            "chown --recursive alice /home/alice",
            "ln --symbolic /home/alice/nixos /etc/nixos",
        )
        machine.succeed("dynix status")
        machine.succeed(f"{append}.level 5 --apply --wait")
        machine.succeed(f"test -e {state}")
        machine.fail(f"test -e {usual}")
        t.assertEqual(settings(), {"level": 5, "word": "built"})
        t.assertEqual(json.loads(machine.succeed("setpriv --reuid=alice --regid=users --init-groups dynix status --json"))["log"], state)

    with subtest("it is in effect after a boot, before the unit's first start"):
        machine.shutdown()
        machine.start()
        t.assertEqual(settings(), {"level": 5, "word": "built"})
        t.assertEqual(machine.get_unit_property("subject.service", "NRestarts"), "0")

    with subtest("it stays where it is when /etc/nixos becomes a directory of root"):
        machine.succeed("rm /etc/nixos", "mkdir /etc/nixos", f"{append}.level 6 --apply")
        machine.fail(f"test -e {usual}")
        t.assertEqual(settings(), {"level": 6, "word": "built"})

    with subtest("/etc/nixos is in memory, as on hosts that keep only some directories"):
        machine.succeed("dynix reset", f"rm {state}", "mount -t tmpfs none /etc/nixos", f"{append}.level 7 --apply")
        machine.succeed(f"test -e {state}")
        machine.fail(f"test -e {usual}")
        machine.succeed(f"{system}/bin/switch-to-configuration test")
        t.assertEqual(settings(), {"level": 1, "word": "built"})
        t.assertEqual(machine.succeed("systemctl list-units --failed --plain --no-legend"), "")
  '';
}
