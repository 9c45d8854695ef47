# Options of no service where something is in the way: a user who may change one of them only, an evaluation that does not end,
# that has no memory or is killed, and a switch in the middle of each part of an apply.
{
  nodes.machine.imports = [ ./subject.nix ];

  testScript =
    builtins.readFile ./subject.py
    + builtins.readFile ./rebuild.py
    + ''
      import time

      LIMITS = """
      { config, lib, options, pkgs, ... }:
      let
        text = config.environment.etc."demo.conf".text;
        sum = lib.foldl' (sum: _: sum + 1) 0;
        loop = number: toString (lib.foldl' (total: _: total + sum (lib.range 1 10000)) 0 (lib.range 1 number));
        hold = where: "if [ -e /run/hold-''${where} ]; then ''${pkgs.coreutils}/bin/touch /run/held; while [ -e /run/hold-''${where} ]; do ''${pkgs.coreutils}/bin/sleep 0.1; done; fi";
      in
      {
        imports = [ <nixpkgs/machine.nix> /dynix/tests/nixos/evaluated-subject.nix ];
        networking.hostName = "machine";
        dynamicism.options = lib.mkForce [ "environment.etc.*" "systemd.services.*.environment" ];
        dynamicism.evaluator = options.dynamicism.evaluator.default // { deadline = 4; };
        dynamicism.daemon.enable = true;
        dynamicism.daemon.allow.words = {
          users = [ "alice" ];
          options."systemd.services.demo.environment" = { };
        };
        # Of what follows from a value, some can't be had.
        environment.etc.follows.text =
          if text == "for ever" then loop 100000
          else if text == "huge" then toString (lib.length (lib.genList (number: number) 1000000000))
          else if text == "long" then loop 2500
          else text;
        environment.etc.switched.text = "SWITCHED";
        system.preSwitchChecks.hold = hold "check";
      }
      """
      DEMO_CONF = "'environment.etc.\"demo.conf\".text' --string"
      WORD = "systemd.services.demo.environment.WORD"


      def configure_limits(switched: str) -> None:
          text = LIMITS.replace("SWITCHED", switched)
          machine.succeed(f"cat > /etc/nixos/configuration.nix <<'END'\n{text}\nEND")


      def dynix(words: str, code: int | None = 0, before: str = "") -> str:
          status, said = machine.execute(f"{before} dynix {words} 2>&1", timeout=150)
          print(said)
          assert code is None or status == code, (status, said)
          return said


      def records() -> int:
          return len(json.loads(machine.succeed("dynix log --json")))


      def demo_conf() -> str:
          return machine.succeed("cat /etc/demo.conf").strip()


      def is_static() -> bool:
          return machine.succeed("readlink /etc/static") == machine.succeed("readlink /run/current-system/etc")


      def word() -> str:
          machine.wait_for_unit("demo.service")
          variables = machine.succeed("tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID demo.service)/environ")
          return next(line.removeprefix("WORD=") for line in variables.splitlines() if line.startswith("WORD="))


      def untouched(before: int) -> None:
          t.assertEqual((records(), demo_conf(), is_static()), (before, "built", True))
          machine.fail("pgrep -x nix-instantiate")
          t.assertEqual(dynix("apply system"), "nothing to do\n")


      def in_background(command: str) -> None:
          machine.succeed(f"( code=0; {command} || code=$?; echo $code > /run/status ) > /run/said 2>&1 < /dev/null &")


      def ended() -> tuple[int, str]:
          """How what ran in the background ended."""
          machine.wait_for_file("/run/status", timeout=150)
          status, said = int(machine.succeed("cat /run/status; rm /run/status")), machine.succeed("cat /run/said")
          print(said)
          return status, said


      if can_rebuild():
          configure_limits("first")
          machine.succeed("nixos-rebuild switch --fast 2>&1", timeout=300)
          machine.wait_for_unit("dynix.socket")
          dynix(f"append {DEMO_CONF} warm --apply")
          dynix("reset system")

          with subtest("a user changes what the configuration lets this user change"):
              alice = "runuser -u alice --"
              dynix(f"append {WORD} hers --apply", before=alice)
              t.assertEqual(word(), "hers")
              t.assertEqual(json.loads(machine.succeed("dynix log --json"))[-1]["by"], "alice via daemon")
              dynix("apply system", before=alice)
              dynix(f"unset {WORD} --apply", before=alice)
              t.assertEqual(word(), "built")

          with subtest("and nothing else"):
              before = records()
              for words in [f"append {DEMO_CONF} hers --apply", f"append {WORD} --expr '\"hers\"' --apply", "reset system"]:
                  said = dynix(words, code=None, before=alice)
                  assert "may not" in said or "not allowed" in said, said
              t.assertEqual((records(), word(), demo_conf()), (before, "built", "built"))

          with subtest("an evaluation that does not end"):
              began = time.monotonic()
              said = dynix(f"append {DEMO_CONF} 'for ever' --apply", code=1)
              assert "was not done within 40 s" in said, said
              assert time.monotonic() - began < 80
              untouched(before)

          with subtest("one that has no memory"):
              # 3 GB: what the evaluation of this system takes fits, a list of a thousand million elements does not.
              said = dynix(f"append {DEMO_CONF} huge --apply", code=1, before="ulimit -v 3000000;")
              assert "out of memory" in said and "did not come to its end" in said, said
              untouched(before)

          with subtest("one that is killed"):
              in_background(f"dynix append {DEMO_CONF} 'for ever' --apply")
              machine.wait_until_succeeds("pgrep -x nix-instantiate", timeout=20)
              machine.succeed("sleep 1; pkill -KILL -x nix-instantiate")
              status, said = ended()
              t.assertEqual(status, 1)
              assert "did not come to its end" in said, said
              untouched(before)

          with subtest("one that is interrupted"):
              for signal, code in [("TERM", 143), ("INT", 130)]:
                  in_background(f"dynix append {DEMO_CONF} 'for ever' --apply")
                  machine.wait_until_succeeds("pgrep -x nix-instantiate", timeout=20)
                  machine.succeed(f"sleep 1; pkill -{signal} -f '^dynix append'")
                  t.assertEqual(ended()[0], code)
                  machine.wait_until_fails("pgrep -x nix-instantiate", timeout=5)
                  untouched(before)

          with subtest("what is well is applied as before"):
              dynix(f"append {DEMO_CONF} well --apply")
              t.assertEqual(demo_conf(), "well")
              dynix("reset system")

          with subtest("a switch while dynix switches fails at once, and the change is made"):
              machine.succeed("touch /run/hold-check")
              in_background(f"dynix append {DEMO_CONF} held --apply")
              machine.wait_for_file("/run/held", timeout=120)
              status, said = machine.execute("/run/current-system/bin/switch-to-configuration switch 2>&1", timeout=30)
              t.assertNotEqual(status, 0)
              assert "Could not acquire lock" in said, said
              machine.succeed("rm /run/hold-check /run/held")
              t.assertEqual(ended()[0], 0)
              t.assertEqual(demo_conf(), "held")

          with subtest("a change while NixOS switches waits, and is one of the new system"):
              configure_limits("second")
              machine.succeed("touch /run/hold-check")
              in_background("nixos-rebuild switch --fast")
              machine.wait_for_file("/run/held", timeout=120)
              machine.succeed(f"dynix append {DEMO_CONF} waiting --apply > /run/waiting 2>&1 < /dev/null & echo $! > /run/waiter")
              machine.succeed("sleep 3; test -e /proc/$(cat /run/waiter)")
              t.assertEqual(demo_conf(), "held")
              machine.succeed("rm /run/hold-check /run/held")
              t.assertEqual(ended()[0], 0)
              machine.wait_until_fails("test -e /proc/$(cat /run/waiter)", timeout=120)
              said = machine.succeed("cat /run/waiting")
              t.assertEqual((machine.succeed("cat /etc/switched"), demo_conf(), is_static()), ("second", "waiting", False), said)
              dynix("reset system")
              t.assertEqual((demo_conf(), machine.succeed("cat /etc/switched")), ("built", "second"))

          with subtest("a switch while dynix evaluates: what it found for the old system does not come into effect"):
              configure_limits("third")
              third = machine.succeed("nix-build --no-out-link '<nixpkgs/nixos>' --attr system", timeout=300).strip()
              configure_limits("second")
              in_background(f"dynix append {DEMO_CONF} long --apply")
              machine.wait_until_succeeds("pgrep -x nix-instantiate", timeout=20)
              configure_limits("third")
              machine.succeed(f"nix-env --profile /nix/var/nix/profiles/system --set {third}")
              machine.succeed(f"{third}/bin/switch-to-configuration switch 2>&1", timeout=120)
              status, said = ended()
              t.assertEqual(machine.succeed("cat /etc/switched"), "third")
              t.assertEqual((demo_conf() == "long", is_static()), (status == 0, status != 0))
              dynix("reset system")
              t.assertEqual((demo_conf(), machine.succeed("cat /etc/switched")), ("built", "third"))

          t.assertEqual(machine.succeed("systemctl list-units --failed --plain --no-legend"), "")
    '';
}
