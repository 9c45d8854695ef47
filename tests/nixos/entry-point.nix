# The machine's configuration is where nixos-rebuild of 26.05 looks for it: in /etc/nixos/system.nix.
{
  nodes.machine.imports = [ ./subject.nix ];

  testScript =
    builtins.readFile ./subject.py
    + builtins.readFile ./rebuild.py
    + ''
      append = "dynix append services.subject.settings.word --expr config.networking.domain --apply"


      def entry(text: str) -> None:
          machine.succeed(f"cat > /etc/nixos/system.nix <<'END'\n{text}\nEND")


      def is_known() -> bool:
          """Whether this NixOS has such entry points."""
          return machine.succeed("nixos-version | cut -d . -f 1-2 | tr -cd '0-9.'").strip() >= "26.05"


      SYSTEM = """
        import <nixpkgs/nixos/lib/eval-config.nix> {
          modules = [ ./configuration.nix { networking.domain = "DOMAIN"; } ];
        }
      """

      if can_rebuild():
          configure('networking.domain = lib.mkDefault "configuration";')
          machine.succeed(append)
          t.assertEqual(settings(), {"level": 1, "word": "configuration"})

          with subtest("a system"):
              entry(SYSTEM.replace("DOMAIN", "system"))
              machine.succeed(append)
              t.assertEqual(settings()["word"], "system" if is_known() else "configuration")

          with subtest("a function that gives several, by their names"):
              entry("{ }: { machine = " + SYSTEM.replace("DOMAIN", "several") + "; other = throw \"not this one\"; }")
              machine.succeed(append)
              t.assertEqual(settings()["word"], "several" if is_known() else "configuration")
    '';
}
