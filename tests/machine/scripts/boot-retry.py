"""What is missing while the machine boots keeps values back, and nothing else: they are tried again by themselves, and come into
effect once it is there."""

import json

TEXT = "dynix append services.tardy.settings.text"


def shown() -> str:
    text = machine.wait_until_succeeds("timeout 5 cat < /dev/tcp/127.0.0.1/7200", timeout=20)
    return json.loads(text)["text"]


def install_check() -> None:
    machine.succeed("printf '#!/bin/sh\\ntest -s \"$1\"\\n' > /var/lib/judge.new; chmod +x /var/lib/judge.new; mv /var/lib/judge.new /var/lib/judge")


def install_owner() -> None:
    machine.succeed("echo 'tardy:x:4321:4321::/:/bin/false' >> /etc/passwd; echo 'tardy:x:4321:' >> /etc/group")


def retries() -> str:
    """What of the retries systemd knows."""
    return machine.succeed("systemctl list-units --all --plain --no-legend 'dynix-retry*'")


def settled() -> None:
    machine.wait_until_fails(
        "systemctl list-units --plain --no-legend 'dynix-retry*' 'dynix-watch*' | grep .", timeout=60
    )


def rejected() -> int:
    return machine.succeed("dynix log").count("[rejected: ")


start_all()
machine.wait_for_unit("tardy.service")
install_check()
install_owner()
machine.succeed(f"{TEXT} first --apply --wait")
t.assertEqual(shown(), "first")

MISSING = {
    "check": ("rm /var/lib/judge", install_check),
    "owner": ("sed -i /^tardy:/d /etc/passwd /etc/group", install_owner),
}

for what, (remove, install) in MISSING.items():
    with subtest(f"the {what} is missing at boot: the service starts as it was built, and dynix goes on trying"):
        machine.succeed(remove)
        machine.reboot()
        machine.wait_for_unit("multi-user.target")
        t.assertEqual(shown(), "static")
        # It is tried, more than once, and nobody asks for it.
        machine.wait_until_succeeds(
            "test \"$(systemctl show --property=NRestarts --value dynix-retry.service)\" -ge 2", timeout=60
        )
        t.assertEqual((shown(), rejected()), ("static", 0))

    with subtest(f"the {what} is there: the values are in effect by themselves"):
        install()
        machine.wait_until_succeeds("timeout 5 cat < /dev/tcp/127.0.0.1/7200 | grep --quiet first", timeout=90)
        settled()
        t.assertEqual((shown(), rejected()), ("first", 0))
        t.assertEqual(machine.succeed("dynix apply"), "nothing to do\n")
        # Nor does it come back: a switch starts timers.target, and what is only recorded stays so.
        machine.succeed(f"{TEXT} later", "systemctl daemon-reload; systemctl start timers.target")
        t.assertEqual(retries(), "")
        machine.succeed("dynix rollback")
        machine.reboot()
        machine.wait_for_unit("multi-user.target")
        settled()
        t.assertEqual((shown(), retries()), ("first", ""))
