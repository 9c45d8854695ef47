# What is evaluated on the machine itself, where it has a nixpkgs and dynix's sources (tests/nixos/run).
{
  nodes.machine =
    { config, lib, ... }:
    {
      imports = [ ./subject.nix ];
      environment.systemPackages = [ (lib.getOutput "agent" config.dynamicism.package) ];
    };

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

        with subtest("the machines of examples/fleet are systems, and are told what the page says"):
            member, host = evaluate("""
              let
                system = name: modules: import <nixpkgs/nixos> {
                  configuration.imports = [ <nixpkgs/machine.nix> { networking.hostName = name; } ] ++ modules;
                };
                # Of the program itself only the path matters.
                program = { nixpkgs.overlays = [ (final: _: { etcd = final.coreutils; }) ]; };
                member = system "etcd2" [ program /dynix/examples/fleet/etcd.nix ];
                host = system "web1" [ /dynix/modules/dynamicism /dynix/examples/fleet/host.nix ];
                inherit (host.config.dynamicism) description;
              in
              [
                {
                  system = member.system.drvPath;
                  told = member.config.systemd.services.etcd.environment;
                  ports = member.config.networking.firewall.allowedTCPPorts;
                }
                {
                  system = host.system.drvPath;
                  agent = builtins.fromJSON host.config.environment.etc."dynix/agent.json".text;
                  inherit (description) sources;
                  rules = builtins.attrValues description.daemon.allow;
                }
              ]
            """)
            addresses = {f"etcd{number}": f"10.0.0.{number}" for number in (1, 2, 3)}
            told = member["told"]
            t.assertEqual(told["ETCD_NAME"], "etcd2")
            cluster = {f"{name}=https://{address}:2380" for name, address in addresses.items()}
            t.assertEqual(set(told["ETCD_INITIAL_CLUSTER"].split(",")), cluster)
            for kind, port in [("CLIENT", 2379), ("PEER", 2380)]:
                t.assertEqual(told[f"ETCD_LISTEN_{kind}_URLS"], f"https://10.0.0.2:{port}")
                t.assertIn(port, member["ports"])
            # Who has no certificate is let in nowhere.
            t.assertEqual((told["ETCD_CLIENT_CERT_AUTH"], told["ETCD_PEER_CLIENT_CERT_AUTH"]), ("1", "true"))
            agent = host["agent"]
            endpoints = {f"https://{address}:2379" for address in addresses.values()}
            t.assertEqual(set(agent["sources"]["fleet"]["endpoints"]), endpoints)
            t.assertEqual((agent["host"], agent["groups"], agent["sources"]["fleet"]["drive"]), ("web1", ["web"], False))
            t.assertEqual([one["name"] for one in host["sources"]], ["fleet"])
            [rule] = host["rules"]
            bounds = rule["options"]["services.harmonia.settings.workers"]
            t.assertEqual((rule["users"], rule["source"]), (["dynix-agent"], "fleet"))
            t.assertEqual((bounds["minimum"], bounds["maximum"]), (1, 64))
            # The agent itself understands what it is told.
            agent["stateDirectory"] = "/root/agent"
            machine.succeed(f"cat > /root/agent.json <<'END'\n{json.dumps(agent)}\nEND")
            said = machine.succeed("dynix-agent --config /root/agent.json accept fleet 2>&1")
            t.assertEqual(said, "nothing was known of it; it is taken as it is\n")
  '';
}
