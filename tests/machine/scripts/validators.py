"""The validators of three daemons judge new values before anything is touched: the build tried them on the static values."""

import json

PLAN = json.loads(machine.succeed("cat /etc/dynix/plan.json"))


def started(service: str) -> str:
    return machine.get_unit_property(f"{service}.service", "ExecMainStartTimestampMonotonic")


def refused(service: str, path: str, value: object, word: str) -> None:
    before = started(service)
    code, said = machine.execute(f"dynix append --json --apply {path} {json.dumps(json.dumps(value))} 2>&1")
    assert code == 3, (code, said)
    assert "refused" in said and word in said, said
    assert started(service) == before


start_all()
for service in ["alertmanager", "dnsmasq", "nats"]:
    machine.wait_for_unit(f"{service}.service")

with subtest("the build has tried the validators of the modules, and uses them"):
    for service, word in {"alertmanager": "check-config", "dnsmasq": "--test", "nats": "-t"}.items():
        check = PLAN["services"][service]["check"]
        assert word in check["command"] and not check["onTrial"], check

with subtest("a value that the type takes and the daemon would not start with is refused, and nothing is restarted"):
    refused("nats", "services.nats.settings.max_payload", "much", "max_payload")
    refused("dnsmasq", "services.dnsmasq.settings.no-such-setting", ["x"], "bad option")
    refused("alertmanager", "services.prometheus.alertmanager.configuration.route.receiver", "somebody", "undefined receiver")

with subtest("one that the daemon takes comes into effect"):
    before = started("dnsmasq")
    machine.succeed("dynix append --json --apply services.dnsmasq.settings.local-ttl '[77]'")
    assert started("dnsmasq") != before
