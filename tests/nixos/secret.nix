# A secret is in effect from the unit's first start after a boot, and nobody else can read it.
{
  nodes.machine = {
    imports = [ ./subject.nix ];
    dynamicism.for.subject = {
      secret = [ "services.subject.settings.password" ];
      files."subject.json".mode = "0400";
    };
  };

  testScript = builtins.readFile ./subject.py + ''
    def hidden_from_others() -> None:
        machine.fail("grep --recursive --files-with-matches hidden /etc/nixos /etc/dynix")
        machine.fail("find /run/dynix /var/cache/dynix -type f -perm /o+r -exec grep --files-with-matches hidden {} + | grep .")
        machine.fail("journalctl --boot --output cat | grep hidden")
        machine.fail("dynix log --json | grep hidden")
        machine.fail("dynix get services.subject.settings.password | grep hidden")


    with subtest("a secret comes from a file, and only where it is one"):
        machine.succeed("(umask 077; echo -n hidden > /root/password)")
        machine.fail("dynix append services.subject.settings.password hidden --apply")
        machine.succeed("dynix append services.subject.settings.password --secret-file /root/password --apply --wait")
        t.assertEqual(settings(), {"level": 1, "word": "built", "password": "hidden"})
        hidden_from_others()

    with subtest("it is in effect from the unit's first start after a boot"):
        machine.shutdown()
        machine.start()
        t.assertEqual(settings(), {"level": 1, "word": "built", "password": "hidden"})
        starts = machine.succeed("journalctl --boot --unit subject.service --output cat --grep '^Started '").splitlines()
        t.assertEqual(len(starts), 1)
        hidden_from_others()

    with subtest("where its file is gone, the unit starts without it, and that is said"):
        machine.succeed("rm /root/password")
        machine.shutdown()
        machine.start()
        t.assertEqual(settings(), {"level": 1, "word": "built"})
        assert "/root/password" in machine.execute("dynix status 2>&1")[1]
  '';
}
