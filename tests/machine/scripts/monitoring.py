"""The alerts and the dashboard of examples/monitoring on a real Prometheus, which dynix itself tells to load and to scrape."""

import json
import re
from urllib.parse import quote

DIRECTORY = "/var/lib/node-exporter"


def api(path: str) -> dict:
    return json.loads(machine.succeed(f"curl --silent --fail 'http://localhost:9090/api/v1/{path}'"))["data"]


def query(expression: str) -> list:
    return api(f"query?query={quote(expression)}")["result"]


def firing() -> set[str]:
    alerts = api("alerts")["alerts"]
    return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


start_all()
machine.wait_for_unit("prometheus.service")
machine.wait_until_succeeds("curl --silent --fail http://localhost:9090/-/ready", timeout=60)
machine.succeed(f"mkdir --parents {DIRECTORY}")

with subtest("the rules are good, and each fires when it should"):
    print(machine.succeed("promtool check rules /srv/rules/alerts.yml", "cd /srv/rules && promtool test rules alerts_test.yml"))

with subtest("dynix gives Prometheus the rules, and what to scrape"):
    machine.succeed(f"systemd-run --unit exporter --working-directory {DIRECTORY} python3 -m http.server 9101")
    scrape = [
        {
            "job_name": "dynix",
            "metrics_path": "/dynix.prom",
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "static_configs": [{"targets": ["localhost:9101"]}],
        }
    ]
    settings = "dynix append services.prometheus.settings"
    machine.succeed(
        f"{settings}.scrape_configs '{json.dumps(scrape)}'",
        f"{settings}.rule_files '[ \"/srv/rules/alerts.yml\" ]'",
        f"{settings}.global.evaluation_interval 1s --apply",
    )
    machine.wait_until_succeeds(
        "curl --silent --fail 'http://localhost:9090/api/v1/query?query=dynix_last_record' | grep --quiet '\"value\"'", timeout=30
    )
    t.assertEqual([group["name"] for group in api("rules")["groups"]], ["dynix"])
    t.assertEqual(firing(), set())

with subtest("a value that its unit does not come up on is an alert, and one that works ends it"):
    machine.execute("dynix append services.subject.settings.behaviour crash --apply")
    machine.wait_until_succeeds("curl --silent http://localhost:9090/api/v1/alerts | grep DynixServiceOnEarlierValues", timeout=30)
    t.assertEqual(firing(), {"DynixServiceOnEarlierValues"})
    t.assertEqual(query("dynix_last_failure")[0]["metric"]["result"], "rolled-back")
    machine.succeed("dynix append services.subject.settings.text better --apply")
    machine.wait_until_fails("curl --silent http://localhost:9090/api/v1/alerts | grep DynixServiceOnEarlierValues", timeout=30)

with subtest("what is only recorded, ends soon or awaits its confirmation is seen"):
    machine.succeed("dynix append services.subject.settings.text pending")
    machine.wait_until_succeeds(
        "curl --silent 'http://localhost:9090/api/v1/query?query=dynix_overrides_pending' | grep --quiet ',\"1\"'", timeout=30
    )
    machine.succeed("dynix append services.subject.settings.text soon --for 5min --apply")
    machine.wait_until_succeeds("curl --silent http://localhost:9090/api/v1/alerts | grep DynixOverrideEndsSoon", timeout=30)
    machine.succeed("dynix append services.subject.settings.text tried --apply --confirm 5min")
    machine.wait_until_succeeds("curl --silent http://localhost:9090/api/v1/alerts | grep DynixChangeAwaitsConfirmation", timeout=30)
    machine.succeed("dynix confirm", "dynix append services.subject.settings.text soon --for 5min --apply")

with subtest("the dashboard asks for nothing that is not there"):
    dashboard = json.loads(machine.succeed("cat /srv/rules/dashboard.json"))
    measured = machine.succeed("dynix metrics")
    known = set(re.findall(r"^# TYPE (\S+)", measured, re.MULTILINE))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    for expression in asked:
        for name in re.findall(r"dynix_\w+", expression):
            assert re.sub("_(bucket|sum|count)$", "", name) in known, f"{expression}: no {name}"
        plain = expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
        # What is a rate needs two scrapes that differ; all others have an answer at once.
        answer = query(plain)
        assert answer or "rate(" in plain or "increase(" in plain, f"nothing for {plain}"
