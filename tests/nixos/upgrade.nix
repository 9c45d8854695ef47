# An upgrade from the version before, and back, with overrides in effect: what is recorded is understood, and nothing is lost.
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


      def version(name: str, more: str = "") -> None:
          """Switches to a version: that of a directory."""
          program = "''${" + f"/{name}/target/debug/dynix" + "}"
          configure(
              f"""
                dynamicism.onSwitch = "reapply";
                dynamicism.package = lib.mkForce (
                  pkgs.runCommand "dynix-of-{name}" {{ meta.mainProgram = "dynix"; }} "install -Dm755 {program} $out/bin/dynix"
                );
                {more}
              """
          )
          machine.succeed(f"sed -i 's|/dynix/modules|/{name}/modules|' /etc/nixos/configuration.nix")
          rebuild("switch")


      def nothing_failed() -> None:
          t.assertEqual(machine.succeed("systemctl list-units --failed --plain --no-legend"), "")


      if not can_rebuild():
          pass
      elif machine.execute("test -x /dynix-before/target/debug/dynix && test -x /dynix/target/debug/dynix")[0] != 0:
          print("SKIPPED: there is no version before (DYNIX_BEFORE)")
      else:
          with subtest("overrides of the version before"):
              version("dynix-before")
              machine.succeed(f"{append}.level 5 --apply", f"{append}.word recorded --for 1h --apply")
              machine.succeed(f"{append}.level 6 --apply --confirm 1h")
              machine.succeed("dynix confirm")
              t.assertEqual(settings(), {"level": 6, "word": "recorded"})
              before = machine.succeed("cat /etc/nixos/dynamic.nix")

          with subtest("the new version goes on with them, and the unit is not started anew for that"):
              since = cursor()
              version("dynix")
              t.assertEqual(settings(), {"level": 6, "word": "recorded"})
              assert starts(since) <= 1, "started more than once"
              print(machine.succeed("dynix status; dynix log"))
              assert machine.succeed("cat /etc/nixos/dynamic.nix").startswith(before), "the log has changed"
              nothing_failed()

          with subtest("it changes, rolls back, and knows what works at a boot"):
              machine.succeed(f"{append}.level 7 --apply --wait")
              t.assertEqual(settings(), {"level": 7, "word": "recorded"})
              machine.succeed("dynix rollback --apply")
              t.assertEqual(settings(), {"level": 6, "word": "recorded"})
              reboot()
              t.assertEqual(settings(), {"level": 6, "word": "recorded"})
              nothing_failed()

          with subtest("a rollback of the system to the version before has them too"):
              rebuild("switch --rollback")
              t.assertEqual(settings(), {"level": 6, "word": "recorded"})
              machine.succeed("dynix status", f"{append}.level 8 --apply")
              t.assertEqual(settings(), {"level": 8, "word": "recorded"})
              nothing_failed()
    '';
}
