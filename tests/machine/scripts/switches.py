"""Applies and switches at the same time: no switch waits for an apply, which would keep its units stopped for as long."""

import json
import time

SWITCH = "/run/current-system/bin/switch-to-configuration test"
CHANGED = "/run/current-system/changed-units"
APPEND = "dynix append services.harmonia.settings.workers"
# An activation gives up after ten seconds; what is tried takes less than that.
SOON = 9


def begin_switch() -> None:
    """Begins one that takes three seconds to stop a unit, and comes back once it does."""
    machine.succeed("systemctl start slow.service")
    machine.succeed(f"( {SWITCH}; echo $? > /tmp/switched ) > /tmp/switch 2>&1 < /dev/null &")
    machine.wait_until_succeeds('test "$(systemctl is-active slow.service)" = deactivating', timeout=20)


def end_switch(began: float) -> float:
    machine.wait_until_succeeds("test -e /tmp/switched", timeout=60)
    took = time.monotonic() - began
    said = machine.succeed("cat /tmp/switch")
    t.assertEqual(machine.succeed("cat /tmp/switched; rm /tmp/switched"), "0\n", said)
    assert took < SOON, f"the switch took {took:.1f} s: {said}"
    assert "not every override is in effect" not in said, said
    return took


def is_static() -> None:
    machine.wait_for_unit("harmonia.service")
    answer = machine.wait_until_succeeds("curl --silent --fail http://localhost:5000/stand-in/settings")
    t.assertEqual(json.loads(answer)["workers"], 4)


start_all()
machine.wait_for_unit("harmonia.service")
machine.wait_for_unit("distccd.service")
machine.succeed(
    "printf '[Service]\\nExecStart=sleep infinity\\nExecStop=sleep 3\\n' > /run/systemd/system/slow.service",
    "systemctl daemon-reload",
)

with subtest("a switch does not wait for an apply that waits for it, and the apply says what became of its record"):
    machine.succeed(f"echo harmonia.service slow.service > {CHANGED}")
    began = time.monotonic()
    begin_switch()
    code, said = machine.execute(f"{APPEND} 20 --apply 2>&1")
    t.assertEqual(code, 1, said)
    assert "record 1 is not in effect: nixos-rebuild took it back with record 2" in said, said
    end_switch(began)
    is_static()

with subtest("nor for a daemon that it stops, whose request waits for it"):
    machine.succeed(f"echo slow.service dynix.service > {CHANGED}")
    began = time.monotonic()
    begin_switch()
    code, said = machine.execute(f"dynix --socket /run/dynix/dynix.sock {APPEND[6:]} 21 --apply 2>&1")
    t.assertEqual(code, 1, said)
    end_switch(began)
    is_static()

with subtest("a switch that comes while dynix applies fails before it touches anything"):
    machine.succeed(f"echo slow.service > {CHANGED}")
    code, said = machine.execute(f"flock /run/nixos/switch-to-configuration.lock {SWITCH} 2>&1")
    t.assertEqual((code, said), (11, "Could not acquire lock\n"))

with subtest("many applies and many switches"):
    machine.succeed(f"echo harmonia.service > {CHANGED}")
    applies = [
        f"{APPEND} $((i % 60 + 1)) --apply",
        "dynix append services.distccd.maxJobs $((i % 60 + 1)) --apply",
        f"dynix --socket /run/dynix/dynix.sock {APPEND[6:]} $((i % 60 + 1)) --apply",
        "dynix apply",
        f"{APPEND} 9 --apply --confirm 30s; dynix confirm; dynix apply --expired",
    ]
    for words in applies:
        loop = f"i=0; while [ ! -e /tmp/enough ]; do i=$((i + 1)); {{ {words}; }} || true; sleep 0.5; done; echo over >> /tmp/over"
        machine.succeed(f"( {loop} ) >> /tmp/applies 2>&1 < /dev/null &")
    # Where somebody applies, it fails at once and is run again. The time is that of the last try.
    switch = (
        f"while began=$(date +%s%N); code=0; {SWITCH} > /tmp/switch 2>&1 || code=$?; [ $code = 11 ]; do sleep 0.05; done;"
        " echo $code $(( ($(date +%s%N) - began) / 1000000 ))"
    )
    slowest = 0
    for _ in range(5):
        code, took = machine.succeed(switch, timeout=60).split()
        said = machine.succeed("cat /tmp/switch")
        t.assertEqual(code, "0", said)
        assert "not every override is in effect" not in said, said
        slowest = max(slowest, int(took))
    machine.succeed("touch /tmp/enough")
    print(f"the slowest switch took {slowest} ms")
    assert slowest < SOON * 1000
    machine.wait_until_succeeds(f"test $(grep --count over /tmp/over) = {len(applies)}", timeout=60)
    machine.fail("grep --extended-regexp 'still locked|panicked' /tmp/applies")
    machine.succeed("dynix reset")
    is_static()
