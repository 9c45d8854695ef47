"""The real daemon of Nix: what it and its clients do, from its answers."""

import shlex

BUILD = """
derivation {
  name = "slow"; system = "x86_64-linux"; builder = "/bin/sh";
  args = [ "-c" "while [ ! -e /tmp/go ]; do /bin/sleep 0.1; done; echo built > $out" ];
}
"""


def as_alice(command: str) -> str:
    return f"runuser --user alice -- env HOME=/home/alice NIX_REMOTE=daemon {command}"


def is_trusted() -> bool:
    """What the daemon says to a client of alice's."""
    return "Trusted: 1" in machine.wait_until_succeeds(as_alice("nix store info 2>&1"), timeout=20)


def shown(name: str) -> str:
    """What a client of alice's reads."""
    return machine.succeed(as_alice(f"nix config show {name}")).strip()


start_all()
machine.wait_for_unit("nix-daemon.service")

with subtest("the built settings are in effect"):
    t.assertEqual((is_trusted(), shown("max-jobs")), (False, "1"))

with subtest("the daemon has a new setting, and so have its clients"):
    machine.succeed("dynix append nix.settings.trusted-users --add alice --apply")
    t.assertTrue(is_trusted())
    machine.succeed("dynix append nix.settings.max-jobs 3 --apply")
    t.assertEqual((is_trusted(), shown("max-jobs")), (True, "3"))

with subtest("a build under way goes on"):
    machine.succeed(f"echo {shlex.quote(BUILD)} > /tmp/slow.nix; chmod 1777 /tmp")
    machine.succeed("systemd-run --unit=build --property=User=alice --setenv=HOME=/home/alice --setenv=NIX_REMOTE=daemon nix-build --no-out-link /tmp/slow.nix")
    machine.wait_until_succeeds("pgrep --full '[w]hile . ! -e /tmp/go'", timeout=20)
    before = machine.get_unit_property("nix-daemon.service", "MainPID")
    machine.succeed("dynix append nix.settings.cores 2 --apply")
    t.assertNotEqual(machine.get_unit_property("nix-daemon.service", "MainPID"), before)
    machine.succeed("touch /tmp/go")
    machine.wait_until_succeeds("journalctl --unit build --output=cat | grep -- '-slow$'", timeout=20)

with subtest("a setting on which it does not start goes back"):
    status, said = machine.execute("dynix append nix.settings.sandbox --string perhaps --apply 2>&1")
    t.assertEqual(status, 4, said)
    t.assertTrue(is_trusted())

with subtest("after a reset it is as it was built"):
    machine.succeed("dynix reset")
    t.assertEqual((is_trusted(), shown("max-jobs")), (False, "1"))
