"""A unit property that follows a value: a port below 1024 needs a capability.

tests/fixtures/services/gotosocial-port-80.json is what NixOS makes of it.
"""


def capabilities() -> str:
    return machine.get_unit_property("gotosocial.service", "AmbientCapabilities")


def loaded() -> str:
    """Changes with every daemon-reload."""
    return machine.succeed("systemctl show --property=UnitsLoadTimestampMonotonic")


def bound(port: int) -> bool:
    """Whether it is gotosocial's main process, not running as root, that listens there."""
    pid = machine.get_unit_property("gotosocial.service", "MainPID")
    machine.succeed(f"test $(stat --format=%U /proc/{pid}) = gotosocial")
    return f"pid={pid}," in machine.succeed(f"ss --listening --tcp --numeric --processes 'sport = :{port}'")


start_all()
machine.wait_for_unit("gotosocial.service")
machine.wait_for_open_port(8080)

with subtest("as built, it has no capability"):
    t.assertEqual(capabilities(), "")
    assert bound(8080)

with subtest("a daemon-reload shows in what this script looks at"):
    before = loaded()
    machine.succeed("systemctl daemon-reload")
    t.assertNotEqual(loaded(), before)

with subtest("on port 80 it gets the capability to listen there"):
    before = loaded()
    machine.succeed("dynix append services.gotosocial.settings.port 80 --apply")
    machine.wait_for_open_port(80)
    t.assertEqual(capabilities(), "cap_net_bind_service")
    assert bound(80)
    t.assertNotEqual(loaded(), before)

with subtest("another value leaves the drop-in alone"):
    before = loaded()
    machine.succeed("dynix append services.gotosocial.settings.application-name 'yay!' --apply")
    machine.wait_for_open_port(80)
    t.assertEqual(capabilities(), "cap_net_bind_service")
    t.assertEqual(loaded(), before)

with subtest("at reset it loses the capability, and nothing of the drop-in stays"):
    machine.succeed("dynix reset")
    machine.wait_for_open_port(8080)
    t.assertEqual(capabilities(), "")
    assert bound(8080)
    machine.fail("test -e /run/systemd/system/gotosocial.service.d")
