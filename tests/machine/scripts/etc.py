"""Files under /etc: the link is swapped, every reader sees it, and sessions live on."""

CONFIG = "/etc/ssh/sshd_config"
SSH = "ssh -o StrictHostKeyChecking=no -o BatchMode=yes root@localhost"


def leads(path: str = CONFIG) -> str:
    return machine.succeed(f"readlink {path}").strip()


def tries() -> str:
    """What the daemon tells a client that tries key after key: how often it may."""
    return machine.succeed(f"/usr/sbin/sshd -T -f {CONFIG} | grep ^maxauthtries").split()[1]


def logins() -> bool:
    return machine.execute(f"{SSH} true")[0] == 0


def static(path: str = CONFIG) -> None:
    t.assertEqual(leads(path), f"/etc/static{path.removeprefix('/etc')}")


def property_of(name: str) -> str:
    command = "busctl get-property org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager"
    return machine.wait_until_succeeds(f"{command} {name}", timeout=30).strip()


start_all()
machine.wait_for_unit("sshd.service")
machine.wait_for_open_port(22)
machine.succeed("mkdir -p -m 700 /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519")
machine.succeed("cat /root/.ssh/id_ed25519.pub > /root/.ssh/authorized_keys; chmod 600 /root/.ssh/authorized_keys")
static()
t.assertTrue(logins())

with subtest("an open session survives, a new one sees the new value, and so does everybody else"):
    machine.succeed(f"systemd-run --unit=session {SSH} 'echo in; exec sleep 1000'")
    machine.wait_until_succeeds("pgrep --full '^sleep 1000'", timeout=20)
    session = machine.succeed("pgrep --full '^sleep 1000'")
    machine.succeed("dynix append services.openssh.settings.PermitRootLogin no --apply")
    t.assertEqual(machine.succeed("pgrep --full '^sleep 1000'"), session)
    machine.succeed("systemctl is-active session.service")
    machine.wait_for_open_port(22)
    t.assertFalse(logins())
    t.assertIn("PermitRootLogin no", machine.succeed(f"cat {CONFIG}"))
    t.assertTrue(leads().startswith("/etc/static/"), leads())
    t.assertEqual(machine.succeed(f"realpath {CONFIG}").strip(), "/run/dynix/openssh/generation-1/sshd_config")
    # No mount namespace of its own: it starts sessions.
    t.assertNotIn("dynix", machine.succeed("systemctl cat sshd.service"))
    machine.succeed("dynix append services.openssh.settings.MaxAuthTries 3 --apply")
    t.assertEqual(tries(), "3")
    # A list, and the lines after the settings, which stay as they are.
    machine.succeed("dynix append services.openssh.settings.Ciphers '[ \"aes128-ctr\" ]' --apply")
    machine.fail(f"{SSH.replace('root@', '-c aes256-ctr root@')} true")
    t.assertIn("aes128-ctr", machine.execute(f"{SSH} -v true 2>&1")[1])
    machine.succeed("dynix rollback --apply")
    t.assertIn("Port 22\n\nHostKey /etc/ssh/ssh_host_ed25519_key\n\n", machine.succeed(f"cat {CONFIG}"))

with subtest("what sshd refuses changes nothing"):
    before = leads(), machine.succeed(f"cat {CONFIG}")
    status, said = machine.execute("dynix append services.openssh.settings.PermitRootLogin perhaps --apply 2>&1")
    t.assertEqual(status, 3, said)
    t.assertIn("PermitRootLogin", said)
    t.assertEqual((leads(), machine.succeed(f"cat {CONFIG}")), before)

with subtest("a rollback leads to the generation before, a reset to the static file"):
    machine.succeed("dynix rollback --apply")
    t.assertEqual(tries(), "4")
    t.assertFalse(logins())
    machine.succeed("dynix reset")
    static()
    machine.wait_for_open_port(22)
    t.assertTrue(logins())
    t.assertEqual(machine.succeed("pgrep --full '^sleep 1000'"), session)

with subtest("logind is reloaded: a session lives on"):
    t.assertEqual(property_of("KillUserProcesses"), "b false")
    machine.succeed("systemd-run --unit=login --property=PAMName=login --uid=root sleep 2000")
    login = machine.wait_until_succeeds("loginctl --no-legend list-sessions | grep background | tr -s ' '", timeout=20)
    logind = machine.get_unit_property("systemd-logind.service", "MainPID")
    machine.succeed("dynix append services.logind.settings.Login.KillUserProcesses true --apply")
    t.assertEqual(property_of("KillUserProcesses"), "b true")
    t.assertEqual(machine.succeed("loginctl --no-legend list-sessions | grep background | tr -s ' '"), login)
    t.assertEqual(machine.get_unit_property("systemd-logind.service", "MainPID"), logind)
    machine.succeed("dynix reset")
    t.assertEqual(property_of("KillUserProcesses"), "b false")

with subtest("resolved is reloaded, journald restarts without losing what is written to it"):
    machine.wait_for_unit("systemd-resolved.service")
    machine.succeed("systemd-run --unit=talker sh -c 'while :; do echo talking; sleep 0.1; done'")
    resolved = machine.get_unit_property("systemd-resolved.service", "MainPID")
    llmnr = "busctl get-property org.freedesktop.resolve1 /org/freedesktop/resolve1 org.freedesktop.resolve1.Manager LLMNR"
    t.assertEqual(machine.succeed(llmnr).strip(), 's "no"')
    machine.succeed("dynix append services.resolved.settings.Resolve.LLMNR true --apply")
    machine.succeed("dynix append services.journald.settings.Journal.RuntimeMaxUse 17M --apply")
    t.assertEqual(machine.succeed(llmnr).strip(), 's "yes"')
    t.assertEqual(machine.get_unit_property("systemd-resolved.service", "MainPID"), resolved)
    machine.wait_until_succeeds("journalctl --unit systemd-journald | grep --fixed-strings 'max 17M'", timeout=20)
    cursor = machine.succeed("journalctl --unit talker --lines 0 --show-cursor | tail -n 1").split(" ", 2)[2].strip()
    machine.wait_until_succeeds(f"journalctl --unit talker --after-cursor='{cursor}' | grep talking", timeout=20)
    machine.succeed("dynix reset")
    t.assertEqual(machine.succeed(llmnr).strip(), 's "no"')
    for name in ["logind", "resolved", "journald"]:
        static(f"/etc/systemd/{name}.conf")

with subtest("a switch finds its links, whatever is in effect; the built configuration wins"):
    machine.succeed("dynix append services.openssh.settings.MaxAuthTries 5 --apply")
    machine.succeed("/run/current-system/bin/switch-to-configuration switch")
    static()
    t.assertEqual(tries(), "4")
    t.assertEqual(machine.succeed("ls /run/dynix/openssh 2> /dev/null | grep current || true"), "")

with subtest("a boot starts on the recorded value, with the link that every reader follows"):
    machine.succeed("dynix append services.openssh.settings.MaxAuthTries 6 --apply")
    machine.wait_until_fails("systemctl list-units --plain --no-legend 'dynix-watch-*' | grep .", timeout=60)
    machine.reboot()
    machine.wait_for_unit("sshd.service")
    t.assertEqual(tries(), "6")
    t.assertTrue(logins())
    machine.succeed("dynix reset")
    static()

with subtest("killed at any moment: an apply and a reset lead back, and no link leads nowhere"):
    for number in range(8):
        machine.succeed(f"dynix append services.openssh.settings.MaxAuthTries {10 + number}")
        machine.execute(f"timeout --signal=KILL 0.{number * 15:03} dynix apply")
        machine.succeed(f"test -s {CONFIG}; dynix apply")
        t.assertEqual(tries(), str(10 + number))
        machine.execute(f"timeout --signal=KILL 0.{number * 15:03} dynix reset")
        machine.succeed(f"test -s {CONFIG}; dynix reset")
        static()
    t.assertEqual(machine.succeed("find /etc/ssh /etc/systemd -name '*.new'"), "")

with subtest("a link that somebody replaced is put back; a file of somebody's own is left alone, and said"):
    machine.succeed("dynix append services.openssh.settings.MaxAuthTries 7 --apply")
    machine.succeed(f"ln -sfn /etc/static/ssh/sshd_config {CONFIG}")
    t.assertEqual(tries(), "4")
    machine.succeed("dynix apply")
    t.assertEqual(tries(), "7")
    machine.succeed(f"rm {CONFIG}; echo 'MaxAuthTries 9' > {CONFIG}")
    status, said = machine.execute("dynix append services.openssh.settings.MaxAuthTries 8 --apply 2>&1")
    t.assertNotEqual(status, 0, said)
    t.assertIn("is not the link to /etc/static that NixOS makes", said)
    t.assertEqual(machine.succeed(f"cat {CONFIG}"), "MaxAuthTries 9\n")
    # The daemon reads that file, whatever dynix says, so the values are not those that are in effect.
    status, said = machine.execute("dynix reset 2>&1")
    t.assertEqual(status, 7, said)
    t.assertIn(f"goes on with another {CONFIG}", said)
    t.assertEqual(machine.succeed(f"cat {CONFIG}"), "MaxAuthTries 9\n")
    machine.succeed("/run/current-system/bin/switch-to-configuration switch")
    static()

with subtest("where all of /run/dynix is gone, a boot and an apply find the static file"):
    machine.succeed("dynix append services.openssh.settings.MaxAuthTries 7 --apply")
    machine.succeed("rm -rf /run/dynix; dynix apply")
    t.assertEqual(tries(), "7")
    machine.succeed("dynix reset")
    static()
