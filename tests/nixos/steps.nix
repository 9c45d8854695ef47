# The power fails after each step of an apply: each change of a file, and each message that makes systemd do something.
#
# strace holds dynix there, and the machine is ended. The next boot comes up on the values that were there or on the new ones,
# ends on what is recorded, and nothing has failed.
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
      PATH = "services.subject.settings.level"


      def command(level: int) -> str:
          return f"dynix append {PATH} {level} --apply"


      def value() -> int:
          return json.loads(machine.succeed(f"dynix get {PATH} --json"))["value"]


      def check(level: int) -> None:
          t.assertEqual(settings(), {"level": level, "word": "built"})
          machine.succeed("dynix status")


      is_settled()
      # The first apply ever makes more directories than any later one.
      machine.succeed(f"{command(2)} --wait")
      reboot()
      found = steps(command(3))
      print("\n".join(map(str, found)))
      assert {"TryRestartUnit", "StartTransientUnit"} <= {on for _, _, on in found}, found
      reboot()
      crash_after_each(found, command, value, check)
    '';
}
