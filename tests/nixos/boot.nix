# Overrides survive a reboot, and are in effect when their unit starts for the first time.
{
  nodes.machine.imports = [ ./subject.nix ];

  testScript = builtins.readFile ./subject.py + ''
    with subtest("an override is applied"):
        machine.succeed("dynix append services.subject.settings.level 5 --apply --wait")
        t.assertEqual(settings(), {"level": 5, "word": "built"})

    with subtest("it is in effect from the unit's first start after a reboot"):
        machine.shutdown()
        machine.start()
        t.assertEqual(settings(), {"level": 5, "word": "built"})
        starts = machine.succeed("journalctl --boot --unit subject.service --output cat --grep '^Started '").splitlines()
        t.assertEqual(len(starts), 1)

    with subtest("nothing of dynix failed while the machine went down"):
        machine.fail("journalctl --boot=-1 --output cat --grep 'dynix.*[Ff]ailed'")

    with subtest("without anything under /run/dynix the unit starts on what was built"):
        machine.succeed("rm -r /run/dynix && systemctl restart subject.service")
        t.assertEqual(settings(), {"level": 1, "word": "built"})

    with subtest("the activation script, run by hand, applies what is recorded"):
        machine.succeed("/run/current-system/activate")
        t.assertEqual(settings(), {"level": 5, "word": "built"})

    with subtest("what a switch took back does not come back with a reboot"):
        machine.succeed("/run/current-system/bin/switch-to-configuration test")
        t.assertEqual(settings(), {"level": 1, "word": "built"})
        machine.shutdown()
        machine.start()
        t.assertEqual(settings(), {"level": 1, "word": "built"})
  '';
}
