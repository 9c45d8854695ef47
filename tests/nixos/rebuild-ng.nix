# What rebuild.nix and deploy.nix show, with the nixos-rebuild in Python (nixos-rebuild-ng). It runs switch-to-configuration as a
# unit of systemd, which has neither the caller's environment nor its path.
{
  nodes.machine =
    { lib, pkgs, ... }:
    {
      imports = [ ./subject.nix ];
      environment.systemPackages = [
        pkgs.openssh
      ]
      ++ lib.optional (pkgs ? nixos-rebuild-ng) pkgs.nixos-rebuild-ng;
    };
  nodes.target =
    { lib, ... }:
    {
      imports = [ ./subject.nix ];
      services.openssh.enable = true;
      nix.nixPath = lib.mkForce [ ];
    };

  testScript =
    builtins.readFile ./subject.py
    + builtins.readFile ./rebuild.py
    + builtins.readFile ./deploying.py
    + ''
      append = "dynix append services.subject.settings"
      demo = "'environment.etc.\"demo.conf\".text' --string"
      profile = "/nix/var/nix/profiles/system"
      unit = "nixos-rebuild-switch-to-configuration.service"

      TARGET = """
      { config, lib, pkgs, ... }:
      {
        imports = [ <nixpkgs/machine.nix> /dynix/modules/dynamicism /dynix/tests/nixos/subject.nix ];
        networking.hostName = "target";
        services.openssh.enable = true;
        nix.nixPath = lib.mkForce [ ];
        services.subject.settings.word = "WORD";
        MORE
      }
      """


      def built(word: str, more: str = "") -> None:
          """Configures a system that has the program as well, and an option of no service."""
          configure(
              f"""
              services.subject.settings.word = "{word}";
              environment.systemPackages = [ pkgs.nixos-rebuild-ng ];
              environment.etc."demo.conf".text = "{word}";
              dynamicism.options = [ "environment.etc.*" ];
              {more}
              """
          )


      def rebuild(words: str) -> str:
          """Rebuilds with the program, which leaves the switch to a unit; what it said."""
          since = cursor()
          said = machine.succeed(f"nixos-rebuild-ng --no-reexec {words} 2>&1", timeout=300)
          print(said)
          t.assertEqual(starts(since, unit), 1)
          return said


      def system(on=machine) -> str:
          return on.succeed("readlink --canonicalize /run/current-system").strip()


      def generation() -> str:
          return machine.succeed(f"readlink --canonicalize {profile}").strip()


      def demo_conf() -> str:
          return machine.succeed("cat /etc/demo.conf")


      def is_taken_back(on=machine) -> bool:
          """Whether the last record is that of a switch to what is built."""
          return "rollback" in json.loads(on.succeed("dynix log --json"))[-1]


      def nothing_failed(on=machine) -> None:
          t.assertEqual(on.succeed("systemctl list-units --failed --plain --no-legend"), "")


      def has_program() -> bool:
          if machine.execute("command -v nixos-rebuild-ng")[0] == 0:
              return True
          print("SKIPPED: this NixOS has no nixos-rebuild-ng")
          return False


      def on_target() -> dict:
          target.wait_for_unit("subject.service")
          return json.loads(target.wait_until_succeeds("cat /run/subject/settings.json"))


      def deploy(action: str, word: str, more: str = "") -> None:
          text = TARGET.replace("WORD", word).replace("MORE", more)
          machine.succeed(f"cat > /root/target.nix <<'END'\n{text}\nEND")
          since = cursor(target)
          words = f"--no-reexec {action} --target-host root@target -I nixos-config=/root/target.nix"
          print(machine.succeed(f"nixos-rebuild-ng {words} 2>&1", timeout=300))
          t.assertEqual(starts(since, unit, target), 1)


      def deployments() -> None:
          """To a machine that has nothing to evaluate with."""
          strip(target)
          let_in(machine, target)

          with subtest("a deployment brings what was built, and starts the unit once"):
              target.succeed(f"{append}.level 5 --apply --wait")
              before, since = system(target), cursor(target)
              deploy("switch", "deployed")
              t.assertNotEqual(system(target), before)
              t.assertEqual(on_target(), {"level": 1, "word": "deployed"})
              t.assertEqual((starts(since, on=target), is_taken_back(target)), (1, True))
              nothing_failed(target)

          with subtest("a dry one touches nothing"):
              target.succeed(f"{append}.level 6 --apply --wait")
              before, since = system(target), cursor(target)
              deploy("dry-activate", "dry")
              t.assertEqual((system(target), starts(since, on=target)), (before, 0))
              t.assertEqual(on_target(), {"level": 6, "word": "deployed"})

          with subtest("one that is to reapply starts it once, on both"):
              since = cursor(target)
              deploy("switch", "again", 'dynamicism.onSwitch = "reapply";')
              t.assertEqual(on_target(), {"level": 6, "word": "again"})
              t.assertEqual(starts(since, on=target), 1)
              nothing_failed(target)


      if has_program() and can_rebuild():
          target.wait_for_unit("multi-user.target")
          deployments()

          with subtest("test returns to what is built, starts the unit once, and makes no generation"):
              built("first")
              machine.succeed(f"{append}.level 5 --apply --wait")
              before, since = generation(), cursor()
              rebuild("test")
              t.assertEqual((settings(), demo_conf()), ({"level": 1, "word": "first"}, "first"))
              t.assertEqual((starts(since), is_taken_back(), generation()), (1, True, before))
              t.assertNotEqual(system(), before)
              nothing_failed()

          with subtest("switch, too; on the same system it has nothing else to do"):
              machine.succeed(f"{append}.level 6 --apply --wait", f"dynix append {demo} dynamic --apply")
              t.assertEqual((settings(), demo_conf()), ({"level": 6, "word": "first"}, "dynamic"))
              since = cursor()
              rebuild("switch")
              t.assertEqual((settings(), demo_conf()), ({"level": 1, "word": "first"}, "first"))
              t.assertEqual((starts(since), is_taken_back(), generation()), (1, True, system()))
              rebuild("switch")
              t.assertEqual(starts(since), 1)
              nothing_failed()

          with subtest("dry-activate changes nothing, and says what a switch would do"):
              machine.succeed(f"{append}.level 7 --apply --wait", f"dynix append {demo} dynamic --apply")
              built("second")
              before, since, log = system(), cursor(), machine.succeed("dynix log")
              t.assertIn("would restart subject.service", rebuild("dry-activate"))
              t.assertEqual((settings(), demo_conf()), ({"level": 7, "word": "first"}, "dynamic"))
              t.assertEqual((system(), starts(since), machine.succeed("dynix log")), (before, 0, log))

          with subtest("with onSwitch = reapply, both are in effect, and the unit starts once"):
              built("second", 'dynamicism.onSwitch = "reapply";')
              since = cursor()
              rebuild("switch")
              t.assertEqual(settings(), {"level": 7, "word": "second"})
              machine.wait_until_succeeds("grep -q dynamic /etc/demo.conf", timeout=60)
              t.assertEqual((settings(), starts(since)), ({"level": 7, "word": "second"}, 1))
              t.assertNotIn("not applied", machine.succeed("dynix status"))
              nothing_failed()

          with subtest("the generation before has its own way"):
              since = cursor()
              rebuild("--rollback switch")
              t.assertEqual((settings(), demo_conf()), ({"level": 1, "word": "first"}, "first"))
              t.assertEqual((starts(since), is_taken_back()), (1, True))
              nothing_failed()

          with subtest("boot touches nothing; then what is recorded holds on the new system"):
              # An option of no service needs the configuration of the system that runs.
              built("first")
              machine.succeed(f"{append}.level 8 --apply --wait", f"dynix append {demo} kept --apply")
              built("third")
              before, since = system(), cursor()
              rebuild("boot")
              t.assertEqual((settings(), demo_conf()), ({"level": 8, "word": "first"}, "kept"))
              t.assertEqual((system(), starts(since)), (before, 0))
              reboot()
              t.assertEqual(system(), generation())
              t.assertEqual((settings(), demo_conf()), ({"level": 8, "word": "third"}, "kept"))
              nothing_failed()

          with subtest("a switch that dies because nobody reads what it says is made good by the next one"):
              built("fourth", 'dynamicism.onSwitch = "reapply";')
              other = machine.succeed("nix-build --no-out-link '<nixpkgs/nixos>' --attr system", timeout=300).strip()
              # As where the connection is lost over which it says it.
              for last in ["stopping the following", "activating the configuration", "subject: switch to"]:
                  rebuild(f"test --store-path {generation()}")
                  machine.succeed(f"{append}.level 8 --apply --wait")
                  words = f"test --no-reexec --store-path {other}"
                  print(machine.execute(f"nixos-rebuild-ng {words} 2>&1 | sed '/{last}/q'", timeout=120)[1])
                  machine.wait_until_fails(f"systemctl is-active --quiet {unit}", timeout=60)
                  print("subject.service is " + machine.execute("systemctl is-active subject.service")[1])
                  machine.succeed("dynix status")
                  rebuild(f"test --store-path {other}")
                  t.assertEqual((settings(), system()), ({"level": 8, "word": "fourth"}, other))
                  nothing_failed()
              built("third")
              rebuild("switch")

          with subtest("what is recorded after all that works"):
              machine.succeed(f"{append}.level 9 --apply --wait", "dynix verify")
              t.assertEqual(settings(), {"level": 9, "word": "third"})
              machine.succeed("dynix reset")
              t.assertEqual((settings(), demo_conf()), ({"level": 1, "word": "third"}, "third"))
    '';
}
