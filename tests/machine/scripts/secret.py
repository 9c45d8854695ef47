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

with subtest("another content of the file is another configuration, without anybody's doing"):
    machine.succeed(f"echo battery-staple > {FILE}")
    retry(lambda _: password() == "battery-staple", timeout_seconds=20)
    # A file that is replaced, as a renewal of certificates does it.
    machine.succeed(f"(umask 077; echo renewed > {FILE}.new)", f"mv {FILE}.new {FILE}")
    retry(lambda _: password() == "renewed", timeout_seconds=20)
    # As sops-nix and agenix do it at a switch: a link leads to another directory. The activation applies after them.
    machine.succeed(
        "mkdir -m 0751 /run/secrets.d /run/secrets.d/1 /run/secrets.d/2",
        "(umask 077; echo first > /run/secrets.d/1/vault; echo second > /run/secrets.d/2/vault)",
        "ln -s /run/secrets.d/1 /run/rotating",
        "dynix append services.vault.settings.password --secret-file /run/rotating/vault --apply",
    )
    t.assertEqual(password(), "first")
    machine.succeed("ln -sfn /run/secrets.d/2 /run/rotating.new", "mv -T /run/rotating.new /run/rotating", "dynix apply")
    t.assertEqual(password(), "second")
    assert "second" not in machine.succeed("journalctl -b")
    machine.succeed("dynix undo --apply", f"echo battery-staple > {FILE}")
    retry(lambda _: password() == "battery-staple", timeout_seconds=20)
    pid = machine.get_unit_property("vault.service", "MainPID")
    machine.succeed("dynix apply")
    t.assertEqual(machine.get_unit_property("vault.service", "MainPID"), pid)

def starts() -> int:
    return machine.succeed("journalctl --boot --unit=vault.service").count("Started vault")


def watches() -> str:
    return machine.succeed("systemctl list-units --plain --no-legend 'dynix-secrets*.path' | wc -l").strip()


with subtest("a service keeps what it has while its secret can't be used, and nobody is told what that says"):
    machine.succeed(f"chmod 0644 {FILE}", f"echo tell-everybody > {FILE}")
    code, said = machine.execute("dynix apply 2>&1")
    t.assertEqual(code, 1)
    assert "tell-everybody" not in said and FILE in said, said
    t.assertEqual(password(), "battery-staple")
    machine.succeed(f"rm {FILE}")
    t.assertEqual(machine.execute("dynix apply")[0], 1)
    t.assertEqual(password(), "battery-staple")
    t.assertEqual(watches(), "1")

with subtest("it has the secret as soon as that is there, without anybody's doing"):
    # It is made first, and written later: an empty one is none.
    machine.succeed(f"(umask 077; touch {FILE})", "sleep 0.5", f"echo tell-root > {FILE}")
    machine.wait_until_succeeds("dynix status | grep -q 'on generation'", timeout=20)
    for _ in range(100):
        if password() == "tell-root":
            break
    t.assertEqual(password(), "tell-root")
    # From now on its changes are waited for.
    machine.wait_until_succeeds("grep -q '\"isThere\":true' /run/dynix/secrets.json", timeout=20)
    t.assertEqual(watches(), "1")

UNIT = "[Unit]\\nDefaultDependencies=no\\n{order}[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/sh -c '{command}'\\n[Install]\\nWantedBy={target}\\n"
INSTALL = f"mkdir -m 0751 /run/secrets; umask 077; echo correct-horse > {FILE}"


def install_by_unit(name: str, order: str, command: str, target: str) -> None:
    text = UNIT.format(order=order, command=command, target=target)
    machine.succeed(
        f'printf "{text}" > /etc/systemd/system/{name}',
        "systemctl daemon-reload",
        f"systemctl reenable {name}",
    )


# What is known to work is what the next boot starts on.
machine.succeed(f"{APPEND} --wait")
machine.wait_until_fails("dynix status | grep -q 'watched for'", timeout=30)

with subtest("at boot the unit starts with a secret that the unit of sops-nix installs"):
    install_by_unit("sops-install-secrets.service", "Before=vault.service\\n", INSTALL, "sysinit.target")
    machine.reboot()
    machine.wait_for_unit("vault.service")
    t.assertEqual(password(), "correct-horse")
    t.assertEqual(starts(), 1)
    machine.wait_until_succeeds("grep -q '\"isThere\":true' /run/dynix/secrets.json", timeout=20)
    t.assertEqual(watches(), "1")
    machine.succeed("dynix apply")
    t.assertEqual(starts(), 1)

with subtest("a secret that comes later is in effect then"):
    machine.succeed("systemctl disable sops-install-secrets.service")
    install_by_unit("install-secrets.service", "After=vault.service\\n", f"sleep 2; {INSTALL}", "multi-user.target")
    machine.reboot()
    machine.wait_for_unit("vault.service")
    t.assertEqual(password(), "")
    machine.wait_until_succeeds("journalctl --boot --unit=vault.service | grep -c 'Started vault' | grep -qx 2", timeout=30)
    t.assertEqual(password(), "correct-horse")
    machine.wait_until_succeeds("grep -q '\"isThere\":true' /run/dynix/secrets.json", timeout=20)
    t.assertEqual(machine.succeed("systemctl --failed --no-legend | grep dynix || true"), "")

with subtest("what was secret is gone with what it was for"):
    machine.succeed("dynix reset")
    t.assertEqual(password(), "")
    t.assertEqual(watches(), "0")
