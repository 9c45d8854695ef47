# The same as `steps` for an option of no service: the power fails after each step of dynix, and while NixOS's own
# switch-to-configuration checks, stops units and starts units.
{
  nodes.machine =
    { pkgs, ... }:
    {
      imports = [ ./subject.nix ];
      environment.systemPackages = [ pkgs.strace ];
    };

  testScript =
    builtins.readFile ./subject.py
    + builtins.readFile ./rebuild.py
    + builtins.readFile ./steps.py
    + ''
      PATH = "'environment.etc.\"demo.conf\".text'"
      # As a text of Nix: where it runs, nothing need be on the path.
      HOLD = "if [ -e /run/hold-WHERE ]; then ''${pkgs.coreutils}/bin/touch /run/held-there; ''${pkgs.coreutils}/bin/sleep 1000; fi"
      DEMO = """
        environment.systemPackages = [ pkgs.strace ];
        dynamicism.options = [ "environment.etc.*" ];
        environment.etc."demo.conf".text = lib.mkDefault "1";
        system.preSwitchChecks.hold = "HOLD-check";
        systemd.services.demo = {
          wantedBy = [ "multi-user.target" ];
          restartTriggers = [ config.environment.etc."demo.conf".text ];
          preStart = "HOLD-start";
          script = "cat /etc/demo.conf > /run/demo; exec sleep infinity";
          serviceConfig.Type = "exec";
          postStop = "HOLD-stop";
        };
      """
      for where in ["check", "start", "stop"]:
          DEMO = DEMO.replace(f"HOLD-{where}", HOLD.replace("WHERE", where))


      def command(number: int) -> str:
          return f"dynix append {PATH} --string {number} --apply"


      def value() -> int:
          """What is recorded."""
          records = json.loads(machine.succeed("dynix log --json"))
          return int([value for record in records for path, value in record.get("set", []) if "demo.conf" in path][-1])


      def check(number: int) -> None:
          machine.wait_until_succeeds(f"test \"$(cat /etc/demo.conf)\" = {number}", timeout=60)
          machine.wait_until_succeeds(f"test \"$(cat /run/demo)\" = {number}", timeout=20)
          machine.succeed("systemctl is-active demo.service", "dynix status")


      if can_rebuild():
          configure(DEMO)
          rebuild("switch")
          is_settled()
          machine.succeed(command(2))
          check(2)
          reboot()
          check(2)
          found = steps(command(3))
          check(3)
          # Of some thousand links and directories of the stand-in system, which nothing reads before it is whole, none;
          # of the rest, what gives a file its name or takes it away, and the record.
          OF_THE_STEPS = r"dynamic.nix$|[^.]*(about.json|activate|script|unfinished|state.json|verdict.json|switch-to-configuration)$"
          found = [step for step in found if "dynix-system" not in step[2] and step[0] not in ["fchmod", "symlinkat"]]
          found = [step for step in found if re.search(OF_THE_STEPS, step[2]) and (step[0] != "write" or "dynamic.nix" in step[2])]
          print("\n".join(map(str, found)))
          assert len(found) > 10, found
          reboot()
          crash_after_each(found, command, value, check)

          for where in ["check", "stop", "start"]:
              with subtest(f"in the middle of the switch: {where}"):
                  number = value() + 1
                  machine.succeed(f"touch /run/hold-{where}", f"{command(number)} > /run/said 2>&1 < /dev/null &")
                  machine.wait_for_file("/run/held-there", timeout=60)
                  machine.crash()
                  machine.start()
                  is_settled()
                  t.assertEqual(value(), number)
                  check(number)
                  t.assertEqual(machine.succeed("systemctl list-units --failed --plain --no-legend"), "")
    '';
}
