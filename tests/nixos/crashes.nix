# The power fails at any moment of an apply: the machine boots on what it had or on what is new, and ends on what is recorded.
{
  nodes.machine.imports = [ ./subject.nix ];

  testScript =
    builtins.readFile ./subject.py
    + builtins.readFile ./rebuild.py
    + ''
      import time

      append = "dynix append services.subject.settings.level"


      def recorded() -> int:
          """What the log says."""
          return json.loads(machine.succeed("dynix get services.subject.settings.level --json"))["value"]


      def crash_after(delay: float) -> None:
          """Ends the machine so long after an apply began."""
          # The command that begins it takes a moment itself.
          began = time.monotonic()
          machine.succeed(f"( sleep 0.3; {append} {level + 1} --apply --wait ) > /dev/null 2>&1 < /dev/null &")
          time.sleep(max(0, began + 0.3 + delay - time.monotonic()))
          machine.crash()


      is_settled()
      level = 1
      became = []
      for delay in [*(number * 0.02 for number in range(10)), 0.4, 1.0]:
          with subtest(f"after {delay:.2f} s"):
              crash_after(delay)
              machine.start()
              # At first it may be on what worked last, and that is what was built where no apply was ever over.
              assert settings()["level"] <= level + 1, settings()
              is_settled()
              became.append(recorded() - level)
              assert became[-1] in [0, 1], recorded()
              level = recorded()
              t.assertEqual(settings(), {"level": level, "word": "built"})
              t.assertEqual(machine.succeed("systemctl list-units --failed --plain --no-legend"), "")
              machine.succeed("dynix status")
      print(f"whether the record was there after the crash: {became}")
    '';
}
