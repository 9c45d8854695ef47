# What ends by itself, and the daemon, over a switch and over a reboot.
{
  nodes.machine = { lib, ... }: {
    imports = [ ./subject.nix ];
    dynamicism.onSwitch = "reapply";
    dynamicism.daemon.enable = true;
    dynamicism.daemon.idle = 3;
    specialisation.other.configuration.services.subject.settings.word = "other";
    specialisation.plain.configuration.dynamicism.onSwitch = lib.mkForce "static";
  };

  testScript = builtins.readFile ./subject.py + ''
    import time

    append = "dynix append services.subject.settings"
    first = machine.succeed("readlink --canonicalize /run/current-system").strip()
    BUILT = {"level": 1, "word": "built"}


    def switch(name: str = "") -> None:
        machine.succeed(f"{first}{name and '/specialisation/' + name}/bin/switch-to-configuration test")


    def reboot() -> None:
        machine.shutdown()
        machine.start()
        machine.wait_for_unit("multi-user.target")


    def becomes(expected: dict, timeout: int = 40) -> None:
        """Waits until the subject runs on these settings."""
        end = time.monotonic() + timeout
        while (found := settings()) != expected:
            assert time.monotonic() < end, f"{found}, not {expected}"
            time.sleep(0.2)


    def ask() -> dict:
        """What the daemon says of the level."""
        parameters = json.dumps({"path": "services.subject.settings.level"})
        said = machine.succeed(f"varlinkctl call /run/dynix/dynix.sock io.dynix.Settings.Get '{parameters}'")
        return json.loads(said)


    with subtest("an override that ends after a switch, ends on the new system"):
        machine.succeed(f"{append}.level 5 --for 8s --apply")
        switch("other")
        t.assertEqual(settings(), {"level": 5, "word": "other"})
        becomes({"level": 1, "word": "other"})
        switch()
        t.assertEqual(settings(), BUILT)

    with subtest("one that ends while the machine is down, is over"):
        machine.succeed(f"{append}.level 5 --for 4s --apply --wait")
        machine.shutdown()
        time.sleep(4)
        machine.start()
        t.assertEqual(settings(), BUILT)

    with subtest("one that ends after a reboot, ends then"):
        machine.succeed(f"{append}.level 5 --for 15s --apply --wait")
        reboot()
        t.assertEqual(settings(), {"level": 5, "word": "built"})
        becomes(BUILT)

    with subtest("what nobody confirmed does not survive a reboot"):
        machine.succeed(f"{append}.level 5 --apply --wait")
        machine.succeed(f"{append}.level 6 --apply --confirm 1h")
        t.assertEqual(settings(), {"level": 6, "word": "built"})
        reboot()
        t.assertEqual(settings(), {"level": 5, "word": "built"})
        machine.fail("dynix confirm")

    with subtest("nor a switch to a system on which the built configuration wins"):
        machine.succeed(f"{append}.level 6 --apply --confirm 1h")
        switch("plain")
        t.assertEqual(settings(), BUILT)
        machine.fail("dynix confirm")
        switch()
        t.assertEqual(settings(), BUILT)

    with subtest("nor one on which overrides are reapplied: that goes back to what held before"):
        machine.succeed(f"{append}.level 5 --apply --wait")
        machine.succeed(f"{append}.level 6 --apply --confirm 1h")
        switch("other")
        t.assertEqual(settings(), {"level": 5, "word": "other"})
        machine.fail("dynix confirm")
        switch()
        t.assertEqual(settings(), {"level": 5, "word": "built"})

    with subtest("the daemon answers before and after a switch and a reboot"):
        before = ask()
        t.assertEqual((before["value"], before["static"]), (5, 1))
        switch("other")
        t.assertEqual(ask(), before)
        reboot()
        t.assertEqual(ask(), before)
        t.assertEqual(machine.succeed("systemctl list-units --failed --plain --no-legend"), "")
  '';
}
