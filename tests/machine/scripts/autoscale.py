"""The example of examples/autoscale: load comes and workers double, load goes and they come back."""

import json

HOLD = """\
import socket, sys, time
held = []
while True:
    held = [one for one in held if one.fileno() >= 0]
    for one in held:
        one.setblocking(False)
        try:
            if one.recv(1) == b"":
                one.close()
        except BlockingIOError:
            pass
        except OSError:
            one.close()
    while len([one for one in held if one.fileno() >= 0]) < int(sys.argv[1]):
        try:
            held.append(socket.create_connection(("127.0.0.1", 5000), timeout=1))
        except OSError:
            time.sleep(0.05)
            break
    time.sleep(0.05)
"""


def workers() -> int:
    pid = machine.get_unit_property("harmonia.service", "MainPID")
    return machine.execute(f"cat /proc/{pid}/task/*/comm 2>/dev/null")[1].splitlines().count("actix-server wo")


def log() -> list[dict]:
    return json.loads(machine.succeed("dynix log --json"))


start_all()
machine.wait_for_unit("harmonia.service")
machine.wait_for_open_port(5000)
machine.wait_for_unit("autoscale.service")

with subtest("without load nothing changes"):
    machine.wait_until_succeeds("journalctl --unit dynix.service | grep -q Started")
    t.assertEqual(workers(), 4)
    t.assertEqual(log(), [])

with subtest("load goes up: workers double, twice"):
    machine.succeed(f"cat > /tmp/hold.py <<'END'\n{HOLD}END")
    machine.succeed("systemd-run --unit load python3 /tmp/hold.py 20")
    retry(lambda _last: workers() == 16, timeout_seconds=60)
    t.assertEqual([record["set"][0][1] for record in log()], [8, 16])

with subtest("and stay while it lasts"):
    machine.succeed("sleep 5")
    t.assertEqual(workers(), 16)
    t.assertEqual(len(log()), 2)

with subtest("load goes down: they come back"):
    machine.succeed("systemctl stop load")
    retry(lambda _last: workers() == 4, timeout_seconds=60)
    records = log()
    t.assertEqual(records[2]["set"][0][1], 8)
    t.assertEqual(records[3]["unset"], ["services", "harmonia", "settings", "workers"])

with subtest("the log tells the story"):
    said = machine.succeed("dynix log")
    t.assertEqual(said.count("balancer via daemon: "), 4, said)
    t.assertNotIn("overrid", machine.succeed("dynix status"))
