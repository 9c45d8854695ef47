"""The daemon on a real systemd, with varlinkctl as its client: who may do what, and that it comes and goes unnoticed."""

import json
import shlex

SOCKET = "/run/dynix/dynix.sock"
WORKERS = "services.harmonia.settings.workers"


def call(method: str, parameters: dict, user: str = "root") -> dict:
    """What a method gives; an error fails."""
    words = ["varlinkctl", "call", SOCKET, f"io.dynix.Settings.{method}", json.dumps(parameters)]
    return json.loads(machine.succeed(f"runuser -u {user} -- {shlex.join(words)}"))


def refused(method: str, parameters: dict, user: str, error: str) -> None:
    """That a method gives this error."""
    words = ["varlinkctl", "call", SOCKET, f"io.dynix.Settings.{method}", json.dumps(parameters)]
    said = machine.fail(f"runuser -u {user} -- {shlex.join(words)} 2>&1")
    t.assertIn(error, said)


def dynix(arguments: str, user: str, code: int = 0) -> str:
    """What the command line says for a user without rights."""
    status, said = machine.execute(f"runuser -u {user} -- dynix {arguments} 2>&1")
    t.assertEqual(status, code, said)
    return said


def workers() -> int:
    pid = machine.get_unit_property("harmonia.service", "MainPID")
    return machine.succeed(f"cat /proc/{pid}/task/*/comm").splitlines().count("actix-server wo")


def state() -> str:
    return machine.get_unit_property("dynix.service", "ActiveState")


start_all()
machine.wait_for_unit("harmonia.service")
machine.wait_for_open_port(5000)
machine.wait_for_unit("dynix.socket")

with subtest("nobody has started it yet"):
    t.assertEqual(state(), "inactive")

with subtest("varlinkctl finds out what there is"):
    info = json.loads(machine.succeed(f"varlinkctl --json=short info {SOCKET}"))
    t.assertIn("io.dynix.Settings", info["interfaces"])
    t.assertEqual(state(), "active")
    described = machine.succeed(f"varlinkctl introspect {SOCKET} io.dynix.Settings")
    for method in ["Append", "Unset", "Rollback", "Reset", "Apply", "Confirm", "Get", "Status", "Log", "Monitor"]:
        t.assertRegex(described, rf"method {method}\(")
    t.assertIn("io.dynix.Settings", machine.succeed(f"varlinkctl list-interfaces {SOCKET}"))

with subtest("its unit may do little else"):
    said = machine.succeed("systemd-analyze security --no-pager dynix.service")
    t.assertRegex(said, r"Overall exposure level for dynix.service: [0-9.]+ OK")
    t.assertEqual(machine.get_unit_property("dynix.service", "NotifyAccess"), "main")
    t.assertEqual(machine.get_unit_property("dynix.service", "WatchdogUSec"), "1min")

with subtest("a value comes into effect"):
    answer = call("Append", {"path": WORKERS, "value": 6, "apply": True})["answer"]
    t.assertEqual(answer["records"], [1])
    t.assertEqual(answer["report"]["services"], {"harmonia": {"result": "applied"}})
    machine.wait_for_open_port(5000)
    t.assertEqual(workers(), 6)
    t.assertEqual(call("Get", {"path": WORKERS})["value"], 6)
    t.assertEqual(call("Log", {})["records"][0]["by"], "root via daemon")

with subtest("a stream tells what changes, whoever changes it"):
    more = f"varlinkctl --more --timeout=infinity --json=short call {SOCKET} io.dynix.Settings.Monitor '{{}}'"
    machine.execute(f"{more} > /tmp/events", check_output=False)
    machine.wait_until_succeeds("grep -q begin /tmp/events")
    machine.succeed(f"dynix append {WORKERS} 7 --apply")
    machine.wait_until_succeeds("""grep -q '"applied":2' /tmp/events""")
    events = [json.loads(line)["event"] for line in machine.succeed("cat /tmp/events").replace("\x1e", "").splitlines()]
    t.assertEqual([event["event"] for event in events[:2]], ["begin", "recorded"])
    t.assertEqual(events[1]["record"]["set"], [{"path": WORKERS, "value": 7}])
    machine.succeed("pkill -x varlinkctl")

with subtest("an allowed user needs no sudo"):
    t.assertIn("recorded 3", dynix(f"set {WORKERS} 8 --apply -m 'the fair'", "balancer"))
    machine.wait_for_open_port(5000)
    t.assertEqual(workers(), 8)
    t.assertEqual(call("Log", {"after": 2})["records"][0]["by"], "balancer via daemon")
    t.assertIn("balancer via daemon", dynix("status", "balancer"))

with subtest("and may do nothing else"):
    said = dynix(f"append {WORKERS} 65 --apply", "balancer", 3)
    t.assertIn("balancer may only set numbers from 1 to 64", said)
    said = dynix("append services.harmonia.settings.max_connection_rate 1", "balancer", 1)
    t.assertIn(f"allowed are {WORKERS}", said)
    refused("Append", {"path": "services.distccd.maxJobs", "value": 1}, "balancer", "NotAllowed")
    refused("Append", {"path": WORKERS, "expression": "1 + 1"}, "balancer", "NotAllowed")
    refused("Apply", {}, "balancer", "NotAllowed")
    refused("Append", {"path": WORKERS, "value": 2}, "stranger", "NotAllowed")
    dynix(f"append {WORKERS} 2", "stranger", 1)
    t.assertEqual(len(call("Log", {})["records"]), 3)

with subtest("who was refused is in the journal"):
    denied = "journalctl MESSAGE_ID=3d13a8b80c9f410fae5f7fb0a32b5b7f DYNIX_BY=stranger"
    machine.wait_until_succeeds(f"{denied} --output cat | grep -q 'refused stranger (uid 1001)'")

with subtest("the journal tells of changes, to people and to programs"):
    found = machine.succeed("journalctl DYNIX_SERVICE=harmonia DYNIX_ID=3 --output json --lines 1")
    entry = json.loads(found)
    t.assertEqual(entry["MESSAGE_ID"], "4fcfbaffa21b44b098c5882f2a28f628")
    t.assertEqual(entry["DYNIX_RESULT"], "applied")
    t.assertEqual(entry["DYNIX_OPTION"], WORKERS)
    t.assertEqual(entry["DYNIX_BY"], "balancer via daemon")
    t.assertEqual(entry["DYNIX_MESSAGE"], "the fair")
    t.assertEqual(call("Log", {"after": 2})["records"][0]["message"], "the fair")
    t.assertGreater(int(entry["DYNIX_DURATION_US"]), 0)
    # NixOS compiles the catalogue of systemd alone.
    if machine.execute("test -e /usr/lib/systemd/catalog/dynix.catalog")[0] == 0:
        explained = machine.succeed("journalctl --update-catalog && journalctl --catalog DYNIX_ID=3 --lines 1")
        t.assertIn("Subject: harmonia has new values", explained)
    # By the command line, without the daemon.
    machine.succeed("journalctl DYNIX_ID=2 DYNIX_BY=root | grep -q harmonia")

with subtest("what there is to measure is well formed, from the socket and in the file"):
    text = call("Metrics", {})["text"]
    t.assertIn('dynix_applies_total{service="harmonia",result="applied"} 3', text)
    t.assertIn('dynix_unit_dynamic{service="harmonia",unit="harmonia.service"} 1', text)
    t.assertEqual(machine.succeed("cat /var/lib/node-exporter/dynix.prom"), text)
    t.assertEqual(machine.succeed("promtool check metrics < /var/lib/node-exporter/dynix.prom 2>&1"), "")

with subtest("going back is judged by what comes back"):
    call("Append", {"path": "services.distccd.maxJobs", "value": 3})
    refused("Rollback", {"id": 3, "apply": True}, "balancer", "NotAllowed")
    refused("Reset", {}, "balancer", "NotAllowed")
    call("Rollback", {"id": 3})
    call("Rollback", {"id": 2, "apply": True}, "balancer")
    machine.wait_for_open_port(5000)
    t.assertEqual(workers(), 7)

with subtest("and not more often than ten times an hour"):
    for number in range(8):
        call("Append", {"path": WORKERS, "value": 10 + number}, "balancer")
    refused("Append", {"path": WORKERS, "value": 20}, "balancer", "TooOften")
    call("Append", {"path": WORKERS, "value": 20})

with subtest("nor by waiting until the daemon has ended"):
    machine.wait_until_succeeds("test $(systemctl show --property ActiveState --value dynix.service) = inactive")
    refused("Append", {"path": WORKERS, "value": 20}, "balancer", "TooOften")

with subtest("a process has the groups that it has, whatever the databases say of its user"):
    parameters = json.dumps({"path": "services.distccd.maxJobs", "value": 3})
    said = shlex.join(["varlinkctl", "call", SOCKET, "io.dynix.Settings.Append", parameters])
    machine.succeed(f"setpriv --reuid stranger --regid stranger --groups operators {said}")
    machine.succeed(f"setpriv --reuid stranger --regid operators --clear-groups {said}")
    t.assertIn("NotAllowed", machine.fail(f"setpriv --reuid stranger --regid stranger --clear-groups {said} 2>&1"))
    t.assertIn("NotAllowed", machine.fail(f"setpriv --reuid operators --regid stranger --clear-groups {said} 2>&1"))

with subtest("it is killed, and nothing is lost"):
    machine.succeed("systemctl kill --signal=KILL dynix.service")
    machine.wait_until_succeeds("systemctl is-failed dynix.service")
    t.assertEqual(call("Get", {"path": WORKERS})["value"], 20)
    call("Apply", {"services": ["harmonia"]})
    machine.wait_for_open_port(5000)
    t.assertEqual(workers(), 20)

with subtest("it starts as often as it is asked"):
    for number in range(8):
        t.assertEqual(call("Get", {"path": WORKERS})["value"], 20)
        machine.succeed("systemctl kill --signal=KILL dynix.service")
        machine.wait_until_succeeds("systemctl is-failed dynix.service")
    t.assertEqual(machine.get_unit_property("dynix.socket", "ActiveState"), "active")
    refused("Append", {"path": WORKERS, "value": 20}, "balancer", "TooOften")

with subtest("there are files for a thousand clients"):
    limits = machine.succeed(f"cat /proc/{machine.get_unit_property('dynix.service', 'MainPID')}/limits")
    t.assertRegex(limits, r"Max open files +4096 ")

with subtest("it ends when nobody is there, and comes back"):
    machine.wait_until_succeeds("test $(systemctl show --property ActiveState --value dynix.service) = inactive")
    t.assertEqual(machine.get_unit_property("dynix.service", "Result"), "success")
    call("Reset", {})
    machine.wait_for_open_port(5000)
    t.assertEqual(workers(), 4)

with subtest("it stops when it is told to"):
    machine.succeed("systemctl stop dynix.service")
    t.assertEqual(machine.get_unit_property("dynix.service", "Result"), "success")

with subtest("without it, root changes settings all the same"):
    machine.succeed("systemctl stop dynix.socket")
    machine.succeed(f"dynix append {WORKERS} 5 --apply")
    machine.wait_for_open_port(5000)
    t.assertEqual(workers(), 5)
