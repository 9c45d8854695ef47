"""Without anything under /run/dynix, every service starts on what was built, whatever else is the matter."""

import json
import shlex


def command_line(unit: str) -> list[str]:
    pid = machine.get_unit_property(unit, "MainPID")
    return machine.succeed(f"tr '\\0' '\\n' < /proc/{pid}/cmdline").splitlines()


def after(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


def shown(port: int) -> dict:
    return json.loads(machine.wait_until_succeeds(f"curl --silent --fail http://localhost:{port}/stand-in/settings"))


def expect(jobs: str, workers: int, name: str) -> None:
    t.assertEqual(after(command_line("distccd.service"), "--jobs"), jobs)
    t.assertEqual(shown(5000)["workers"], workers)
    t.assertEqual(shown(8080)["application-name"], name)


def expect_static() -> None:
    expect("12", 4, "gotosocial-for-machine")


UNITS = "distccd.service harmonia.service gotosocial.service"

start_all()
for unit in UNITS.split():
    machine.wait_for_unit(unit)

with subtest("on a machine that never applied anything, all start as built"):
    machine.fail("find /run/dynix -name current | grep .")
    expect_static()

with subtest("overrides of three services, applied at once"):
    machine.succeed("dynix append services.distccd.maxJobs 4")
    machine.succeed("dynix append services.harmonia.settings.workers 20")
    machine.succeed("dynix append services.gotosocial.settings.application-name 'yay!'")
    expect_static()
    machine.succeed("apply-dynamic-configuration")
    expect("4", 20, "yay!")

with subtest("a restart keeps them"):
    machine.succeed(f"systemctl restart {UNITS}")
    expect("4", 20, "yay!")

with subtest("with /run/dynix gone, all start as built"):
    machine.succeed("rm --recursive /run/dynix", f"systemctl restart {UNITS}")
    expect_static()

with subtest("an apply puts back what is recorded"):
    machine.succeed("apply-dynamic-configuration")
    expect("4", 20, "yay!")

with subtest("with one service's part of it gone, that one starts as built"):
    machine.succeed("rm --recursive /run/dynix/harmonia", f"systemctl restart {UNITS}")
    expect("4", 4, "yay!")
    machine.succeed("apply-dynamic-configuration")
    expect("4", 20, "yay!")

with subtest("with the plan and the log gone as well, all start as built"):
    plan = machine.succeed("readlink /etc/dynix/plan.json").strip()
    machine.succeed("cp /etc/nixos/dynamic.nix /root/kept")
    machine.succeed("rm --recursive /run/dynix /etc/dynix/plan.json /etc/nixos/dynamic.nix")
    machine.succeed(f"systemctl restart {UNITS}")
    expect_static()
    machine.fail("dynix apply")
    expect_static()
    # An activation goes on without it.
    machine.succeed("/nix/var/nix/profiles/system/activate")
    expect_static()
    # On NixOS the activation has put it back.
    machine.succeed(f"ln --symbolic --force {shlex.quote(plan)} /etc/dynix/plan.json", "cp /root/kept /etc/nixos/dynamic.nix")
    machine.succeed("apply-dynamic-configuration")
    expect("4", 20, "yay!")
