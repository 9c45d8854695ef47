# dynix comes into a system that runs, and through what nixos-rebuild does from then on.
{
  nodes.machine = {
    imports = [ ./subject.nix ];
    dynamicism.for.subject.enable = false;
  };

  testScript =
    builtins.readFile ./subject.py
    + builtins.readFile ./rebuild.py
    + ''
      append = "dynix append services.subject.settings"
      profile = "/nix/var/nix/profiles/system"


      def system() -> str:
          return machine.succeed("realpath /run/current-system").strip()


      def nothing_failed() -> None:
          t.assertEqual(machine.succeed("systemctl list-units --failed --plain --no-legend"), "")


      if can_rebuild():
          with subtest("dynix comes into a system that runs"):
              machine.fail("test -e /etc/dynix/plan.json")
              configure("")
              rebuild("switch")
              t.assertEqual(settings(), {"level": 1, "word": "built"})
              machine.succeed(f"{append}.level 5 --apply --wait")
              t.assertEqual(settings(), {"level": 5, "word": "built"})
              nothing_failed()
              first = system()

          with subtest("a dry run touches nothing, and says what it would do"):
              since, before = cursor(), machine.succeed("cat /etc/nixos/dynamic.nix")
              t.assertIn("would restart subject.service", rebuild("dry-activate"))
              t.assertEqual(starts(since), 0)
              t.assertEqual(settings(), {"level": 5, "word": "built"})
              t.assertEqual(machine.succeed("cat /etc/nixos/dynamic.nix"), before)

          with subtest("a rebuild of the same starts the unit once, on what is built"):
              since = cursor()
              rebuild("switch")
              t.assertEqual(starts(since), 1)
              t.assertEqual(settings(), {"level": 1, "word": "built"})

          with subtest("and once more has nothing to do"):
              since = cursor()
              rebuild("switch")
              t.assertEqual(starts(since), 0)

          with subtest("a rebuild that changes what is under an override starts it once"):
              machine.succeed(f"{append}.level 6 --apply")
              configure('services.subject.settings.word = "second";')
              since = cursor()
              rebuild("switch")
              t.assertEqual(starts(since), 1)
              t.assertEqual(settings(), {"level": 1, "word": "second"})

          with subtest("with onSwitch = reapply, it starts once, on both"):
              machine.succeed(f"{append}.level 7 --apply")
              configure('services.subject.settings.word = "third"; dynamicism.onSwitch = "reapply";')
              since = cursor()
              rebuild("switch")
              t.assertEqual(starts(since), 1)
              t.assertEqual(settings(), {"level": 7, "word": "third"})
              nothing_failed()

          with subtest("what is exported is built in by the next rebuild, and pruned"):
              machine.succeed(f"{append}.word exported --apply --wait")
              module = machine.succeed("dynix export --format module")
              body = module.split("\n{\n", 1)[1].rsplit("}", 1)[0]
              configure(body + 'dynamicism.onSwitch = "reapply";')
              rebuild("test")
              status = lambda: json.loads(machine.succeed("dynix status --json"))["services"]["subject"]["overrides"]
              t.assertEqual([one.get("builtIn") for one in status()], [True, True])
              machine.succeed("dynix prune")
              t.assertEqual(status(), [])
              since = cursor()
              machine.succeed("dynix apply")
              t.assertEqual(starts(since), 0)
              t.assertEqual(settings(), {"level": 7, "word": "exported"})
              configure('services.subject.settings.word = "third"; dynamicism.onSwitch = "reapply";')
              rebuild("test")
              t.assertEqual(settings(), {"level": 1, "word": "third"})

          with subtest("the generation before has its own way"):
              since = cursor()
              rebuild("switch --rollback")
              t.assertEqual(starts(since), 1)
              t.assertEqual(settings(), {"level": 1, "word": "second"})

          with subtest("a rebuild for the next boot touches nothing; then the override holds on the new system"):
              machine.succeed(f"{append}.level 8 --apply --wait")
              configure('services.subject.settings.word = "fourth";')
              since = cursor()
              rebuild("boot")
              t.assertEqual(starts(since), 0)
              t.assertEqual(settings(), {"level": 8, "word": "second"})
              reboot()
              t.assertEqual(settings(), {"level": 8, "word": "fourth"})
              nothing_failed()

          with subtest("a generation that is rolled back at boot has it too"):
              machine.succeed(f"nix-env --profile {profile} --rollback")
              reboot()
              t.assertEqual(settings(), {"level": 8, "word": "third"})

          with subtest("with its garbage collected, all goes on"):
              machine.succeed("nix-collect-garbage --delete-old", timeout=300)
              machine.succeed(f"{append}.level 9 --apply")
              t.assertEqual(settings(), {"level": 9, "word": "third"})
              machine.succeed("dynix status", "dynix verify", f"{profile}/activate")
              t.assertEqual(settings(), {"level": 9, "word": "third"})
              machine.succeed("dynix reset")
              t.assertEqual(settings(), {"level": 1, "word": "third"})
              reboot()
              t.assertEqual(settings(), {"level": 1, "word": "third"})
              nothing_failed()
    '';
}
