"""Three machines with real daemons under systemd, and an etcd of three members: one command for all of them."""

import json

FLEET = "timeout 120 dynix-fleet"
SET = f"{FLEET} set services.distccd.maxJobs"


def jobs(machine) -> str:
    """How many jobs the running daemon takes; empty while it restarts."""
    words = machine.execute("tr '\\0' '\\n' < /proc/$(systemctl show --value --property=MainPID distccd)/cmdline")[1].split()
    return words[words.index("--jobs") + 1] if "--jobs" in words else ""


def have(machines, count: str) -> None:
    for one in machines:
        retry(lambda _, one=one: jobs(one) == count, timeout_seconds=60)


def behaviours() -> list[str]:
    return [json.loads(one.wait_until_succeeds("timeout 5 cat < /dev/tcp/127.0.0.1/7000", timeout=30))["behaviour"] for one in machines]


def leader():
    """The machine whose etcd leads."""
    for one in machines:
        said = json.loads(one.succeed("ETCDCTL_API=3 etcdctl --endpoints=http://127.0.0.1:2379 endpoint status --write-out=json"))
        status = said[0]["Status"]
        if status["leader"] == status["header"]["member_id"]:
            return one
    raise AssertionError("nobody leads")


start_all()
for one in machines:
    for unit in ("etcd.service", "dynix-agent.service", "distccd.service", "subject.service"):
        one.wait_for_unit(unit)
first = machines[0]
first.wait_until_succeeds(f"{FLEET} status | grep -c applied | grep -x 3", timeout=60)

with subtest("one command reaches the daemon of every machine"):
    first.succeed(f"{SET} 7 --all --message 'for the evening' --wait")
    have(machines, "7")
    log = machines[1].succeed("dynix log")
    assert "via fleet" in log and "for the evening" in log, log
    t.assertEqual(json.loads(machines[2].succeed("dynix get services.distccd.maxJobs --json"))["source"], "fleet")

with subtest("a host's own value counts over it, and what it sets back does not touch the fleet's"):
    machines[1].succeed("dynix set services.distccd.maxJobs 3 --apply")
    t.assertEqual([jobs(one) for one in machines], ["7", "3", "7"])
    machines[1].succeed("dynix reset")
    have(machines, "7")

with subtest("the member that leads is killed in the middle of changes, and none is lost"):
    lost = leader()
    others = [one for one in machines if one is not lost]
    others[0].succeed(f"systemd-run --setenv=DYNIX_FLEET --setenv=DYNIX_FLEET_ENDPOINTS --unit=changes sh -c 'for n in 11 12 13 14 15 16; do {SET} $n --all || exit 1; done'")
    lost.succeed("systemctl kill --signal=KILL etcd.service")
    others[0].wait_until_succeeds("! systemctl is-active --quiet changes.service", timeout=90)
    t.assertEqual(others[0].get_unit_property("changes.service", "Result"), "success")
    # The agent beside the lost member goes to another one.
    have(machines, "16")
    lost.succeed("systemctl reset-failed etcd.service; systemctl start etcd.service")

with subtest("a host that is cut off keeps what it has, is seen to be gone, and catches up"):
    cut = machines[2]
    cut.block()
    first.wait_until_succeeds(f"{FLEET} status | grep {cut.name} | grep gone", timeout=60)
    first.succeed(f"{SET} 21 --all", f"{SET} 22 --all")
    have(machines[:2], "22")
    t.assertEqual(jobs(cut), "16")
    cut.unblock()
    have(machines, "22")
    assert cut.succeed("dynix log").count("maxJobs = 21") == 0, "what came and went meanwhile is not replayed"

with subtest("a rollout of a bad value changes one host, and takes that back"):
    first.wait_until_succeeds(f"{FLEET} status | grep -c applied | grep -x 3", timeout=60)
    status, said = first.execute(f"{FLEET} set services.subject.settings.behaviour crash --group web --waves 1,100% --hold 2s --wait 2>&1")
    t.assertEqual(status, 4, said)
    t.assertEqual(behaviours(), ["good"] * 3)
    tried = [one.name for one in machines if "behaviour = \"crash\"" in one.succeed("dynix log")]
    t.assertEqual(len(tried), 1, tried)

with subtest("and a good one reaches all, wave by wave"):
    first.succeed(f"{FLEET} set services.subject.settings.behaviour slow --group web --waves 1,100% --hold 2s --wait")
    t.assertEqual(behaviours(), ["slow"] * 3)

with subtest("a host that boots without a network has what it had"):
    # Values that were seen to work are in effect before their unit starts.
    cut.wait_until_succeeds("! dynix status | grep 'watched for'", timeout=30)
    cut.block()
    cut.shutdown()
    cut.start()
    cut.wait_for_unit("distccd.service")
    have([cut], "22")
    cut.unblock()
    first.succeed(f"{SET} 23 --all --wait")
    have(machines, "23")
