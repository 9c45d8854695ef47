"""What an override added to the settings of the kernel is gone with it, however it goes."""

TTL, FILTER, PORTS, PROBES = (
    "net/ipv4/ip_default_ttl",
    "net/ipv4/conf/lo/rp_filter",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/tcp_keepalive_probes",
)


def kernel() -> list[str]:
    return [machine.succeed(f"cat /proc/sys/{key}").strip() for key in [TTL, FILTER, PORTS, PROBES]]


def append(key: str, value: str, options: str = "") -> tuple[int, str]:
    return machine.execute(f"""dynix append 'boot.kernel.sysctl."{key}"' '{value}' --apply {options} 2>&1""")


def applied(key: str, value: str, options: str = "") -> None:
    status, said = append(key, value, options)
    t.assertEqual(status, 0, said)


def left() -> str:
    return machine.succeed("cat /run/dynix/sysctl.sysctl /run/sysctl.d/* 2> /dev/null || true")


start_all()
machine.wait_for_unit("systemd-sysctl.service")
# The administrator's own, which nothing in a file says.
machine.succeed("sysctl --write net.ipv4.ip_local_port_range='20000 50000' net.ipv4.conf.lo.rp_filter=2")
built = kernel()
t.assertEqual(built[0], "63")

with subtest("a key that comes new has what it had before once it is gone; one that was built has what was built"):
    applied("net.ipv4.ip_local_port_range", "30000 40000", "--string")
    applied("net.ipv4.ip_default_ttl", "99")
    applied("net.ipv4.conf.*.rp_filter", "1")
    t.assertEqual(kernel(), ["99", "1", "30000\t40000", built[3]])
    machine.succeed("dynix unset 'boot.kernel.sysctl.\"net.ipv4.ip_local_port_range\"' --apply")
    t.assertEqual(kernel(), ["99", "1", *built[2:]])
    machine.succeed("dynix reset")
    t.assertEqual((kernel(), left()), (built, ""))

with subtest("a second override keeps what there was before the first"):
    for value in ["11", "12"]:
        applied("net.ipv4.tcp_keepalive_probes", value)
        t.assertEqual(kernel()[3], value)
    machine.succeed("dynix rollback --apply")
    t.assertEqual(kernel()[3], "11")
    machine.succeed("dynix rollback --apply")
    t.assertEqual((kernel(), left()), (built, ""))

with subtest("what goes back by itself does so as well: not confirmed, over, refused by the unit"):
    applied("net.ipv4.tcp_keepalive_probes", "13", "--confirm 1min")
    t.assertEqual(kernel()[3], "13")
    machine.succeed("dynix confirm --revert")
    t.assertEqual(kernel(), built)
    applied("net.ipv4.tcp_keepalive_probes", "14", "--for 3s")
    machine.wait_until_succeeds(f"grep --quiet --line-regexp {built[3]} /proc/sys/{PROBES}", timeout=20)
    machine.succeed("dynix append 'boot.kernel.sysctl.\"net.ipv4.tcp_keepalive_probes\"' 15")
    status, said = append("net.ipv4.ip_local_port_range", "none of it", "--string")
    # What was recorded before, and applied by nobody, is tried without the value that is to blame.
    t.assertEqual((status, kernel()), (4, [*built[:3], "15"]), said)
    machine.succeed("dynix reset")
    t.assertEqual((kernel(), left()), (built, ""))

with subtest("killed at any moment: an apply and a reset lead back"):
    for number in range(8):
        machine.succeed(f"dynix append 'boot.kernel.sysctl.\"net.ipv4.tcp_keepalive_probes\"' {20 + number}")
        machine.execute(f"timeout --signal=KILL 0.{number * 25:03} dynix apply")
        machine.succeed("dynix apply")
        t.assertEqual(kernel()[3], str(20 + number))
        machine.execute(f"timeout --signal=KILL 0.{number * 25:03} dynix reset")
        machine.succeed("dynix reset")
        t.assertEqual((kernel(), left()), (built, ""))

with subtest("a boot with the override in effect knows what the kernel had before"):
    applied("net.ipv4.tcp_keepalive_probes", "16")
    machine.wait_until_fails("systemctl list-units --plain --no-legend 'dynix-watch-*' | grep .", timeout=20)
    machine.reboot()
    machine.wait_for_unit("systemd-sysctl.service")
    t.assertEqual(kernel()[3], "16")
    machine.succeed("dynix reset")
    t.assertEqual((kernel()[3], left()), (built[3], ""))
