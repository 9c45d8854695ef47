"""A configuration that systemd hands to the unit as a credential: static without dynix, dynamic with it, and static again."""

import json

STATIC = "/nix/store/cccccccccccccccccccccccccccccccc-config.json"
CREDENTIAL = "/run/credentials/sealed.service/config.json"


def settings() -> dict:
    return json.loads(machine.succeed(f"cat {CREDENTIAL}"))


start_all()
machine.wait_for_unit("sealed.service")

with subtest("the stub's text is the static file, byte for byte"):
    machine.succeed(f"cmp {STATIC} {CREDENTIAL}")
    machine.succeed("systemctl show --property=SetCredential sealed.service | grep --quiet .")
    machine.fail("test -e /run/dynix/sealed/current")

with subtest("a new value comes in with a restart, and without a daemon-reload"):
    text = "new\n%n \\n \"quoted\" \\"
    value = json.dumps(text).replace("'", "'\\''")
    machine.succeed(f"dynix append --json --apply services.sealed.settings.text '{value}'")
    assert settings() == {"port": 1, "text": text}, settings()
    machine.succeed("systemctl show --property=NeedDaemonReload sealed.service | grep --quiet no")

with subtest("reset gives the static text back"):
    machine.succeed("dynix reset sealed")
    machine.succeed(f"cmp {STATIC} {CREDENTIAL}")

with subtest("with nothing under /run/dynix the unit starts on its static text"):
    machine.succeed("dynix append --apply services.sealed.settings.port 2")
    assert settings()["port"] == 2, settings()
    machine.succeed("rm -r /run/dynix/sealed && systemctl restart sealed.service")
    machine.succeed(f"cmp {STATIC} {CREDENTIAL}")
