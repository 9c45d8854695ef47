"""The real dnscrypt-proxy: TOML, with a check of its own; what it answers shows its settings."""

import json


def ttl(port: int = 53) -> int:
    """How long it says that a name it is told to cloak holds."""
    answer = machine.wait_until_succeeds(
        f"dig @127.0.0.1 -p {port} +time=1 +tries=1 +noall +answer dynix.example A | grep --fixed-strings 192.0.2.7",
        timeout=30,
    )
    return int(answer.split()[1])


start_all()
machine.wait_for_unit("dnscrypt-proxy.service")

with subtest("the built settings are in effect"):
    t.assertEqual(ttl(), 600)

with subtest("a number changes"):
    machine.succeed("dynix append services.dnscrypt-proxy.settings.cloak_ttl 42 --apply")
    t.assertEqual(ttl(), 42)

with subtest("a list changes, and the number stays"):
    machine.succeed("""dynix append services.dnscrypt-proxy.settings.listen_addresses '["127.0.0.1:5354"]' --apply""")
    t.assertEqual(ttl(5354), 42)
    machine.fail("dig @127.0.0.1 -p 53 +time=1 +tries=1 dynix.example A")

with subtest("a key that its own check refuses leaves it running as it was"):
    pid = machine.get_unit_property("dnscrypt-proxy.service", "MainPID")
    status, _ = machine.execute("dynix append services.dnscrypt-proxy.settings.no_such_key 1 --apply")
    t.assertEqual(status, 3)
    t.assertEqual(machine.get_unit_property("dnscrypt-proxy.service", "MainPID"), pid)
    t.assertEqual(ttl(5354), 42)

with subtest("a file that is not there is only found out by starting: it goes back"):
    status, _ = machine.execute("dynix append services.dnscrypt-proxy.settings.cloaking_rules /nowhere --apply")
    t.assertEqual(status, 4)
    t.assertEqual(ttl(5354), 42)

with subtest("and so is an address that another process has"):
    machine.succeed(
        "systemd-run --unit=occupant --service-type=exec python3 -c"
        " 'import socket, time; s = socket.create_server((\"127.0.0.1\", 5355)); time.sleep(600)'"
    )
    machine.wait_for_open_port(5355)
    status, _ = machine.execute(
        """dynix append services.dnscrypt-proxy.settings.listen_addresses '["127.0.0.1:5355"]' --apply"""
    )
    t.assertEqual(status, 4)
    t.assertEqual(ttl(5354), 42)
    records = json.loads(machine.succeed("dynix log --json"))
    reasons = [record["rejected"] for record in records if "rejected" in record]
    t.assertEqual(len(reasons), 3)
    assert "no_such_key" in reasons[0], reasons
    for reason in reasons[1:]:
        assert "dnscrypt-proxy.service: " in reason, reasons

with subtest("after a reset it is as it was built"):
    machine.succeed("dynix reset")
    t.assertEqual(ttl(), 600)
