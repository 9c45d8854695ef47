# A configuration that does not evaluate keeps no override from holding: neither values, nor expressions that were evaluated
# before. Where the machine has a nixpkgs (tests/nixos/run).
{
  nodes.machine.imports = [ ./subject.nix ];

  testScript = builtins.readFile ./subject.py + ''
    CONFIGURATION = """
    {
      imports = [ <nixpkgs/machine.nix> /dynix/modules/dynamicism /dynix/tests/nixos/subject.nix ];
      networking.hostName = "machine";
    }
    """
    append = "dynix append services.subject.settings"

    if machine.execute("test -e /dynix/modules && nix-instantiate --eval --expr '<nixpkgs/machine.nix>'")[0] != 0:
        print("SKIPPED: this machine has no nixpkgs to evaluate")
    else:
        machine.succeed(f"cat > /etc/nixos/configuration.nix <<'END'\n{CONFIGURATION}\nEND")

        with subtest("an expression of the machine's own configuration"):
            machine.succeed(f"{append}.word --expr 'config.networking.hostName + \"-x\"' --apply", timeout=120)
            machine.succeed(f"{append}.level 5 --apply")
            t.assertEqual(settings(), {"level": 5, "word": "machine-x"})

        with subtest("with a mistake in the configuration, everything else goes on"):
            machine.succeed("echo '{' >> /etc/nixos/configuration.nix")
            for words in ["status", "log", "diff", "get services.subject.settings.level", "apply"]:
                machine.succeed(f"dynix {words}")
            machine.succeed(f"{append}.level 6 --apply --wait")
            t.assertEqual(settings(), {"level": 6, "word": "machine-x"})

        with subtest("and after a reboot"):
            machine.shutdown()
            machine.start()
            t.assertEqual(settings(), {"level": 6, "word": "machine-x"})
            machine.succeed("dynix status")

        with subtest("what can't be evaluated now is refused, and changes nothing"):
            status, said = machine.execute(f"{append}.word --expr 'config.networking.hostName + \"-y\"' --apply 2>&1")
            t.assertNotEqual(status, 0)
            assert "configuration.nix" in said, said
            machine.succeed("dynix apply")
            t.assertEqual(settings(), {"level": 6, "word": "machine-x"})
  '';
}
