# With onSwitch = "reapply" the overrides are on top of the new system when a switch returns; a dry run only says so.
{
  nodes.machine = {
    imports = [ ./subject.nix ];
    dynamicism.onSwitch = "reapply";
    specialisation.other.configuration.services.subject.settings.word = "other";
  };

  testScript = builtins.readFile ./subject.py + ''
    other = "/run/current-system/specialisation/other/bin/switch-to-configuration"

    with subtest("an override is applied"):
        machine.succeed("dynix append services.subject.settings.level 5 --apply")
        t.assertEqual(settings(), {"level": 5, "word": "built"})

    with subtest("a dry activation touches nothing"):
        before = main_pid()
        machine.succeed(f"{other} dry-activate")
        t.assertEqual(main_pid(), before)

    with subtest("a switch to another system keeps the override"):
        machine.succeed(f"{other} test")
        t.assertEqual(settings(), {"level": 5, "word": "other"})

    with subtest("and so does the next one, with nothing to do"):
        before = main_pid()
        machine.succeed("/run/current-system/bin/switch-to-configuration test")
        t.assertEqual(main_pid(), before)
        t.assertEqual(settings(), {"level": 5, "word": "other"})
  '';
}
