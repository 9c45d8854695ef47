# What is evaluated on the machine itself, where it has a nixpkgs and dynix's sources (tests/nixos/run).
{
  nodes.machine.imports = [ ./subject.nix ];

  testScript = builtins.readFile ./subject.py + ''
    CONFIGURATION = """
    {
      imports = [ <nixpkgs/machine.nix> /dynix/modules/dynamicism ];
      services.harmonia.enable = true;
      services.harmonia.settings.workers = WORKERS;
      dynamicism.for.harmonia.enable = true;
    }
    """


    def evaluate(expression: str) -> str:
        machine.succeed(f"cat > /tmp/expression.nix <<'END'\n{expression}\nEND")
        return json.loads(machine.succeed("nix-instantiate --eval --strict --json /tmp/expression.nix", timeout=120))


    if machine.execute("test -e /dynix/modules && nix-instantiate --eval --expr '<nixpkgs/machine.nix>'")[0] != 0:
        print("SKIPPED: this machine has no nixpkgs to evaluate")
    else:
        for name, workers in [("one", 4), ("again", 4), ("other", 8)]:
            text = CONFIGURATION.replace("WORKERS", str(workers))
            machine.succeed(f"mkdir /root/{name}", f"cat > /root/{name}/configuration.nix <<'END'\n{text}\nEND")

        with subtest("a configuration is the same system wherever it lies"):
            systems = evaluate("""
              map (name: (import <nixpkgs/nixos> { configuration = /root + "/''${name}/configuration.nix"; }).system.drvPath)
                [ "one" "again" "other" ]
            """)
            t.assertEqual(systems[0], systems[1])
            t.assertNotEqual(systems[0], systems[2])

        with subtest("the script of another configuration that imports the module itself"):
            script, its_own = evaluate("""
              let
                one = (import <nixpkgs/nixos> { configuration = /root/one/configuration.nix; }).config.dynamicism;
                other = (import <nixpkgs/nixos> { configuration = /root/other/configuration.nix; }).config.dynamicism;
              in
              map (package: package.drvPath) [
                (one.applyDynamicConfiguration { baseConfiguration = /root/other/configuration.nix; })
                (other.applyDynamicConfiguration { })
              ]
            """)
            t.assertEqual(script, its_own)
  '';
}
