"""A secret comes to its daemon, another content is another configuration, and nobody else can read it anywhere."""

import json


def password() -> str:
    answer = machine.wait_until_succeeds("bash -c 'cat < /dev/tcp/127.0.0.1/7000'", timeout=20)
    return json.loads(answer).get("password", "")


FILE = "/run/secrets/vault"
APPEND = f"dynix append services.vault.settings.password --secret-file {FILE} --apply"

start_all()
machine.wait_for_unit("vault.service")
machine.succeed("mkdir --mode=0751 /run/secrets", f"(umask 077; echo correct-horse > {FILE})")

with subtest("it comes to the daemon, which is not root, and to nobody else"):
    said = machine.succeed(f"{APPEND} -v 2>&1", "dynix status", "dynix log --json", "dynix get services.vault.settings --json")
    t.assertEqual(password(), "correct-horse")
    assert "correct-horse" not in said, said
    t.assertEqual(
        machine.succeed("stat --dereference --format='%U %a' /run/dynix/vault/current/vault.json"), "nobody 400\n"
    )
    machine.fail("runuser -u daemon -- cat /run/dynix/vault/current/vault.json")
    # Everything that dynix wrote, and all that was logged.
    found = machine.succeed(
        "grep --recursive --files-with-matches correct-horse /run/dynix /var/cache/dynix /etc/nixos /run/systemd || true"
    )
    t.assertEqual({line.rpartition("/")[2] for line in found.splitlines()}, {"vault.json"})
    assert "correct-horse" not in machine.succeed("journalctl -b")

with subtest("another content of the file is another configuration, at the next apply"):
    machine.succeed(f"echo battery-staple > {FILE}", "dynix apply")
    t.assertEqual(password(), "battery-staple")
    pid = machine.get_unit_property("vault.service", "MainPID")
    machine.succeed("dynix apply")
    t.assertEqual(machine.get_unit_property("vault.service", "MainPID"), pid)

with subtest("one that everybody can read does not hold, and is not repeated"):
    machine.succeed(f"chmod 0644 {FILE}", f"echo tell-everybody > {FILE}")
    code, said = machine.execute("dynix apply 2>&1")
    t.assertEqual(code, 3)
    assert "tell-everybody" not in said and FILE in said, said
    t.assertEqual(password(), "")

with subtest("what was secret is gone with what it was for"):
    machine.succeed(f"chmod 0600 {FILE}", "dynix apply")
    t.assertEqual(password(), "tell-everybody")
    machine.succeed("dynix reset")
    t.assertEqual(password(), "")
