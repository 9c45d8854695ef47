"""PostgreSQL, redis, Samba, Unbound and two exporters, under the units of NixOS's modules: each says the value itself."""

import json
import shlex

POSTGRESQL = "services.postgresql.settings"
REDIS = "services.redis.servers.cache.settings"
SAMBA = "services.samba.settings"
UNBOUND = "services.unbound.settings.server"
EXPORTER = "services.prometheus.exporters.node"
PROCESSES = "services.prometheus.exporters.process"


def main_pid(unit: str) -> str:
    return machine.get_unit_property(unit, "MainPID")


def sql(query: str, port: int = 5432) -> str:
    command = f"setpriv --reuid=postgres --regid=postgres --clear-groups psql -p {port} -d postgres -tAc \"{query}\""
    return machine.wait_until_succeeds(command, timeout=30).strip()


def redis(name: str) -> str:
    return machine.wait_until_succeeds(f"redis-cli -p 6380 config get {name} | tail -n 1", timeout=30).strip()


def shares() -> str:
    """What smbd tells a client."""
    return machine.wait_until_succeeds("net --long rpc share list -S 127.0.0.1 -U %", timeout=30)


def answer() -> str:
    return machine.wait_until_succeeds("dig +short +tries=1 @127.0.0.1 -p 5353 dynix.example | grep .", timeout=30).strip()


def metrics(port: int = 9100) -> str:
    return machine.wait_until_succeeds(f"curl --silent --fail http://127.0.0.1:{port}/metrics", timeout=30)


def started(unit: str) -> str:
    """When it began to run, as systemd has it."""
    return machine.get_unit_property(unit, "ExecMainStartTimestampMonotonic")


start_all()
for unit in ["postgresql", "prometheus-node-exporter", "prometheus-process-exporter", "redis-cache", "samba-smbd", "unbound"]:
    machine.wait_for_unit(f"{unit}.service")

with subtest("PostgreSQL reloads what a reload reads: the same process"):
    t.assertEqual(sql("show log_min_duration_statement"), "500ms")
    pid = main_pid("postgresql.service")
    machine.succeed(f"dynix append {POSTGRESQL}.log_min_duration_statement 250 --apply")
    machine.wait_until_succeeds(
        "setpriv --reuid=postgres --regid=postgres --clear-groups psql -d postgres -tAc 'show log_min_duration_statement'"
        " | grep 250ms",
        timeout=30,
    )
    t.assertEqual(main_pid("postgresql.service"), pid)

with subtest("PostgreSQL restarts for what is read at its start"):
    t.assertEqual(sql("show shared_buffers"), "4MB")
    machine.succeed(f"dynix append {POSTGRESQL}.shared_buffers 8MB --apply")
    t.assertEqual(sql("show shared_buffers"), "8MB")
    t.assertNotEqual(main_pid("postgresql.service"), pid)
    # None that needs a restart is missing in modules/dynamicism/postgresql.nix.
    named = set(machine.succeed("grep -o 'settings[.][a-z_]* is none' /etc/dynix/plan.json").split("\n"))
    missing = [
        name
        for name in sql("select name from pg_settings where context = 'postmaster'").split("\n")
        if f"settings.{name} is none" not in named
    ]
    t.assertEqual(missing, [])

with subtest("the unit that connects to PostgreSQL follows to its new port, after it"):
    machine.wait_for_unit("postgresql-setup.service")
    before = started("postgresql-setup.service")
    machine.succeed(f"dynix append {POSTGRESQL}.port 5433 --apply")
    t.assertEqual(sql("show port", 5433), "5433")
    t.assertIn("PGPORT=5433", machine.get_unit_property("postgresql-setup.service", "Environment"))
    t.assertEqual(machine.get_unit_property("postgresql-setup.service", "ActiveState"), "active")
    t.assertNotEqual(started("postgresql-setup.service"), before)
    machine.succeed(f"dynix unset {POSTGRESQL}.port --apply")
    t.assertEqual(sql("show port"), "5432")
    t.assertEqual(machine.get_unit_property("postgresql-setup.service", "ActiveState"), "active")

with subtest("redis reads the file that a command outside its namespace has only named"):
    t.assertEqual(redis("maxmemory-policy"), "allkeys-lru")
    machine.succeed(f"dynix append {REDIS}.maxmemory 33554432 --apply")
    machine.succeed(f"dynix append {REDIS}.maxmemory-policy noeviction --apply")
    t.assertEqual((redis("maxmemory"), redis("maxmemory-policy")), ("33554432", "noeviction"))

with subtest("Samba shows a new comment, and its tools read the same file"):
    t.assertIn("built", shares())
    machine.succeed(f"dynix append {SAMBA}.docs.comment changed --apply")
    t.assertIn("changed", shares())
    t.assertIn("comment = changed", machine.succeed("testparm --suppress-prompt 2>/dev/null"))
    # `[global]` is the first section, although docs sorts before it.
    t.assertTrue(machine.succeed("cat /etc/samba/smb.conf").startswith("[global]\n"))

with subtest("Unbound gives the new answer"):
    t.assertEqual(answer(), "192.0.2.7")
    value = "[ \"'dynix.example. 600 IN A 192.0.2.8'\" ]"
    machine.succeed(f"dynix append {UNBOUND}.local-data {shlex.quote(value)} --apply")
    t.assertEqual(answer(), "192.0.2.8")
    status, said = machine.execute(f"dynix append {UNBOUND}.num-threads none --apply 2>&1")
    t.assertEqual(status, 3, said)
    t.assertEqual(answer(), "192.0.2.8")

with subtest("the node exporter leaves out what it is told to"):
    t.assertIn("node_load1 ", metrics())
    machine.succeed(f"dynix append {EXPORTER}.disabledCollectors loadavg --add --apply")
    t.assertNotIn("node_load1 ", metrics())
    t.assertNotIn("node_timex", metrics())

with subtest("the node exporter's sandbox has what a new collector needs, and it moves to a new port"):
    t.assertNotIn("node_systemd_system_running", metrics())
    machine.succeed(f"dynix append {EXPORTER}.enabledCollectors systemd --add", f"dynix append {EXPORTER}.port 9101 --apply")
    t.assertIn("node_systemd_system_running 1", metrics(9101))
    t.assertIn("AF_UNIX", machine.get_unit_property("prometheus-node-exporter.service", "RestrictAddressFamilies"))

with subtest("flags are words as after a rebuild, and what systemd would expand is refused"):
    flags = ["--web.telemetry-path=/seen --log.level=debug", "--collector.filesystem.mount-points-exclude=^/(dev|proc)($|/)"]
    machine.succeed(f"dynix append {EXPORTER}.extraFlags {shlex.quote(json.dumps(flags))} --apply")
    machine.wait_until_succeeds("curl --silent --fail http://127.0.0.1:9101/seen | grep node_uname_info", timeout=30)
    words = machine.succeed(f"tr '\\0' '\\n' < /proc/{main_pid('prometheus-node-exporter.service')}/cmdline").split("\n")
    t.assertIn("--log.level=debug", words)
    t.assertIn(flags[1], words)
    status, said = machine.execute(f"dynix append {EXPORTER}.extraFlags '[ \"--path.rootfs=%t\" ]' --apply 2>&1")
    t.assertEqual(status, 3, said)
    t.assertIn("systemd would expand '%'", said)

with subtest("systemd itself makes these words of a command: formats/src/command_line.rs takes it to"):
    lines = [
        "[Service]",
        "Type=oneshot",
        "StandardOutput=file:/run/words",
        "ExecStart=/usr/bin/printf '[%%s]' --a=^/(f|g)($|/) --b='c d' \"e\\\"f\"g x$ 50%% $$HOME ';' $NOTHING end",
    ]
    machine.succeed(f"printf '%s\\n' {shlex.join(lines)} > /run/systemd/system/words-of.service", "systemctl start words-of.service")
    t.assertEqual(machine.succeed("cat /run/words"), "[--a=^/(f|g)($|/)][--b=c d][e\"fg][x$][50%][$HOME][;][end]")

with subtest("the process exporter has its settings and its flags"):
    t.assertIn('groupname="built"', metrics(9256))
    names = [{"name": "changed", "comm": ["systemd"]}]
    machine.succeed(
        f"dynix append {PROCESSES}.settings.process_names {shlex.quote(json.dumps(names))}",
        f"dynix append {PROCESSES}.port 9257 --apply",
    )
    t.assertIn('groupname="changed"', metrics(9257))

with subtest("all of them go back"):
    machine.succeed("dynix reset")
    t.assertEqual((sql("show log_min_duration_statement"), sql("show shared_buffers")), ("500ms", "4MB"))
    t.assertEqual(redis("maxmemory-policy"), "allkeys-lru")
    t.assertIn("built", shares())
    t.assertEqual(answer(), "192.0.2.7")
    t.assertIn("node_load1 ", metrics())
    t.assertNotIn("AF_UNIX", machine.get_unit_property("prometheus-node-exporter.service", "RestrictAddressFamilies"))
    t.assertIn('groupname="built"', metrics(9256))
