# /etc as an overlay, with and without an upper layer: overrides over a boot, over a switch, which mounts another /etc over the
# one that there was, and over a generation that is rolled back.
let
  subject =
    mutable:
    { lib, options, ... }:
    let
      overlay = {
        enable = true;
        inherit mutable;
      };
    in
    {
      imports = [ ./subject.nix ];
      system = lib.optionalAttrs (options.system ? etc) { etc.overlay = overlay; };
      # Nobody else writes /etc/passwd where nothing can be written.
      services = lib.optionalAttrs (options.services ? userborn && !mutable) { userborn.enable = true; };
      # As with nixos-init, which needs such an /etc.
      dynamicism.activation = if mutable then "script" else "units";
      dynamicism.options = lib.optional mutable "environment.etc.*";
      specialisation.other.configuration = {
        environment.etc.other.text = "other";
        services.subject.settings.word = "other";
      };
    };
in
{
  nodes.writable = subject true;
  nodes.fixed = subject false;

  testScript = ''
    import json

    append = "dynix append services.subject.settings"
    CONFIGURATION = """
    {
      imports = [ <nixpkgs/machine.nix> /dynix/modules/dynamicism /dynix/tests/nixos/subject.nix ];
      networking.hostName = "writable";
      system.etc.overlay.enable = true;
      dynamicism.options = [ "environment.etc.*" ];
    }
    """


    def settings(machine) -> dict:
        machine.wait_for_unit("subject.service")
        return json.loads(machine.wait_until_succeeds("cat /run/subject/settings.json"))


    def mounted(machine) -> list[str]:
        return machine.succeed("findmnt --noheadings --list --output FSTYPE /etc").split()


    def is_well(machine) -> None:
        # So long a switch could not acquire the lock.
        machine.wait_until_fails("test -e /run/systemd/system/dynix-after-boot.service", timeout=60)
        t.assertEqual(mounted(machine), ["overlay"])
        t.assertEqual(machine.succeed("systemctl list-units --failed --plain --no-legend"), "")


    start_all()
    for machine in machines:
        machine.wait_for_unit("multi-user.target")

    if writable.execute("test -e /run/current-system/etc-metadata-image")[0] != 0:
        print("SKIPPED: this NixOS has no system.etc.overlay")
    else:
        for machine in machines:
            first = machine.succeed("readlink --canonicalize /run/current-system").strip()
            log = "/etc/nixos/dynamic.nix" if machine.name == "writable" else "/var/lib/dynix/dynamic.nix"

            with subtest(f"{machine.name}: /etc is an overlay, and the log is where it can be written"):
                is_well(machine)
                t.assertEqual(machine.execute("touch /etc/file")[0] == 0, machine.name == "writable")
                machine.succeed(f"{append}.level 5 --apply --wait", f"test -e {log}")
                t.assertEqual(json.loads(machine.succeed("dynix status --json"))["log"], log)
                t.assertEqual(settings(machine), {"level": 5, "word": "built"})

            with subtest(f"{machine.name}: it is in effect after a boot, before the unit's first start"):
                machine.shutdown()
                machine.start()
                t.assertEqual(settings(machine), {"level": 5, "word": "built"})
                starts = machine.succeed("journalctl --boot --unit subject.service --output cat --grep '^Started '")
                t.assertEqual(starts.count("Started "), 1)
                is_well(machine)

            with subtest(f"{machine.name}: a switch mounts another /etc, and is on what that system was built with"):
                print(machine.succeed(f"{first}/specialisation/other/bin/switch-to-configuration test 2>&1"))
                t.assertEqual(machine.succeed("cat /etc/other"), "other")
                t.assertEqual(settings(machine), {"level": 1, "word": "other"})
                is_well(machine)
                # The plan is that of the new system, and the log the same.
                machine.succeed(f"{append}.level 6 --apply --wait", f"test -e {log}")
                t.assertEqual(settings(machine), {"level": 6, "word": "other"})

            with subtest(f"{machine.name}: and back, and a boot"):
                machine.succeed(f"{first}/bin/switch-to-configuration test")
                machine.fail("test -e /etc/other")
                t.assertEqual(settings(machine), {"level": 1, "word": "built"})
                machine.succeed(f"{append}.level 7 --apply --wait")
                machine.shutdown()
                machine.start()
                t.assertEqual(settings(machine), {"level": 7, "word": "built"})
                is_well(machine)

        if writable.execute("test -e /dynix/modules")[0] == 0:
            with subtest("what would need another /etc is refused"):
                writable.succeed(f"cat > /etc/nixos/configuration.nix <<'END'\n{CONFIGURATION}\nEND")
                writable.succeed("nixos-rebuild test --fast", timeout=300)
                t.assertEqual(mounted(writable), ["overlay"])
                status, said = writable.execute("dynix append environment.etc.new.text new --apply 2>&1", timeout=120)
                assert status == 3 and "system.etc.overlay" in said, said
                writable.fail("test -e /etc/new")
                writable.succeed("dynix append services.subject.settings.level 8 --apply --wait")
                t.assertEqual(settings(writable), {"level": 8, "word": "built"})
  '';
}
