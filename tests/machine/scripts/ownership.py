"""Files belong to whom the plan says, each unit sees the files that it reads, and nobody else may change anything."""

import json

SECRET = "/nix/store/cccccccccccccccccccccccccccccccc-pair-secret.json"
SHARED = "/nix/store/dddddddddddddddddddddddddddddddd-pair-shared.json"


def main_pid(unit: str) -> str:
    return machine.get_unit_property(unit, "MainPID")


def seen_by(unit: str, path: str) -> dict:
    """What the unit's own user reads in the unit's own mount namespace."""
    command = f"nsenter --target {main_pid(unit)} --mount setpriv --reuid=pair --regid=pair --clear-groups cat {path}"
    return json.loads(machine.succeed(command))


start_all()
machine.wait_for_unit("pair-restarts.service")
machine.wait_for_unit("pair-reloads.service")

with subtest("a file that one unit reads concerns that unit alone"):
    restarts, reloads = main_pid("pair-restarts.service"), main_pid("pair-reloads.service")
    machine.succeed("dynix append services.pair.secret.key hidden --apply")
    t.assertEqual(seen_by("pair-restarts.service", SECRET), {"key": "hidden"})
    t.assertEqual(seen_by("pair-reloads.service", SECRET), {"key": "static"})
    t.assertNotEqual(main_pid("pair-restarts.service"), restarts)
    t.assertEqual(main_pid("pair-reloads.service"), reloads)
    machine.fail("test -e /run/pair/reloaded")

with subtest("it belongs to whom the plan says, and nobody else reads it"):
    found = machine.succeed("stat --format='%a %U %G' /run/dynix/pair/current/secret.json")
    t.assertEqual(found, "400 pair daemon\n")
    machine.fail("setpriv --reuid=nobody --clear-groups cat /run/dynix/pair/current/secret.json")
    t.assertEqual(machine.succeed("stat --format='%a %U %G' /run/dynix/pair/current/shared.json"), "444 root root\n")

with subtest("a file that both read restarts one and reloads the other, which sees it when it reloads"):
    restarts = main_pid("pair-restarts.service")
    for greeting in ["hello", "hello again"]:
        machine.succeed(f"dynix append services.pair.shared.greeting '{greeting}' --apply")
        t.assertEqual(seen_by("pair-restarts.service", SHARED), {"greeting": greeting})
        t.assertEqual(json.loads(machine.succeed("cat /run/pair/reloaded")), {"greeting": greeting})
        t.assertEqual(seen_by("pair-reloads.service", SHARED), {"greeting": greeting})
        t.assertEqual(main_pid("pair-reloads.service"), reloads)
        t.assertNotEqual(main_pid("pair-restarts.service"), restarts)
        restarts = main_pid("pair-restarts.service")

with subtest("units can't write what they see"):
    machine.fail(f"nsenter --target {main_pid('pair-reloads.service')} --mount sh -c 'echo >> {SHARED}'")

with subtest("somebody else may look, and change nothing"):
    nobody = "setpriv --reuid=nobody --regid=nogroup --clear-groups"
    machine.succeed(f"{nobody} dynix status", f"{nobody} dynix get services.pair.shared.greeting")
    before = machine.succeed("cat /etc/nixos/dynamic.nix")
    status, said = machine.execute(f"{nobody} dynix append services.pair.shared.greeting mine 2>&1")
    t.assertEqual(status, 1)
    assert "/etc/nixos/dynamic.nix" in said and "ermission denied" in said, said
    for command in ["apply", "reset", "rollback 0"]:
        machine.fail(f"{nobody} dynix {command}")
    t.assertEqual(machine.succeed("cat /etc/nixos/dynamic.nix"), before)
    t.assertEqual(main_pid("pair-restarts.service"), restarts)

with subtest("a log of somebody else's is not followed"):
    machine.succeed("chown nobody /etc/nixos/dynamic.nix")
    machine.fail("dynix append services.pair.shared.greeting evil")
    machine.fail("dynix apply")
    machine.succeed("chown root /etc/nixos/dynamic.nix")

with subtest("after a reset, the reloading unit sees the built file again, in the same process"):
    machine.succeed("dynix reset")
    t.assertEqual(seen_by("pair-reloads.service", SHARED), {"greeting": "static"})
    t.assertEqual(json.loads(machine.succeed("cat /run/pair/reloaded")), {"greeting": "static"})
    t.assertEqual(seen_by("pair-restarts.service", SECRET), {"key": "static"})
    t.assertEqual(main_pid("pair-reloads.service"), reloads)
