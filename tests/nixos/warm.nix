# The warm evaluator: it answers instead of a new evaluation, with the same, and only as long as nothing that it has read has
# changed.
{
  nodes.machine.imports = [ ./subject.nix ];

  testScript =
    builtins.readFile ./subject.py
    + builtins.readFile ./rebuild.py
    + ''
      import itertools

      WARM = """
      { options, pkgs, ... }:
      let
        inherit (options.dynamicism.evaluator) default;
        counted = pkgs.writeShellScript "counted" "echo >> /run/evaluations; exec \\"$@\\"";
      in
      {
        imports = [ <nixpkgs/machine.nix> /dynix/tests/nixos/evaluated-subject.nix ];
        networking.hostName = "machine";
        dynamicism.evaluator = default // { command = [ "''${counted}" ] ++ default.command; };
        dynamicism.warmEvaluator = {
          enable = true;
          # Nothing else of this machine can change.
          sources = [ "/etc/nixos" ];
          memory = MEMORY;
        };
        environment.etc.switched.text = "SWITCHED";
      }
      """
      DEMO_CONF = "'environment.etc.\"demo.conf\".text'"
      WORD = "systemd.services.demo.environment.WORD"
      numbers = itertools.count()


      def configure_warm(switched: str, memory: int = 2000) -> None:
          text = WARM.replace("SWITCHED", switched).replace("MEMORY", str(memory))
          machine.succeed(f"cat > /etc/nixos/configuration.nix <<'END'\n{text}\nEND")


      def dynix(words: str, code: int = 0) -> str:
          status, said = machine.execute(f"dynix {words} 2>&1", timeout=150)
          t.assertEqual(status, code, said)
          return said


      def evaluations() -> int:
          return int(machine.succeed("touch /run/evaluations; wc -l < /run/evaluations"))


      def is_warm(words: str, code: int = 0) -> bool:
          """Runs a command that evaluates, and says whether no new evaluator had to."""
          before = evaluations()
          dynix(words, code)
          return evaluations() == before


      def warms_up() -> None:
          """Asks until it answers."""
          for _ in range(20):
              # A value that was in effect before needs no evaluation.
              if is_warm(f"append {WORD} warm-{next(numbers)} --apply"):
                  break
              machine.succeed("sleep 6")
          else:
              raise AssertionError("it stays cold: " + machine.succeed("journalctl -u dynix-evaluator.service"))
          dynix("reset system")


      def in_effect() -> tuple[str, str]:
          unit = "readlink -f /etc/systemd/system/demo.service"
          return machine.succeed("readlink -f /etc/demo.conf"), machine.succeed(unit)


      if can_rebuild():
          configure_warm("first")
          machine.succeed("nixos-rebuild switch --fast 2>&1", timeout=300)
          warms_up()

          with subtest("it gives what a new evaluation gives"):
              changes = f"{WORD}=dynamic {DEMO_CONF}=dynamic"
              assert is_warm(f"set {changes} --apply")
              warm = in_effect()
              t.assertEqual(machine.succeed("cat /etc/demo.conf"), "dynamic")
              dynix("reset system")
              machine.succeed("systemctl stop dynix-evaluator.socket dynix-evaluator.service")
              machine.succeed("rm -r /run/dynix/evaluated /var/lib/dynix/evaluated")
              assert not is_warm(f"set {changes} --apply")
              t.assertEqual(in_effect(), warm)
              dynix("reset system")
              machine.succeed("systemctl start dynix-evaluator.socket")
              warms_up()

          with subtest("a value that is wrong is refused with the words of a new evaluation"):
              said = dynix(f"append {WORD} '[1]' --apply", 3)
              assert "is not of type" in said, said
              warms_up()
              assert is_warm("append networking.firewal.allowedTCPPorts '[80]' --apply", 3)
              assert is_warm(f"append {WORD} after --apply")
              dynix("reset system")

          with subtest("a configuration that was changed is noticed"):
              configure_warm("other")
              assert "another one than was switched to" in dynix(f"append {WORD} new --apply", 1)
              configure_warm("first")
              warms_up()

          with subtest("one that was switched to is evaluated"):
              configure_warm("second")
              machine.succeed("nixos-rebuild switch --fast 2>&1", timeout=300)
              warms_up()
              t.assertEqual(machine.succeed("cat /etc/switched"), "second")

          with subtest("nobody but root may ask"):
              t.assertEqual(machine.succeed("stat -c %a:%U /run/dynix/evaluator.sock").strip(), "600:root")

          with subtest("one that is killed does not matter"):
              machine.succeed("pkill -KILL -f '[n]ix repl'")
              assert not is_warm(f"append {WORD} killed --apply")
              dynix("reset system")
              warms_up()

          with subtest("one that is too large stays cold, and says so"):
              configure_warm("second", memory=1)
              machine.succeed("nixos-rebuild switch --fast 2>&1", timeout=300)
              machine.wait_until_succeeds("journalctl -u dynix-evaluator.service | grep 'stays cold: it takes'", timeout=120)
              assert not is_warm(f"append {WORD} cold --apply")
              dynix("reset system")

          t.assertEqual(machine.succeed("systemctl list-units --failed --plain --no-legend"), "")
    '';
}
