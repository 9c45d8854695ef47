# A machine that is deployed to from elsewhere: no nixpkgs, no configuration, and nothing in /etc/nixos.
{
  nodes.machine =
    { lib, ... }:
    {
      imports = [ ./subject.nix ];
      nix.nixPath = lib.mkForce [ ];
      specialisation.next.configuration.services.subject.settings.word = "next";
    };

  testScript = builtins.readFile ./subject.py + ''
    append = "dynix append services.subject.settings"
    first = machine.succeed("readlink --canonicalize /run/current-system").strip()
    machine.succeed("rm -rf /etc/nixos")

    with subtest("the log is made, and overrides survive a reboot"):
        machine.succeed(f"{append}.level 5 --apply --wait")
        t.assertEqual(settings(), {"level": 5, "word": "built"})
        machine.shutdown()
        machine.start()
        t.assertEqual(settings(), {"level": 5, "word": "built"})

    with subtest("an expression that needs no configuration is evaluated; one that does is refused, and says what is missing"):
        machine.succeed(f"{append}.word --expr '\"a\" + \"b\"' --apply")
        t.assertEqual(settings(), {"level": 5, "word": "ab"})
        status, said = machine.execute(f"{append}.word --expr 'config.networking.hostName' --apply 2>&1")
        t.assertNotEqual(status, 0)
        print(said)
        t.assertEqual(settings(), {"level": 5, "word": "ab"})

    with subtest("that it can't be verified is said, and keeps nothing from going on"):
        machine.wait_until_fails("systemctl list-units --plain --no-legend 'dynix-verify-*' | grep --quiet .", timeout=60)
        said = machine.succeed("dynix status")
        print(said)
        machine.succeed(f"{append}.level 6 --apply")
        t.assertEqual(settings(), {"level": 6, "word": "ab"})

    with subtest("the deploying machine's switch goes to what was built"):
        machine.succeed(f"{first}/specialisation/next/bin/switch-to-configuration test")
        t.assertEqual(settings(), {"level": 1, "word": "next"})
        t.assertEqual(machine.succeed("systemctl list-units --failed --plain --no-legend"), "")
  '';
}
