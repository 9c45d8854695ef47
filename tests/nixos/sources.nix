# A machine that is deployed to from elsewhere, with the sources of its configuration: nothing is in /etc/nixos, and what needs
# an evaluation works. Where the machine has a nixpkgs (tests/nixos/run).
{
  nodes.machine.imports = [
    ./evaluated-subject.nix
    ./subject.nix
  ];

  testScript =
    builtins.readFile ./subject.py
    + builtins.readFile ./rebuild.py
    + ''
      MODULES = "<nixpkgs/machine.nix> /dynix/tests/nixos/evaluated-subject.nix /dynix/tests/nixos/subject.nix"
      DIRECTORY = """
      {
        imports = [ MODULES ];
        networking.hostName = "machine";
        dynamicism.configuration = ./.;
        environment.etc.told.text = builtins.readFile ./told;
      }
      """.replace("MODULES", MODULES)
      FLAKE = """
      {
        inputs.told.url = "path:/srv/told";
        inputs.told.flake = false;
        outputs =
          { self, told }:
          {
            nixosConfigurations.machine = import <nixpkgs/nixos> {
              configuration = {
                imports = [ MODULES ];
                networking.hostName = "machine";
                dynamicism.configuration = self;
                environment.etc.told.text = builtins.readFile (told + "/told");
              };
            };
          };
      }
      """.replace("MODULES", MODULES)
      features = "export NIX_CONFIG='experimental-features = nix-command flakes'"


      def deployed(build: str) -> None:
          """What another machine would do: builds a system, and switches to it. Nothing of its sources is left here."""
          machine.succeed(f"rm -rf /root/result; {build} 2>&1", timeout=300)
          machine.succeed("nix-env --profile /nix/var/nix/profiles/system --set /root/result")
          machine.succeed("/nix/var/nix/profiles/system/bin/switch-to-configuration switch 2>&1", timeout=300)
          machine.succeed("rm -rf /etc/nixos /srv /root/.cache")


      def works(told: str) -> None:
          """All that needs an evaluation."""
          machine.succeed(
              "dynix append systemd.services.demo.environment.WORD sources --apply",
              "dynix append services.subject.settings.level 3 --apply",
              timeout=200,
          )
          t.assertEqual(machine.succeed("systemctl show -P Environment demo.service | tr ' ' '\\n' | grep WORD"), "WORD=sources\n")
          said = machine.succeed("dynix verify 2>&1", timeout=200)
          assert "sound" in said, said
          said = machine.succeed("dynix prove 2>&1", timeout=300)
          print(said)
          machine.succeed("dynix append services.subject.settings.word --expr 'config.networking.hostName' --apply", timeout=200)
          t.assertEqual(settings(), {"level": 3, "word": "machine"})
          t.assertEqual(machine.succeed("cat /etc/told"), told)
          machine.succeed("dynix reset", timeout=200)


      if can_rebuild():
          with subtest("a directory"):
              machine.succeed("mkdir -p /srv/host", "echo directory > /srv/host/told")
              machine.succeed(f"cat > /srv/host/configuration.nix <<'END'\n{DIRECTORY}\nEND")
              deployed("nix-build '<nixpkgs/nixos>' -A system -I nixos-config=/srv/host/configuration.nix --out-link /root/result")
              works("directory\n")

          with subtest("a flake with an input"):
              machine.succeed("mkdir -p /srv/told /srv/host", "echo flake > /srv/told/told")
              machine.succeed(f"cat > /srv/host/flake.nix <<'END'\n{FLAKE}\nEND")
              machine.succeed(f"{features}; nix flake lock path:/srv/host 2>&1")
              toplevel = "nixosConfigurations.machine.config.system.build.toplevel"
              deployed(f"{features}; nix build --impure --out-link /root/result path:/srv/host#{toplevel}")
              works("flake\n")
    '';
}
