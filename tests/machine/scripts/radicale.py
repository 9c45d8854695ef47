"""The real Radicale: INI; the headers of its answers show its settings."""

import shlex


def headers() -> dict[str, str]:
    """Those of its answer that start with X-, as curl shows them."""
    answer = machine.wait_until_succeeds("curl --silent --show-error --head http://127.0.0.1:5232/.web/", timeout=30)
    pairs = [line.split(": ", 1) for line in answer.splitlines() if line.lower().startswith("x-")]
    return {name.lower(): value for name, value in pairs}


start_all()
machine.wait_for_unit("radicale.service")

with subtest("the built settings are in effect"):
    t.assertEqual(headers(), {"x-greeting": "static"})

with subtest("a value changes, whatever signs it has"):
    value = "50% off; a=b [c] #d \"e\" 'f' \\n ${g} %(h)s ~"
    machine.succeed(f"dynix append services.radicale.settings.headers.X-Greeting --string {shlex.quote(value)} --apply")
    t.assertEqual(headers(), {"x-greeting": value})

with subtest("a key is added, and the other value stays"):
    machine.succeed("dynix append services.radicale.settings.headers.X-Other new")
    machine.succeed("apply-dynamic-configuration")
    t.assertEqual(headers(), {"x-greeting": value, "x-other": "new"})

with subtest("an unset takes back one of them"):
    machine.succeed("dynix unset services.radicale.settings.headers.X-Greeting")
    machine.succeed("apply-dynamic-configuration")
    t.assertEqual(headers(), {"x-greeting": "static", "x-other": "new"})

with subtest("a section that is a number is refused by the option's type"):
    pid = machine.get_unit_property("radicale.service", "MainPID")
    status, _ = machine.execute("dynix append services.radicale.settings.headers 3 --apply")
    t.assertEqual(status, 3)
    t.assertEqual(machine.get_unit_property("radicale.service", "MainPID"), pid)

with subtest("after a reset it is as it was built"):
    machine.succeed("dynix reset")
    t.assertEqual(headers(), {"x-greeting": "static"})
