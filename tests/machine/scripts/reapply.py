"""`onSwitch = "reapply"`: a switch leaves overrides in effect."""

import json


def shown() -> dict:
    answer = machine.wait_until_succeeds("curl --silent --fail http://localhost:5000/stand-in/settings", timeout=60)
    return json.loads(answer)


start_all()
machine.wait_for_unit("harmonia.service")

with subtest("what is in effect stays so, and its unit is left alone"):
    machine.succeed("dynix append services.harmonia.settings.workers 20 --apply")
    pid = machine.get_unit_property("harmonia.service", "MainPID")
    machine.succeed("/run/current-system/bin/switch-to-configuration switch")
    t.assertEqual(shown(), {"workers": 20, "max_connection_rate": 256})
    t.assertEqual(machine.get_unit_property("harmonia.service", "MainPID"), pid)

with subtest("what was only recorded comes into effect"):
    machine.succeed("dynix append services.harmonia.settings.max_connection_rate 7")
    machine.succeed("/run/current-system/bin/switch-to-configuration test")
    t.assertEqual(shown(), {"workers": 20, "max_connection_rate": 7})

with subtest("a reset goes back all the same"):
    machine.succeed("dynix reset")
    t.assertEqual(shown(), {"workers": 4, "max_connection_rate": 256})
