"""After a switch a proof is made of the new system, once, in the background: the switch does not wait for it.

The evaluator is the real one. What it evaluates is made here, and takes it some seconds.
"""

import json
import time

CONFIGURATION = r"""
let
  # Seconds, in little memory.
  sum = builtins.foldl' builtins.add 0;
  slow = sum (builtins.genList (number: sum (builtins.genList (other: number + other) 3000)) 5000);
in
{
  config.lib.dynamicism = {
    verify = throw "nothing is recorded, and nothing has to be compared";
    prove = { skip, ... }: builtins.seq slow {
      version = 2;
      generated = "BUILT";
      parts = 1;
      services.harmonia = { flows = { }; paths = [ ]; };
    };
  };
}
"""
PROOF = "/var/cache/dynix/proof.json"
SWITCH = "/run/current-system/bin/switch-to-configuration"


def started() -> int:
    """How many times something was evaluated in the background."""
    return int(machine.succeed("journalctl -b -o cat _PID=1 | grep -c 'Started dynix-verify-.*service' || true"))


def starts(number: int) -> None:
    """Waits for the journal, and that it was no more than that."""
    machine.wait_until_succeeds(f"test $(journalctl -b -o cat _PID=1 | grep -c 'Started dynix-verify-.*service') -ge {number}")
    t.assertEqual(started(), number)


def over() -> None:
    """Waits until nothing is evaluated any more."""
    machine.wait_until_succeeds("test -z \"$(systemctl list-units --plain --no-legend 'dynix-verify-*')\"", timeout=300)


def switch(action: str) -> float:
    began = time.monotonic()
    said = machine.succeed(f"{SWITCH} {action} 2>&1")
    took = time.monotonic() - began
    # Among the new units that it names, there is nothing of what goes on by itself.
    assert "dynix-verify" not in said, said
    return took


start_all()
machine.wait_for_unit("harmonia.service")
# Without a stand-in for NixOS, the other system is a specialisation.
other = machine.succeed("readlink --canonicalize /run/current-system").strip() + "/specialisation/other"
policy = json.loads(machine.succeed("cat /etc/dynix/plan.json")).get("verify", "warn")
built = machine.succeed("dirname $(realpath /etc/dynix/plan.json)").strip()
machine.succeed(f"cat > /etc/nixos/system.nix <<'END'\n{CONFIGURATION.replace('BUILT', built)}\nEND")

with subtest("the boot evaluates nothing"):
    t.assertEqual(started(), 0)
    machine.fail(f"test -e {PROOF}")

if policy == "off":
    with subtest("nobody wants to know, and nothing is evaluated"):
        switch("switch")
        t.assertEqual(started(), 0)
        machine.fail(f"test -e {PROOF}")
else:
    with subtest("a dry run and a switch for the next boot evaluate nothing"):
        switch("dry-activate")
        switch("boot")
        t.assertEqual(started(), 0)

    with subtest("a switch starts it and does not wait for it"):
        began = time.monotonic()
        took = switch("switch")
        machine.fail(f"test -e {PROOF}")
        starts(1)
        unit = machine.succeed("systemctl list-units --plain --no-legend 'dynix-verify-*.service' | cut -d ' ' -f 1").strip()
        t.assertEqual(machine.get_unit_property(unit, "Nice"), "19")
        # OK is below 5.0.
        machine.succeed(f"systemd-analyze security --no-pager --threshold=49 {unit}")
        machine.wait_until_succeeds(f"test -e {PROOF}", timeout=300)
        print(f"the switch took {took:.2f} s, the proof was there after {time.monotonic() - began:.2f} s")
        over()
        found = json.loads(machine.succeed("dynix status --json"))["verified"]
        t.assertEqual(found["verdict"], "sound")

    with subtest("the same system is not proven again"):
        before = machine.succeed(f"stat -c %Y.%i {PROOF}")
        switch("switch")
        switch("test")
        over()
        t.assertEqual(started(), 1)
        t.assertEqual(machine.succeed(f"stat -c %Y.%i {PROOF}"), before)

    with subtest("of another system with the same plan, what was proven of this one says nothing"):
        if machine.execute(f"test -e {other}")[0] != 0:
            other = "/nix/store/other-system"
            machine.succeed(
                f"cp -r /nix/store/22222222222222222222222222222222-nixos-system-machine {other}",
                f"cd {other};"
                f" sed -i 's|/nix/store/2222[^/ ]*-nixos-system-machine|{other}|' init activate bin/switch*",
            )
        machine.succeed(f"{other}/bin/switch-to-configuration test")
        other = machine.succeed(f"realpath {other}").strip()
        t.assertEqual(machine.succeed("readlink /run/current-system").strip(), other)
        machine.wait_until_succeeds(f"test $(stat -c %Y.%i {PROOF}) != {before}", timeout=300)
        starts(2)
        over()
        t.assertEqual(json.loads(machine.succeed("dynix status --json"))["verified"]["verdict"], "sound")

    with subtest("after a reboot the proof is still that of this system"):
        machine.succeed(f"ln -sfn {other} /nix/var/nix/profiles/system")
        # Where nothing was ever recorded, a boot starts no dynix.
        machine.succeed("dynix append services.harmonia.settings.workers 5")
        machine.reboot()
        machine.wait_for_unit("harmonia.service")
        found = json.loads(machine.succeed("dynix status --json"))["verified"]
        t.assertEqual((found["verdict"], found["byProof"], found["record"]), ("sound", True, 1))
        t.assertEqual(started(), 0)
