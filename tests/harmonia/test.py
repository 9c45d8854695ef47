"""harmonia reads the TOML file that CONFIG_FILE names: asserted is what the running process reads and does."""

import json
import shlex
import tomllib


def main_pid() -> str:
    return machine.get_unit_property("harmonia.service", "MainPID")


def expect(**settings: int) -> None:
    """That the process sees a file with `settings`, and runs with them."""
    machine.wait_for_open_port(5000)
    machine.succeed("curl --silent --fail http://localhost:5000/nix-cache-info")
    pid = main_pid()
    environment = machine.succeed(f"tr '\\0' '\\n' < /proc/{pid}/environ").splitlines()
    path = dict(line.split("=", 1) for line in environment)["CONFIG_FILE"]
    # The file as the process sees it: DynamicUser= and ProtectSystem=strict give it a mount namespace of its own.
    text = machine.succeed(f"nsenter --target {pid} --mount cat {shlex.quote(path)}")
    t.assertEqual(tomllib.loads(text), settings)
    # One thread for each worker: this is what the process made of it.
    names = machine.succeed(f"cat /proc/{pid}/task/*/comm").splitlines()
    t.assertEqual(names.count("actix-server wo"), settings["workers"])
    if stand_in:
        shown = machine.succeed("curl --silent --fail http://localhost:5000/stand-in/settings")
        t.assertEqual(json.loads(shown), settings)


start_all()
machine.wait_for_unit("harmonia.service")
machine.wait_for_open_port(5000)
# Outside a NixOS VM test, a stand-in takes the place of harmonia, and can say more.
stand_in = machine.execute("curl --silent --fail http://localhost:5000/stand-in/settings")[0] == 0

with subtest("the built settings are in effect"):
    expect(workers=4, max_connection_rate=256)

with subtest("an override that is only recorded changes nothing"):
    before = main_pid()
    machine.succeed("dynix append services.harmonia.settings.workers 20")
    t.assertEqual(main_pid(), before)
    expect(workers=4, max_connection_rate=256)

with subtest("the number of workers changes"):
    machine.succeed("apply-dynamic-configuration")
    expect(workers=20, max_connection_rate=256)

with subtest("the connection rate changes, and the number of workers stays"):
    machine.succeed("dynix append services.harmonia.settings.max_connection_rate 100")
    machine.succeed("apply-dynamic-configuration")
    expect(workers=20, max_connection_rate=100)

with subtest("applying what is in effect touches nothing"):
    before = main_pid()
    machine.succeed("apply-dynamic-configuration")
    t.assertEqual(main_pid(), before)

with subtest("a switch goes back to the built settings"):
    machine.succeed("/run/current-system/bin/switch-to-configuration test")
    expect(workers=4, max_connection_rate=256)

with subtest("and so does a reset"):
    machine.succeed("dynix append services.harmonia.settings.workers 20 --apply")
    expect(workers=20, max_connection_rate=256)
    machine.succeed("dynix reset")
    expect(workers=4, max_connection_rate=256)
