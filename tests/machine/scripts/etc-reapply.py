"""A switch replaces the links under /etc; with `reapply` they lead to dynix's files again before anything looks."""

CONFIG = "/etc/ssh/sshd_config"

start_all()
machine.wait_for_unit("sshd.service")
machine.succeed("dynix append services.openssh.settings.MaxAuthTries 5 --apply")
pid = machine.get_unit_property("sshd.service", "MainPID")
link = machine.succeed(f"readlink {CONFIG}")

with subtest("the link is there again, and the service was not touched"):
    machine.succeed("/run/current-system/bin/switch-to-configuration switch")
    t.assertEqual(machine.succeed(f"readlink {CONFIG}"), link)
    t.assertIn("maxauthtries 5", machine.succeed(f"/usr/sbin/sshd -T -f {CONFIG}"))
    t.assertEqual(machine.get_unit_property("sshd.service", "MainPID"), pid)
