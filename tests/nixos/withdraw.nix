# A switch to a system without dynix leaves nothing of it behind, and nothing comes back with it.
{
  nodes.machine = {
    imports = [ ./subject.nix ];
    dynamicism.onSwitch = "reapply";
    specialisation.without.configuration.dynamicism.for.subject.enable = false;
  };

  testScript = builtins.readFile ./subject.py + ''
    first = machine.succeed("readlink --canonicalize /run/current-system").strip()
    without = f"{first}/specialisation/without/bin/switch-to-configuration"
    append = "dynix append services.subject.settings"


    def nothing_is_left() -> None:
        machine.fail("ls /run/dynix/subject")
        machine.fail("ls /run/dynix/state.json")
        machine.fail("find /run/systemd/system -name '*dynix*' | grep .")
        machine.fail("systemctl list-units --all --plain --no-legend 'dynix*.timer' | grep .")
        machine.fail("ls /etc/dynix/plan.json")


    with subtest("overrides are in effect, one of them for an hour"):
        machine.succeed(f"{append}.level 5 --apply", f"{append}.word recorded --for 1h --apply --wait")
        t.assertEqual(settings(), {"level": 5, "word": "recorded"})
        machine.succeed("systemctl list-units --plain --no-legend 'dynix-expiry-*.timer' | grep .")

    with subtest("a stop by hand is no reason to take them back"):
        machine.succeed("systemctl stop dynix-withdraw.service && systemctl start dynix-withdraw.service")
        t.assertEqual(settings(), {"level": 5, "word": "recorded"})
        machine.succeed("test -e /run/dynix/subject/current")

    with subtest("nor is a reboot"):
        machine.shutdown()
        machine.start()
        t.assertEqual(settings(), {"level": 5, "word": "recorded"})
        # While dynix looks at what it left for after the boot, a switch says that it could not acquire the lock.
        machine.wait_until_fails("test -e /run/systemd/system/dynix-after-boot.service", timeout=60)

    with subtest("a switch to a system without dynix takes back everything"):
        machine.succeed(f"{without} test")
        t.assertEqual(settings(), {"level": 1, "word": "built"})
        nothing_is_left()

    with subtest("and nothing of it comes back with dynix"):
        machine.succeed(f"{first}/bin/switch-to-configuration test")
        t.assertEqual(settings(), {"level": 1, "word": "built"})
        said = machine.succeed("dynix log")
        t.assertIn("nixos-rebuild", said)

    with subtest("where a change awaits its confirmation, it is over with it"):
        machine.succeed(f"{append}.level 6 --apply --confirm 1h")
        t.assertEqual(settings(), {"level": 6, "word": "built"})
        machine.succeed(f"{without} test")
        t.assertEqual(settings(), {"level": 1, "word": "built"})
        nothing_is_left()
  '';
}
