# Applies and switches at the same time: no switch waits for an apply, which would keep its units stopped for as long.
{
  nodes.machine = {
    imports = [ ./subject.nix ];
    # It takes its time to stop.
    systemd.services.subject.preStop = "sleep 2";
    specialisation.other.configuration.services.subject.settings.word = "other";
  };

  testScript = builtins.readFile ./subject.py + ''
    import time

    first = machine.succeed("readlink --canonicalize /run/current-system").strip()
    systems = [f"{first}/specialisation/other", first]
    append = "dynix append services.subject.settings.level"


    def switch(system: str) -> None:
        """Switches, as soon as nobody applies; that it was in time is told by the activation, which waits 10 s at most."""
        began = time.monotonic()
        machine.succeed(
            "while code=0; "
            f"{system}/bin/switch-to-configuration test > /tmp/switch 2>&1 || code=$?; "
            "grep --quiet 'Could not acquire lock' /tmp/switch; do sleep 0.05; done; exit $code"
        )
        said = machine.succeed("cat /tmp/switch")
        assert "not every override is in effect" not in said, said
        print(f"the switch took {time.monotonic() - began:.1f} s, waiting for its turn included")


    with subtest("an apply that meets a switch waits for it, and says what became of its record"):
        machine.succeed(f"( {systems[0]}/bin/switch-to-configuration test ) > /tmp/switch 2>&1 < /dev/null &")
        machine.wait_until_succeeds('test "$(systemctl is-active subject.service)" = deactivating', timeout=20)
        began = time.monotonic()
        code, said = machine.execute(f"{append} 5 --apply 2>&1")
        took = time.monotonic() - began
        t.assertEqual(code, 1, said)
        assert "is not in effect: nixos-rebuild took it back" in said, said
        assert took < 9, f"it took {took:.1f} s"
        t.assertEqual(settings(), {"level": 1, "word": "other"})

    with subtest("many applies and many switches"):
        # Each of them restarts the service, which takes two seconds.
        loop = f"i=0; while [ ! -e /tmp/enough ]; do i=$((i + 1)); {append} $i --apply || true; sleep 1; done; touch /tmp/over"
        machine.succeed(f"( {loop} ) >> /tmp/applies 2>&1 < /dev/null &")
        for number in range(1, 6):
            switch(systems[number % 2])
        machine.succeed("touch /tmp/enough")
        machine.wait_until_succeeds("test -e /tmp/over", timeout=60)
        machine.fail("grep --extended-regexp 'still locked|panicked' /tmp/applies")
        machine.succeed("dynix reset")
        t.assertEqual(settings(), {"level": 1, "word": "built"})
  '';
}
