# A specialisation is a system of its own: overrides that are in effect are so on it after a boot, and a switch to it is one
# like any other.
{
  nodes.machine =
    { lib, ... }:
    {
      imports = [ ./subject.nix ];
      specialisation.busy.configuration = {
        services.subject.settings.word = "busy";
        # Its types are others, too.
        services.subject.highestLevel = 200;
      };
      specialisation.strict.configuration = {
        services.subject.settings.word = "strict";
        services.subject.highestLevel = 4;
      };
      specialisation.reapplying.configuration = {
        services.subject.settings.word = "reapplying";
        dynamicism.onSwitch = "reapply";
      };
      specialisation.without.configuration.dynamicism.for = lib.mkForce { };
    };

  testScript =
    builtins.readFile ./subject.py
    + builtins.readFile ./rebuild.py
    + ''
      append = "dynix append services.subject.settings"
      profile = "/nix/var/nix/profiles/system"
      parent = machine.succeed("readlink --canonicalize /run/current-system").strip()


      def boot(name: str = "") -> None:
          """Boots one of the menu's entries: its own init, with the profile as it was."""
          generation = machine.succeed(f"readlink {profile}").strip()
          machine.succeed(f"ln -sfn {parent}{name and '/specialisation/' + name} {profile}")
          machine.shutdown()
          machine.start()
          machine.succeed(f"ln -sfn {generation} {profile}")
          is_settled()
          system = machine.succeed(f"readlink --canonicalize {parent}{name and '/specialisation/' + name}")
          t.assertEqual(machine.succeed("readlink --canonicalize /run/current-system"), system)


      def switch(name: str = "") -> str:
          said = machine.succeed(f"{parent}{name and '/specialisation/' + name}/bin/switch-to-configuration test 2>&1")
          print(said)
          return said


      def nothing_failed() -> None:
          t.assertEqual(machine.succeed("systemctl list-units --failed --plain --no-legend"), "")


      def started_once() -> None:
          starts = machine.succeed("journalctl --boot --unit subject.service --output cat --grep '^Started '")
          t.assertEqual(starts.count("Started "), 1)


      with subtest("an override is on top of the specialisation that is booted, from the unit's first start on"):
          machine.succeed(f"{append}.level 5 --apply --wait")
          t.assertEqual(settings(), {"level": 5, "word": "built"})
          boot("busy")
          t.assertEqual(settings(), {"level": 5, "word": "busy"})
          nothing_failed()

      with subtest("it has types and a plan of its own"):
          machine.succeed(f"{append}.level 150 --apply --wait")
          t.assertEqual(settings(), {"level": 150, "word": "busy"})
          boot("busy")
          t.assertEqual(settings(), {"level": 150, "word": "busy"})
          started_once()

      with subtest("back on the parent, what its types refuse is said and left out"):
          boot()
          t.assertEqual(settings()["word"], "built")
          assert settings()["level"] <= 100, settings()
          print(machine.succeed("dynix status 2>&1 || true"))
          machine.succeed(f"{append}.level 6 --apply --wait")
          t.assertEqual(settings(), {"level": 6, "word": "built"})
          nothing_failed()

      with subtest("a boot of one whose types refuse all of it starts on what it was built with"):
          boot("strict")
          t.assertEqual(settings(), {"level": 1, "word": "strict"})
          nothing_failed()
          boot()
          t.assertEqual(settings(), {"level": 6, "word": "built"})

      with subtest("a switch to one takes overrides back, and starts the unit once"):
          since = cursor()
          switch("busy")
          t.assertEqual(settings(), {"level": 1, "word": "busy"})
          t.assertEqual(starts(since), 1)
          machine.succeed(f"{append}.level 120 --apply --wait")
          t.assertEqual(settings(), {"level": 120, "word": "busy"})
          nothing_failed()

      with subtest("and so does the switch back"):
          since = cursor()
          switch()
          t.assertEqual(settings(), {"level": 1, "word": "built"})
          t.assertEqual(starts(since), 1)

      with subtest("with onSwitch = reapply in the specialisation, they are on top of it"):
          machine.succeed(f"{append}.level 7 --apply --wait")
          since = cursor()
          switch("reapplying")
          t.assertEqual(settings(), {"level": 7, "word": "reapplying"})
          t.assertEqual(starts(since), 1)

      with subtest("one in which nothing is dynamic has no override, after a boot either"):
          boot("without")
          t.assertEqual(settings(), {"level": 1, "word": "built"})
          machine.fail("ls /run/dynix/subject")
          boot()
          t.assertEqual(settings(), {"level": 7, "word": "built"})
          nothing_failed()

      if can_rebuild():
          # dynix evaluates what /etc/nixos has.
          SPECIALISATIONS = """
            networking.domain = lib.mkDefault "parent";
            specialisation.plain.configuration.networking.domain = "plain";
          """
          configure(SPECIALISATIONS)
          rebuild("switch")
          built = machine.succeed("readlink --canonicalize /run/current-system").strip()
          expression = f"{append}.word --expr config.networking.domain --apply"

          with subtest("an expression is evaluated on the parent's configuration, not the specialisation's"):
              machine.succeed(f"{built}/specialisation/plain/bin/switch-to-configuration test", expression)
              t.assertEqual(settings()["word"], "parent")
    '';
}
