"""The real Prometheus: YAML, reloaded rather than restarted, with a check of its own (promtool)."""

import json


def config() -> str:
    """What the running process uses, as it says itself."""
    answer = machine.succeed("curl --silent --fail http://localhost:9090/api/v1/status/config")
    return json.loads(answer)["data"]["yaml"]


def wait_for(line: str) -> None:
    machine.wait_until_succeeds(
        f"curl --silent --fail http://localhost:9090/api/v1/status/config | grep --fixed-strings '{line}'", timeout=30
    )


def main_pid() -> str:
    return machine.get_unit_property("prometheus.service", "MainPID")


start_all()
machine.wait_for_unit("prometheus.service")
machine.wait_until_succeeds("curl --silent --fail http://localhost:9090/-/ready", timeout=60)
pid = main_pid()

with subtest("the built settings are in effect"):
    assert "scrape_interval: 1m\n" in config(), config()
    # A string that YAML 1.1 would take for a boolean if it were not quoted.
    assert '\n      site: "yes"\n' in config(), config()

with subtest("a new value is in effect after a reload, in the same process"):
    machine.succeed("dynix append services.prometheus.settings.global.scrape_interval 17s --apply")
    wait_for("scrape_interval: 17s")
    t.assertEqual(main_pid(), pid)

with subtest("the next reload sees the next value"):
    machine.succeed("dynix append services.prometheus.settings.global.scrape_interval 19s --apply")
    wait_for("scrape_interval: 19s")
    assert "17s" not in config(), config()
    t.assertEqual(main_pid(), pid)

with subtest("a value that promtool refuses leaves it running on the old one"):
    status, _ = machine.execute("dynix append services.prometheus.settings.global.scrape_interval soon --apply")
    t.assertEqual(status, 3)
    assert "scrape_interval: 19s" in config(), config()
    t.assertEqual(main_pid(), pid)
    said = machine.succeed("dynix log")
    assert "soon" in said and "promtool" in said, said
    # It is out of the way of what comes after it.
    machine.succeed("dynix append services.prometheus.settings.global.scrape_timeout 9s --apply")
    wait_for("scrape_timeout: 9s")
    assert "scrape_interval: 19s" in config(), config()
    t.assertEqual(main_pid(), pid)

with subtest("a list is replaced whole"):
    jobs = [{"job_name": "other", "static_configs": [{"targets": ["localhost:9999"]}]}]
    machine.succeed(f"dynix append services.prometheus.settings.scrape_configs '{json.dumps(jobs)}' --apply")
    wait_for("job_name: other")
    assert "job_name: prometheus" not in config(), config()

with subtest("after a reset it is as it was built, in the same process"):
    machine.succeed("dynix reset")
    wait_for("scrape_interval: 1m")
    wait_for("job_name: prometheus")
    assert "job_name: other" not in config(), config()
    t.assertEqual(main_pid(), pid)
