"""Two hundred services in one apply, more than the bus takes calls of at once: each unit restarted once, together, and systemd reloaded at most once."""

COUNT = 200
UNITS = [f"wide-{number}.service" for number in range(COUNT)]


def invocations() -> list[str]:
    """Changes with every start of a unit."""
    return machine.succeed(f"systemctl show --property=InvocationID --value {' '.join(UNITS)}").split()


def loaded() -> str:
    """Changes with every daemon-reload."""
    return machine.succeed("systemctl show --property=UnitsLoadTimestampMonotonic")


def record(option: str, value: int) -> None:
    """A record for each of the services, as a person would add them by hand."""
    lines = "".join(f"{{ set.services.wide-{number}.{option} = {value}; }}\n" for number in range(COUNT))
    machine.succeed(f"cat >> /etc/nixos/dynamic.nix <<'END'\n{lines}END")


start_all()
machine.wait_for_unit("multi-user.target")
machine.succeed("dynix append services.wide-0.settings.value 1 --apply")

with subtest("all files change: every unit is restarted, and systemd reloads nothing"):
    before, reloads = invocations(), loaded()
    record("settings.value", 2)
    machine.succeed("dynix apply")
    t.assertEqual(sum(one != other for one, other in zip(before, invocations())), COUNT)
    t.assertEqual(loaded(), reloads)
    last = machine.succeed(f"cat /proc/$(systemctl show --property=MainPID --value {UNITS[-1]})/root/nix/store/*-wide-{COUNT - 1}.json")
    assert '"value": 2' in last, last

with subtest("all drop-ins change: systemd reloads its files before the units restart"):
    before, reloads = invocations(), loaded()
    record("nice", 5)
    machine.succeed("dynix apply --verbose 2> /tmp/steps")
    t.assertEqual(sum(one != other for one, other in zip(before, invocations())), COUNT)
    t.assertNotEqual(loaded(), reloads)
    t.assertEqual(machine.succeed("grep --count 'reload systemd' /tmp/steps"), "1\n")
    nice = machine.succeed(f"ps -o nice= --pid $(systemctl show --property=MainPID --value {UNITS[-1]})")
    t.assertEqual(nice.strip(), "5")

with subtest("and all of them go back"):
    machine.succeed("dynix reset")
    states = machine.succeed(f"systemctl show --property=ActiveState --value {' '.join(UNITS)}").split()
    t.assertEqual(states, ["active"] * COUNT)
    machine.succeed("! ls /run/systemd/system/wide-*.d 2> /dev/null")
