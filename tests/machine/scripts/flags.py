"""Settings that are flags of the unit's own command line, found there: a daemon that says its flags itself."""

import json

SETTINGS = "services.flagged.settings"


def flags() -> dict:
    """Those of the running process, as it says itself."""
    url = "http://127.0.0.1:9191/api/v1/status/flags"
    return json.loads(machine.wait_until_succeeds(f"curl --silent --fail {url}", timeout=60))["data"]


start_all()
machine.wait_for_unit("flagged.service")

with subtest("the static words are what the unit said"):
    before = flags()
    t.assertEqual(before["query.timeout"], "1m30s")
    t.assertEqual(before["web.page-title"], "50% off")
    machine.fail("test -e /run/dynix/flagged/current")

with subtest("values change, come and go, and the module's own flag stays"):
    title = "it's \"50%\" $HOME \\ ; off"
    quoted = title.replace("'", "'\\''")
    machine.succeed(f"dynix append '{SETTINGS}.\"web.page-title\"' '{quoted}'")
    machine.succeed(f"dynix append '{SETTINGS}.\"query.max-concurrency\"' 7")
    machine.succeed(f"dynix append --apply '{SETTINGS}.\"web.enable-lifecycle\"' false")
    changed = {"web.page-title": title, "query.max-concurrency": "7", "web.enable-lifecycle": "false"}
    t.assertEqual(flags(), before | changed)
    machine.succeed("systemctl show --property=NeedDaemonReload flagged.service | grep --quiet no")

with subtest("a flag that the daemon does not know takes the service back to what it had"):
    status, _ = machine.execute(f"dynix append --apply {SETTINGS}.nonsense 1")
    t.assertEqual(status, 4)
    t.assertEqual(flags(), before | changed)

with subtest("a name that would end elsewhere is refused"):
    error = machine.fail(f"dynix append '{SETTINGS}.\"web.page-title=x\"' y 2>&1")
    assert "has a =" in error, error

with subtest("reset gives the static words back"):
    machine.succeed("dynix reset flagged")
    t.assertEqual(flags(), before)
