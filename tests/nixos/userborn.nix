# Users that userborn makes, once systemd runs: a file of theirs is there from the first start of their service on with
# `activation = "units"`, and as the documentation says with the script.
let
  subject =
    activation:
    { lib, options, ... }:
    {
      imports = [ ./subject.nix ];
      services = lib.optionalAttrs (options.services ? userborn) { userborn.enable = true; };
      dynamicism.activation = activation;
      dynamicism.for.subject.files."subject.json" = {
        owner = lib.mkDefault "keeper";
        mode = "0400";
      };
      systemd.services.subject.serviceConfig.User = lib.mkDefault "keeper";
      users.groups.keepers = { };
      users.users.keeper = {
        isSystemUser = true;
        group = "keepers";
      };
      # Its owner is new.
      specialisation.other.configuration = {
        services.subject.settings.word = "other";
        dynamicism.onSwitch = "reapply";
        dynamicism.for.subject.files."subject.json".owner = "other";
        systemd.services.subject.serviceConfig.User = "other";
        users.users.other = {
          isSystemUser = true;
          group = "keepers";
        };
      };
    };
in
{
  nodes.script = subject "script";
  nodes.units = subject "units";

  testScript = ''
    import json


    def settings(machine) -> dict:
        machine.wait_for_unit("subject.service")
        return json.loads(machine.wait_until_succeeds("cat /run/subject/settings.json"))


    def owner(machine) -> str:
        return machine.succeed("stat --dereference --format '%U %a' /run/dynix/subject/current/subject.json").strip()


    def reboot(machine) -> None:
        machine.shutdown()
        machine.start()
        machine.wait_for_unit("multi-user.target")
        machine.wait_until_fails("test -e /run/systemd/system/dynix-after-boot.service", timeout=60)


    def nothing_failed(machine) -> None:
        t.assertEqual(machine.succeed("systemctl list-units --failed --plain --no-legend"), "")


    start_all()
    for machine in machines:
        machine.wait_for_unit("multi-user.target")

    if script.execute("systemctl cat userborn.service")[0] != 0:
        print("SKIPPED: this NixOS has no userborn")
    else:
        for machine in machines:
            with subtest(f"{machine.name}: an override whose file belongs to a user, over a boot"):
                first = machine.succeed("readlink --canonicalize /run/current-system").strip()
                machine.succeed("dynix append services.subject.settings.level 5 --apply --wait")
                t.assertEqual((settings(machine)["level"], owner(machine)), (5, "keeper 400"))
                reboot(machine)
                t.assertEqual((settings(machine)["level"], owner(machine)), (5, "keeper 400"))
                starts = machine.succeed("journalctl --boot --unit subject.service --output cat --grep '^Started '")
                t.assertEqual(starts.count("Started "), 1)
                nothing_failed(machine)

            with subtest(f"{machine.name}: a switch to a system with a new user, to whom it belongs"):
                machine.fail("id other")
                said = machine.execute(f"{first}/specialisation/other/bin/switch-to-configuration test 2>&1")
                print(said)
                machine.succeed("id other")
                if machine.name == "script":
                    # The script ran before there was that user.
                    machine.succeed("dynix apply")
                t.assertEqual(settings(machine), {"level": 5, "word": "other"})
                t.assertEqual(owner(machine), "other 400")
                nothing_failed(machine)

            with subtest(f"{machine.name}: a boot of it"):
                machine.succeed(f"ln -sfn {first}/specialisation/other /nix/var/nix/profiles/system")
                reboot(machine)
                t.assertEqual((settings(machine), owner(machine)), ({"level": 5, "word": "other"}, "other 400"))
                nothing_failed(machine)
  '';
}
