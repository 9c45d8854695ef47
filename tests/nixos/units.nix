# Without activation scripts, units do the same: at a boot before anything starts, at a switch before anything is started.
{
  nodes.machine =
    { lib, ... }:
    {
      imports = [ ./subject.nix ];
      dynamicism.activation = "units";
      # Below 1024 it needs a capability, which a drop-in under /run gives it.
      services.gotosocial = {
        enable = true;
        settings = {
          host = "gotosocial-machine.local";
          port = 8080;
        };
      };
      dynamicism.for.gotosocial = {
        enable = true;
        watch = 1;
      };
      specialisation.other.configuration.services.subject.settings.word = "other";
      specialisation.again.configuration = {
        services.subject.settings.word = "again";
        dynamicism.onSwitch = "reapply";
      };
      specialisation.without.configuration.dynamicism.for = lib.mkForce { };
    };

  testScript =
    builtins.readFile ./subject.py
    + builtins.readFile ./rebuild.py
    + ''
      import time

      append = "dynix append services.subject.settings"
      first = machine.succeed("readlink --canonicalize /run/current-system").strip()
      BUILT = {"level": 1, "word": "built"}


      def switch(name: str = "") -> str:
          said = machine.succeed(f"{first}{name and '/specialisation/' + name}/bin/switch-to-configuration test 2>&1")
          print(said)
          return said


      def nothing_failed() -> None:
          t.assertEqual(machine.succeed("systemctl list-units --failed --plain --no-legend"), "")


      machine.fail("grep dynix /run/current-system/activate")
      machine.wait_for_open_port(8080)

      with subtest("overrides are in effect from the first start after a boot"):
          machine.succeed(f"{append}.level 5 --apply --wait", "dynix append services.gotosocial.settings.port 80 --apply --wait")
          t.assertEqual(settings(), {"level": 5, "word": "built"})
          reboot()
          t.assertEqual(settings(), {"level": 5, "word": "built"})
          machine.wait_for_open_port(80)
          for unit in ["subject", "gotosocial"]:
              said = machine.succeed(f"journalctl --boot --unit {unit}.service --output cat --grep '^Started '")
              t.assertEqual(said.count("Started "), 1)
          print(machine.succeed("journalctl --boot --unit dynix-activate --unit dynix-after-boot --output cat; systemd-analyze blame | grep dynix"))
          nothing_failed()

      with subtest("what is not known to work is tried after the boot"):
          machine.succeed(f"{append}.level 6")
          reboot()
          t.assertEqual(settings(), {"level": 6, "word": "built"})
          nothing_failed()

      with subtest("one that ends after a boot, ends"):
          machine.succeed(f"{append}.level 7 --for 45s --apply --wait")
          reboot()
          t.assertEqual(settings(), {"level": 7, "word": "built"})
          end = time.monotonic() + 90
          while settings()["level"] != 6:
              assert time.monotonic() < end, settings()
              time.sleep(0.2)

      with subtest("a switch goes to what was built, and starts each unit once"):
          since = cursor()
          t.assertNotIn("dynix-verify", switch("other"))
          t.assertEqual(settings(), {"level": 1, "word": "other"})
          machine.wait_for_open_port(8080)
          t.assertEqual((starts(since), starts(since, "gotosocial.service")), (1, 1))
          nothing_failed()
          reboot()
          t.assertEqual(settings(), BUILT)

      with subtest("a switch to the same does so, too"):
          machine.succeed(f"{append}.level 5 --apply --wait")
          since = cursor()
          switch()
          t.assertEqual(settings(), BUILT)
          t.assertEqual(starts(since), 1)

      with subtest("with onSwitch = reapply, the override is on top of the new system"):
          machine.succeed(f"{append}.level 5 --apply --wait")
          since = cursor()
          switch("again")
          t.assertEqual(settings(), {"level": 5, "word": "again"})
          t.assertEqual(starts(since), 1)
          nothing_failed()

      if can_rebuild():
          with subtest("an expression that this system has no value of yet is evaluated in the unit, before Nix's daemon runs"):
              configure("")
              machine.succeed(f"{append}.word --expr 'config.networking.hostName + \"-x\"' --apply --wait")
              t.assertEqual(settings()["word"], "machine-x")
              machine.succeed(f"ln -sfn {first}/specialisation/other /nix/var/nix/profiles/system")
              reboot()
              said = machine.succeed("journalctl --boot --unit dynix-activate --output cat")
              print(said)
              t.assertNotIn("counts as not recorded", said)
              t.assertIn("is not known to work on this system", said)
              t.assertEqual(settings(), {"level": 5, "word": "machine-x"})
              nothing_failed()

          with subtest("and has its value from the unit's first start on when this system boots again"):
              reboot()
              t.assertEqual(settings(), {"level": 5, "word": "machine-x"})
              started = machine.succeed("journalctl --boot --unit subject.service --output cat --grep '^Started '")
              t.assertEqual(started.count("Started "), 1)
              machine.succeed(f"ln -sfn {first} /nix/var/nix/profiles/system", "dynix reset", "rm /etc/nixos/configuration.nix")
              nothing_failed()
              reboot()
              t.assertEqual(settings(), BUILT)

      with subtest("its unit may do little, and so may the one that withdraws"):
          for unit in ["dynix-activate", "dynix-withdraw"]:
              said = machine.succeed(f"systemd-analyze security --no-pager {unit}.service | tail -n 1")
              print(said)
              t.assertLess(float(said.split(": ")[1].split()[0]), 6.0)

      with subtest("a switch to a system without dynix, and back"):
          switch("without")
          t.assertEqual(settings(), BUILT)
          machine.fail("ls /run/dynix/subject")
          switch()
          t.assertEqual(settings(), BUILT)
          machine.succeed(f"{append}.level 5 --apply --wait")
          nothing_failed()
    '';
}
