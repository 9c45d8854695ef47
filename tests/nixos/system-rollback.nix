# On an older system, an override that its types refuse is reported and left out; the rest is applied.
{
  nodes.machine = {
    imports = [ ./subject.nix ];
    dynamicism.onSwitch = "reapply";
    specialisation.older.configuration.services.subject.highestLevel = 50;
  };

  testScript = builtins.readFile ./subject.py + ''
    with subtest("two overrides are applied"):
        machine.succeed("dynix append services.subject.settings.level 80 --apply")
        machine.succeed("dynix append services.subject.settings.word recorded --apply")
        t.assertEqual(settings(), {"level": 80, "word": "recorded"})

    with subtest("the older system takes one of them, and says why not the other"):
        said = machine.succeed("/run/current-system/specialisation/older/bin/switch-to-configuration test 2>&1")
        t.assertIn("services.subject.settings.level", said)
        t.assertEqual(settings(), {"level": 1, "word": "recorded"})

    with subtest("its activation script, run by hand, comes to the same"):
        machine.succeed("/run/current-system/activate")
        t.assertEqual(settings(), {"level": 1, "word": "recorded"})
  '';
}
