# With verify = "rollback", what a rebuild would not agree with is taken back, and nothing else.
{
  nodes.machine.imports = [ ./subject.nix ];

  testScript =
    builtins.readFile ./subject.py
    + builtins.readFile ./rebuild.py
    + ''
      MORE = """
        dynamicism.verify = "rollback";
        services.harmonia.enable = true;
        services.harmonia.settings.workers = 4;
        dynamicism.for.harmonia.enable = true;
        # What dynix does not change.
        environment.etc.level.text = toString config.services.subject.settings.level;
        environment.etc.never.text = with config.services.subject.settings;
          lib.optionalString (word == "never" && (config.services.subject.settings ? low)) "x";
      """
      append = "dynix append services"


      def found_out() -> None:
          machine.wait_until_fails("systemctl list-units --plain --no-legend 'dynix-verify-*' | grep --quiet .", timeout=600)


      def records() -> list[dict]:
          return json.loads(machine.succeed("dynix log --json"))


      if can_rebuild():
          configure(MORE)
          rebuild("switch")
          found_out()

          with subtest("of several services' records, only the one is taken back"):
              machine.succeed(
                  f"{append}.harmonia.settings.workers 9 --apply",
                  f"{append}.subject.settings.word other --apply",
                  f"{append}.subject.settings.level 5 --apply",
              )
              found_out()
              t.assertEqual(settings(), {"level": 1, "word": "other"})
              t.assertEqual(machine.succeed("dynix get services.harmonia.settings.workers"), "9\n")
              rejected = {one["id"]: one["rejected"] for one in records() if "rejected" in one}
              t.assertEqual(rejected, {3: "a rebuild would also change /etc/level: 1 -> 5"})

          with subtest("what is only wrong together is taken back together"):
              machine.succeed("dynix reset")
              machine.succeed(f"{append}.subject.settings.word never", f"{append}.subject.settings.low 1 --apply")
              found_out()
              t.assertEqual(settings(), {"level": 1, "word": "built"})
    '';
}
