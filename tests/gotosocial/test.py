"""gotosocial reads the YAML file that its command line names: asserted is what it makes of the file that it sees."""

import json
import shlex


def main_pid() -> str:
    return machine.get_unit_property("gotosocial.service", "MainPID")


def settings() -> dict:
    """What gotosocial's own `debug config` says, with the program and the file of the running process."""
    pid = main_pid()
    words = machine.succeed(f"tr '\\0' '\\n' < /proc/{pid}/cmdline").splitlines()
    t.assertEqual(words[-2:], ["server", "start"])
    command = shlex.join([*words[:-2], "debug", "config"])
    read = json.loads(machine.succeed(f"nsenter --target {pid} --mount {command}"))
    if stand_in:
        shown = machine.succeed(f"curl --silent --fail http://localhost:{read['port']}/stand-in/settings")
        t.assertEqual(json.loads(shown), read)
    return read


def wait(port: int = 8080) -> None:
    machine.wait_for_unit("gotosocial.service")
    machine.wait_until_succeeds(f"curl --silent --fail http://localhost:{port}/livez", timeout=120)


start_all()
wait()
# Outside a NixOS VM test, a stand-in takes the place of gotosocial, and can say more.
stand_in = machine.execute("curl --silent --fail http://localhost:8080/stand-in/settings")[0] == 0
static = settings()

with subtest("the built settings are in effect"):
    t.assertEqual(static["application-name"], "gotosocial-for-machine")
    t.assertEqual(static["port"], 8080)

with subtest("an override that is only recorded changes nothing"):
    before = main_pid()
    machine.succeed("dynix append services.gotosocial.settings.application-name 'yay!'")
    t.assertEqual(main_pid(), before)
    t.assertEqual(settings(), static)

with subtest("the application's name changes, and nothing else"):
    machine.succeed("apply-dynamic-configuration")
    wait()
    t.assertEqual(settings(), static | {"application-name": "yay!"})

with subtest("the port changes, and the name stays"):
    machine.succeed("dynix append services.gotosocial.settings.port 8081")
    machine.succeed("apply-dynamic-configuration")
    wait(8081)
    t.assertEqual(settings(), static | {"application-name": "yay!", "port": 8081})
    machine.wait_for_closed_port(8080)

with subtest("a switch goes back to the built settings"):
    machine.succeed("/run/current-system/bin/switch-to-configuration test")
    wait()
    t.assertEqual(settings(), static)

with subtest("and so does a reset"):
    machine.succeed("dynix append services.gotosocial.settings.application-name 'yay!' --apply")
    wait()
    t.assertEqual(settings(), static | {"application-name": "yay!"})
    machine.succeed("dynix reset")
    wait()
    t.assertEqual(settings(), static)
