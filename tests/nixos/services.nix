# A service that is no longer dynamic is on what is built, and the others stay as they are; and the other way round.
{
  nodes.machine = {
    imports = [ ./subject.nix ];
    services.harmonia = {
      enable = true;
      settings.workers = 4;
    };
    dynamicism.for.harmonia.enable = true;
    dynamicism.onSwitch = "reapply";
    specialisation.fewer.configuration.dynamicism.for.subject.enable = false;
  };

  testScript = builtins.readFile ./subject.py + ''
    first = machine.succeed("readlink --canonicalize /run/current-system").strip()


    def workers() -> str:
        return machine.succeed("dynix get services.harmonia.settings.workers --json")


    with subtest("both are overridden"):
        machine.succeed("dynix append services.subject.settings.level 5 --apply")
        machine.succeed("dynix append services.harmonia.settings.workers 9 --apply")
        t.assertEqual(settings(), {"level": 5, "word": "built"})
        harmonia = machine.get_unit_property("harmonia.service", "MainPID")

    with subtest("one is not dynamic any more"):
        machine.succeed(f"{first}/specialisation/fewer/bin/switch-to-configuration test")
        t.assertEqual(settings(), {"level": 1, "word": "built"})
        machine.fail("test -e /run/dynix/subject")
        t.assertEqual(json.loads(workers())["value"], 9)
        t.assertEqual(machine.get_unit_property("harmonia.service", "MainPID"), harmonia)

    with subtest("it stays so, and can not be overridden"):
        machine.succeed("systemctl restart subject.service")
        t.assertEqual(settings(), {"level": 1, "word": "built"})
        status, said = machine.execute("dynix append services.subject.settings.level 7 2>&1")
        t.assertNotEqual(status, 0)
        assert "services.subject" in said, said

    with subtest("it is dynamic again: what is recorded holds, as onSwitch says"):
        machine.succeed(f"{first}/bin/switch-to-configuration test")
        t.assertEqual(settings(), {"level": 5, "word": "built"})
        t.assertEqual(json.loads(workers())["value"], 9)
        t.assertEqual(machine.get_unit_property("harmonia.service", "MainPID"), harmonia)
  '';
}
