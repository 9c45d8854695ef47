# A switch that a pre-switch check or an inhibitor refuses touches no override, and neither does a change of dynix's own that
# they refuse. Where this NixOS has them.
{
  nodes.machine =
    { lib, options, ... }:
    let
      checks =
        text: lib.optionalAttrs (options.system ? preSwitchChecks) { preSwitchChecks.test = text; };
      inhibitors =
        value:
        lib.optionalAttrs (options.system.switch.inhibitors or null != null) {
          switch.inhibitors.test = value;
        };
    in
    {
      imports = [ ./subject.nix ];
      system = inhibitors "first";
      specialisation.refused.configuration = {
        services.subject.settings.word = "refused";
        system = checks "exit 1";
      };
      specialisation.inhibited.configuration = {
        services.subject.settings.word = "inhibited";
        system = lib.mkForce (inhibitors "second");
      };
    };

  testScript =
    builtins.readFile ./subject.py
    + builtins.readFile ./rebuild.py
    + ''
      OVERRIDDEN = {"level": 5, "word": "built"}
      system = machine.succeed("readlink --canonicalize /run/current-system").strip()


      def switch(name: str, action: str = "test", environment: str = "") -> tuple[int, str]:
          status, said = machine.execute(
              f"{environment} {system}/specialisation/{name}/bin/switch-to-configuration {action} 2>&1", timeout=120
          )
          print(said)
          return status, said


      def is_untouched(since: str, log: str) -> None:
          t.assertEqual(settings(), OVERRIDDEN)
          t.assertEqual(starts(since), 0)
          t.assertEqual(machine.succeed("dynix log"), log)
          t.assertNotIn("not applied", machine.succeed("dynix status"))
          t.assertEqual(machine.succeed("systemctl list-units --failed --plain --no-legend"), "")


      if machine.execute(f"test -e {system}/switch-inhibitors")[0] != 0:
          print("SKIPPED: this NixOS has no switch inhibitors")
      else:
          machine.succeed("dynix append services.subject.settings.level 5 --apply --wait")
          t.assertEqual(settings(), OVERRIDDEN)
          log = machine.succeed("dynix log")

          with subtest("a switch that a check refuses"):
              since = cursor()
              status, said = switch("refused")
              t.assertNotEqual(status, 0)
              t.assertIn("Pre-switch check 'test' failed", said)
              is_untouched(since, log)

          with subtest("one that an inhibitor refuses"):
              since = cursor()
              status, said = switch("inhibited")
              t.assertNotEqual(status, 0)
              t.assertIn("critical components", said)
              is_untouched(since, log)

          with subtest("a check alone is no switch"):
              since = cursor()
              t.assertNotEqual(switch("refused", "check")[0], 0)
              is_untouched(since, log)

          with subtest("dynix goes on as before"):
              machine.succeed("dynix append services.subject.settings.word recorded --apply --wait")
              t.assertEqual(settings(), {"level": 5, "word": "recorded"})

          with subtest("where the checks are left out, the switch is one like any other"):
              since = cursor()
              t.assertEqual(switch("inhibited", environment="NIXOS_NO_CHECK=1")[0], 0)
              t.assertEqual(settings(), {"level": 1, "word": "inhibited"})
              t.assertEqual(starts(since), 1)

          if can_rebuild():
              # Options of no service: NixOS's own switch puts them into effect, with its checks.
              DEMO = """
                dynamicism.options = [ "environment.etc.*" ];
                environment.etc."demo.conf".text = "built";
                system.preSwitchChecks.demo = "test ! -e /run/refuse";
                system.switch.inhibitors.test = "first";
              """
              configure(DEMO)
              machine.succeed("NIXOS_NO_CHECK=1 nixos-rebuild switch --fast 2>&1", timeout=300)
              append = "dynix append 'environment.etc.\"demo.conf\".text' --string"

              with subtest("a change of dynix's own is checked, too"):
                  machine.succeed("touch /run/refuse")
                  status, said = machine.execute(f"{append} refused --apply 2>&1", timeout=120)
                  print(said)
                  t.assertNotEqual(status, 0)
                  t.assertIn("Pre-switch check 'demo' failed", said)
                  t.assertEqual(machine.succeed("cat /etc/demo.conf"), "built")
                  t.assertNotIn("refused", machine.succeed("dynix status"))

              with subtest("and comes into effect when the check passes"):
                  machine.succeed("rm /run/refuse", f"{append} dynamic --apply")
                  t.assertEqual(machine.succeed("cat /etc/demo.conf"), "dynamic")
    '';
}
