# A flake in /etc/nixos, with this repository's as its input.
{
  nodes.machine.imports = [ ./subject.nix ];

  testScript =
    builtins.readFile ./subject.py
    + builtins.readFile ./rebuild.py
    + ''
      # What this machine has instead of nixpkgs' own flake.
      NIXPKGS = """
      {
        outputs = _: {
          lib = import <nixpkgs/lib> // {
            nixosSystem =
              { modules, system }: import <nixpkgs/nixos> { inherit system; configuration.imports = modules; };
          };
          legacyPackages = (import <nixpkgs/lib>).genAttrs [ "x86_64-linux" "aarch64-linux" ] (
            system:
            let
              pkgs = import <nixpkgs> { inherit system; };
            in
            pkgs
            // {
              # An older one takes a list only.
              linkFarm =
                name: entries:
                pkgs.linkFarm name (map (key: { name = key; path = entries.''${key}; }) (builtins.attrNames entries));
            }
            # What people work with, which no machine here has.
            // (import <nixpkgs/lib>).genAttrs [ "clippy" "mmdebstrap" "nixfmt" "nixfmt-tree" "rust-analyzer" "rustfmt" ] (
              name: pkgs.runCommand name { } "mkdir $out"
            )
          );
        };
      }
      """
      FLAKE = """
      {
        inputs.nixpkgs.url = "path:/srv/nixpkgs";
        inputs.dynix.url = "path:/srv/dynix";
        inputs.dynix.inputs.nixpkgs.follows = "nixpkgs";

        outputs =
          { nixpkgs, dynix, ... }:
          {
            nixosConfigurations.machine = nixpkgs.lib.nixosSystem {
              system = "x86_64-linux";
              modules = [
                <nixpkgs/machine.nix>
                dynix.nixosModules.default
                ./subject.nix
                {
                  networking.hostName = "machine";
                  services.subject.settings.word = "flake";
                }
              ];
            };
          };
      }
      """
      append = "dynix append services.subject.settings"
      features = "export NIX_CONFIG='experimental-features = nix-command flakes'"


      def evaluate(attribute: str, function: str):
          """What the repository's flake gives."""
          inputs = "--override-input nixpkgs path:/srv/nixpkgs"
          return json.loads(
              machine.succeed(
                  f"{features}; nix eval --impure --json {inputs} 'path:/srv/dynix#{attribute}' --apply '{function}'", timeout=120
              )
          )


      if can_rebuild():
          machine.succeed(
              "mkdir -p /srv/nixpkgs /srv/dynix",
              f"cat > /srv/nixpkgs/flake.nix <<'END'\n{NIXPKGS}\nEND",
              "cd /dynix; cp -r --parents $(find . -maxdepth 1 -type f ! -name '.*') lib modules src agent templates formats docs examples"
              " descriptions benches fuzz/corpus tests /srv/dynix",
              f"cat > /etc/nixos/flake.nix <<'END'\n{FLAKE}\nEND",
              "cp /dynix/tests/nixos/subject.nix /etc/nixos",
          )

          with subtest("the repository's flake has what it says"):
              checks = evaluate("checks.x86_64-linux", "builtins.attrNames")
              t.assertLessEqual({"boot", "dynix", "rebuild"}, set(checks))
              t.assertEqual(evaluate("packages.x86_64-linux", "packages: packages.default.drvPath == packages.dynix.drvPath"), True)
              boot = evaluate("checks.x86_64-linux", "checks: checks.boot.drvPath")
              t.assertEqual(evaluate("legacyPackages.x86_64-linux.tests", "tests: tests.boot.drvPath"), boot)
              t.assertEqual(evaluate("lib.overlay", "builtins.isFunction"), True)

          with subtest("`nix flake check` evaluates all of it and finds nothing wrong"):
              inputs = "--override-input nixpkgs path:/srv/nixpkgs"
              check = f"{features}; cd /srv/dynix; nix flake check --impure --no-build {inputs} path:/srv/dynix 2>&1"
              said = machine.succeed(check, timeout=600)
              print(said)
              for output in ["packages.x86_64-linux.allTests", "checks.x86_64-linux.boot", "devShells.x86_64-linux.default", "formatter.x86_64-linux"]:
                  t.assertIn(f"checking derivation {output}", said)

          with subtest("and it builds what it says is the program"):
              machine.succeed(f"{features}; nix build --impure --out-link /root/dynix {inputs} path:/srv/dynix#dynix 2>&1", timeout=300)
              t.assertIn("dynix ", machine.succeed("/root/dynix/bin/dynix --version"))

          with subtest("what nixos-rebuild --flake does, but that this machine's nixpkgs is in the search path"):
              toplevel = "nixosConfigurations.machine.config.system.build.toplevel"
              machine.succeed(
                  f"{features}; nix build --impure --out-link /root/result /etc/nixos#{toplevel} 2>&1",
                  "nix-env --profile /nix/var/nix/profiles/system --set /root/result",
                  "/nix/var/nix/profiles/system/bin/switch-to-configuration switch",
                  timeout=300,
              )
              t.assertEqual(settings(), {"level": 1, "word": "flake"})

          with subtest("overrides, and an expression of the flake's configuration"):
              machine.succeed(f"{append}.level 5 --apply --wait")
              t.assertEqual(settings(), {"level": 5, "word": "flake"})
              machine.succeed(f"{append}.word --expr 'config.networking.hostName + \"-x\"' --apply --wait")
              t.assertEqual(settings(), {"level": 5, "word": "machine-x"})

          with subtest("they survive a reboot"):
              reboot()
              t.assertEqual(settings(), {"level": 5, "word": "machine-x"})
    '';
}
