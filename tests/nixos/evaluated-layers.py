CONFIGURATION = """
{
  imports = [ <nixpkgs/machine.nix> /dynix/tests/nixos/evaluated-source.nix ];
  networking.hostName = "machine";
  # MORE
}
"""


def rebuild(more: str = "") -> None:
    text = CONFIGURATION.replace("# MORE", more)
    machine.succeed(f"cat > /etc/nixos/configuration.nix <<'END'\n{text}\nEND", "nixos-rebuild switch --fast", timeout=300)


def commit(level: int, demo: str) -> None:
    """What the source says from now on; `demo`: of a unit that is no service of dynix."""
    text = f"{{ services.subject.settings.level = {level}; {demo} }}"
    machine.succeed(
        f"cat > /srv/fleet/all.nix <<'END'\n{text}\nEND",
        f"cd /srv/fleet && git add --all && git commit --quiet --message '{level}'",
    )


def says(word: str) -> str:
    return f'systemd.services.demo.environment.WORD = "{word}";'


def word() -> str:
    """What the unit of no service runs with; empty while it does not run."""
    status, variables = machine.execute("tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID demo.service)/environ")
    words = [line.removeprefix("WORD=") for line in variables.splitlines() if line.startswith("WORD=")]
    return words[0] if status == 0 and words else ""


def source() -> dict:
    return json.loads(machine.succeed("dynix sources --json"))["sources"][0]


def refused(reason: str) -> None:
    """The newest commit is refused for this reason."""
    revision = machine.succeed("git -C /srv/fleet rev-parse HEAD").strip()
    retry(lambda _: source().get("refused", {}).get("revision") == revision, timeout_seconds=120)
    assert reason in source()["refused"]["reason"], source()


def in_effect(level: int, said: str) -> None:
    retry(lambda _: (settings()["level"], word()) == (level, said), timeout_seconds=120)


def is_static() -> bool:
    return machine.succeed("readlink /etc/static") == machine.succeed("readlink /run/current-system/etc")


if machine.execute("test -e /dynix/modules && nix-instantiate --eval --expr '<nixpkgs/machine.nix>'")[0] != 0:
    print("SKIPPED: this machine has no nixpkgs to evaluate")
else:
    machine.succeed(
        "git config --global user.name alice; git config --global user.email alice@example.org",
        "git init --quiet --initial-branch=main /srv/fleet",
    )
    rebuild()

    with subtest("a commit about a service and about an option of none is one change"):
        commit(5, says("first"))
        in_effect(5, "first")
        retry(lambda _: source()["applied"], timeout_seconds=60)
        t.assertEqual(len(json.loads(machine.succeed("dynix log --json"))), 1)
        said = machine.succeed("dynix status")
        assert 'systemd.services.demo.environment.WORD = "first"' in said and "not applied" not in said, said

    with subtest("what is out of the bounds of the source is refused whole"):
        commit(6, says("second") + ' environment.etc."demo.conf".text = "mine";')
        machine.wait_until_succeeds("journalctl --unit=dynix-agent | grep 'may not set environment.etc'", timeout=60)
        t.assertEqual((settings()["level"], word()), (5, "first"))

    with subtest("what the evaluation refuses is refused whole"):
        commit(6, "systemd.services.demo.environment.WORD = [ 1 ];")
        refused("is not of type")
        t.assertEqual((settings()["level"], word()), (5, "first"))

    with subtest("a unit of no service that does not come up takes the service back"):
        commit(7, says("third") + ' systemd.services.demo.preStart = "false";')
        refused("demo.service failed")
        in_effect(5, "first")

    with subtest("a service that does not come up, at once or later, takes back what is of no service"):
        commit(13, says("fourth"))
        refused("subject.service")
        in_effect(5, "first")
        commit(14, says("fifth"))
        refused("subject.service")
        in_effect(5, "first")

    with subtest("a reboot has all of it before the agent has said anything"):
        machine.wait_until_succeeds("! dynix status | grep 'watched for'", timeout=60)
        machine.shutdown()
        machine.start()
        machine.wait_for_unit("multi-user.target")
        t.assertEqual((settings()["level"], word()), (5, "first"))
        machine.fail("journalctl --boot --unit=demo.service | grep --quiet Stopped")

    with subtest("a switch keeps it"):
        rebuild('environment.etc."demo.conf".text = "other";')
        in_effect(5, "first")
        t.assertEqual(machine.succeed("cat /etc/demo.conf"), "other")
        retry(lambda _: source()["applied"], timeout_seconds=60)

    with subtest("and what is said no more is over"):
        commit(8, "")
        in_effect(8, "built")
        assert is_static()
