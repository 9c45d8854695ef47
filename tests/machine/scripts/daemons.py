"""Seven real daemons, each under NixOS's own unit: a value changes, the daemon itself shows it, and it is static again.

Nothing of them is described by hand: the description is what the modules give for `dynamicism.for.NAME.enable = true`, and
`dynix generate` found each file.
"""

import json
import re
import shlex
from collections.abc import Callable


def says(command: str, *words: str) -> str:
    """What a command prints, as soon as it prints all of the words."""
    greps = "".join(f" | grep --fixed-strings {shlex.quote(word)}" for word in words)
    return machine.wait_until_succeeds(command + greps, timeout=30)


def pid(unit: str) -> str:
    return machine.get_unit_property(unit, "MainPID")


def group_wait() -> str:
    status = json.loads(machine.wait_until_succeeds("curl --silent --fail http://127.0.0.1:9093/api/v2/status", timeout=30))
    found = re.search(r"group_wait: (\S+)", status["config"]["original"])
    assert found, status
    return found[1]


def ttl() -> str:
    answer = says("dig @127.0.0.1 -p 5300 +time=1 +tries=1 +noall +answer dynix.example A", "192.0.2.7")
    return answer.split()[1]


def max_payload() -> str:
    return str(json.loads(machine.wait_until_succeeds("curl --silent --fail http://127.0.0.1:8222/varz", timeout=30))["max_payload"])


# PostgreSQL's protocol as far as the console of pgbouncer needs it: a startup message, and a simple query.
CONSOLE = r"""
import socket, struct
s = socket.create_connection(("127.0.0.1", 6432), 5)
body = struct.pack("!i", 196608) + b"user\0admin\0database\0pgbouncer\0\0"
s.sendall(struct.pack("!i", len(body) + 4) + body)
query = b"SHOW CONFIG\0"
s.sendall(b"Q" + struct.pack("!i", len(query) + 4) + query)
data = b""
while b"application_name_add_host" not in data or data.count(b"Z\0\0\0\5I") < 2:
    more = s.recv(65536)
    if not more:
        break
    data += more
at = data.index(b"max_client_conn") + len(b"max_client_conn")
length = struct.unpack("!i", data[at:at + 4])[0]
print(data[at + 4:at + 4 + length].decode())
"""


def connections() -> str:
    return machine.wait_until_succeeds(f"python3 -c {shlex.quote(CONSOLE)}", timeout=30).strip()


def comment() -> str:
    return machine.wait_until_succeeds("rsync rsync://127.0.0.1:8730/", timeout=30).split("\t")[1].strip()


def stream() -> str:
    call = {"id": 1, "jsonrpc": "2.0", "method": "Server.GetStatus"}
    command = f"curl --silent --fail --data {shlex.quote(json.dumps(call))} http://127.0.0.1:1780/jsonrpc"
    return json.loads(machine.wait_until_succeeds(command, timeout=30))["result"]["server"]["streams"][0]["id"]


def via() -> str:
    command = "curl --silent --head --proxy http://127.0.0.1:8888 http://127.0.0.1:8222/varz"
    return says(command, "Via:").split()[2]


# unit, what the daemon itself shows, the path, the built value, another one, and whether the process stays.
DAEMONS: list[tuple[str, Callable[[], str], str, str, str, bool]] = [
    ("alertmanager", group_wait, "services.prometheus.alertmanager.configuration.route.group_wait", "30s", "45s", False),
    ("dnsmasq", ttl, "services.dnsmasq.settings.local-ttl", "600", "[42]", False),
    ("nats", max_payload, "services.nats.settings.max_payload", "1048576", "2097152", True),
    ("pgbouncer", connections, "services.pgbouncer.settings.pgbouncer.max_client_conn", "200", "321", True),
    ("rsync", comment, "services.rsyncd.settings.sections.files.comment", "whole area", "half of it", False),
    (
        "snapserver",
        stream,
        "services.snapserver.settings.stream.source",
        "morning",
        '["pipe:///run/snapserver/fifo?name=evening"]',
        False,
    ),
    ("tinyproxy", via, "services.tinyproxy.settings.ViaProxyName", "morning", r'["\"evening\""]', False),
]

# What the daemon shows, where that is not the value: of what may be repeated, the type makes a list.
SHOWN = {"dnsmasq": "42", "snapserver": "evening", "tinyproxy": "evening"}

start_all()
for name, *_ in DAEMONS:
    machine.wait_for_unit(f"{name}.service")

for name, shows, path, static, value, stays in DAEMONS:
    unit = f"{name}.service"
    with subtest(f"{name} has what was built"):
        t.assertEqual(shows(), static)
    with subtest(f"{name} takes another value"):
        before = pid(unit)
        machine.succeed(f"dynix append {path} {shlex.quote(value)} --apply")
        t.assertEqual(shows(), SHOWN.get(name, value))
        t.assertEqual(pid(unit) == before, stays)
    with subtest(f"{name} is static again"):
        before = pid(unit)
        machine.succeed(f"dynix unset {path} --apply")
        t.assertEqual(shows(), static)
        t.assertEqual(pid(unit) == before, stays)

with subtest("all at once, and all back"):
    for _, _, path, _, value, _ in DAEMONS:
        machine.succeed(f"dynix append {path} {shlex.quote(value)}")
    machine.succeed("dynix apply")
    for name, shows, _, _, value, _ in DAEMONS:
        t.assertEqual(shows(), SHOWN.get(name, value))
    machine.succeed("dynix reset")
    for _, shows, _, static, _, _ in DAEMONS:
        t.assertEqual(shows(), static)
