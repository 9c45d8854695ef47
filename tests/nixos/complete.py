PORT = "services.gotosocial.settings.port"
LEVEL = "services.subject.settings.level"


def configure(more: str) -> None:
    text = f"""
    {{ lib, ... }}:
    {{
      imports = [ <nixpkgs/machine.nix> /dynix/tests/nixos/complete-subject.nix ];
      networking.hostName = "machine";
      {more}
    }}
    """
    machine.succeed(f"cat > /etc/nixos/configuration.nix <<'END'\n{text}\nEND")


def dynix(words: str, code: int = 0) -> str:
    status, said = machine.execute(f"dynix {words} 2>&1", timeout=120)
    t.assertEqual(status, code, said)
    return said


def found_out() -> None:
    """Waits until what follows is in effect: a rebuild would change nothing else."""
    machine.wait_until_succeeds("dynix verify", timeout=120)


def opened() -> list[str]:
    """The ports that the firewall's own script opens."""
    script = machine.succeed("systemctl show -P ExecStart firewall.service").split("path=")[1].split()[0]
    lines = machine.succeed(f"cat {script}; grep -h . $(grep -o '/nix/store/[^ ]*firewall-start[^ ]*' {script}) /dev/null || true")
    return sorted({word for line in lines.splitlines() if "--dport" in line for word in [line.split("--dport")[1].split()[0]]})


def levels(service: int, others: int) -> None:
    """Waits until the service, and the file under /etc and the other unit have these: units start a moment later."""
    machine.wait_until_succeeds(f"test $(cat /etc/level) = {others} && test $(cat /run/follower) = {others}", timeout=60)
    machine.wait_until_succeeds("systemctl is-active subject.service follower.service", timeout=20)
    machine.wait_until_succeeds(f"grep -Eq 'level.: *{service}([^0-9]|$)' /run/subject/settings.json", timeout=20)


def is_static() -> bool:
    return machine.succeed("readlink /etc/static") == machine.succeed("readlink /run/current-system/etc")


def rejected() -> dict[int, str]:
    return {one["id"]: one["rejected"] for one in json.loads(machine.succeed("dynix log --json")) if "rejected" in one}


def unit(name: str) -> str:
    """A unit's text without dynix's drop-ins."""
    return machine.succeed(f"cat /etc/systemd/system/{name}")


if can_rebuild():
    configure("")
    rebuild("switch")
    found_out()
    system = machine.succeed("readlink -f /run/current-system")
    t.assertEqual(opened(), ["8080"])
    levels(1, 1)

    with subtest("a port below 1024, and the firewall follows"):
        said = dynix(f"append {PORT} 80 --apply --wait")
        found_out()
        t.assertEqual(opened(), ["80"])
        machine.wait_for_open_port(80)
        t.assertEqual(machine.succeed("readlink -f /run/current-system"), system)
        said = dynix("verify")
        assert "sound: a rebuild with the recorded values would change nothing else" in said, said
        said = dynix("status")
        assert "system: changed firewall.service" in said and "not applied" not in said, said
        assert "--dport 80" in machine.succeed("grep -h . /run/iptables")
        firewall = unit("firewall.service")

    with subtest("it is what a rebuild gives"):
        configure(f"{PORT} = 80;")
        rebuild("test")
        found_out()
        t.assertEqual(unit("firewall.service"), firewall)
        configure("")
        rebuild("test")
        found_out()
        t.assertEqual((opened(), is_static()), (["8080"], True))

    with subtest("a rollback takes all of it back at once"):
        dynix(f"append {PORT} 81 --apply")
        found_out()
        t.assertEqual(opened(), ["81"])
        dynix("rollback --apply")
        t.assertEqual((opened(), is_static()), (["8080"], True))
        found_out()
        assert "sound" in dynix("verify")

    with subtest("values of several services, one after the other"):
        dynix(f"append {LEVEL} 2 --apply")
        dynix(f"append {PORT} 82 --apply")
        dynix(f"append {LEVEL} 3 --apply")
        found_out()
        t.assertEqual(opened(), ["82"])
        levels(3, 3)
        dynix(f"unset {PORT} --apply")
        found_out()
        t.assertEqual(opened(), ["8080"])
        levels(3, 3)

    with subtest("after a reboot it is there from the start"):
        machine.wait_until_succeeds("grep -q 'settings.level.*3' /var/lib/dynix/evaluated/next/about.json", timeout=10)
        machine.fail("grep -q settings.port /var/lib/dynix/evaluated/next/about.json")
        reboot()
        levels(3, 3)
        assert not is_static()
        found_out()
        assert "sound" in dynix("verify")

    with subtest("a reset of the service takes it back"):
        dynix("reset subject")
        levels(1, 1)
        assert is_static()

    with subtest("what ends by itself ends with all that follows"):
        dynix(f"append {LEVEL} 4 --for 30s --apply")
        found_out()
        levels(4, 4)
        levels(1, 1)
        assert is_static()

    with subtest("not confirmed, all of it goes back"):
        dynix(f"append {LEVEL} 5 --apply --confirm 30s")
        found_out()
        levels(5, 5)
        machine.wait_until_succeeds("systemctl is-active subject.service follower.service", timeout=20)
        levels(1, 1)
        assert is_static()
        found_out()

    with subtest("confirmed, it stays"):
        dynix(f"append {LEVEL} 6 --apply --confirm 60s")
        found_out()
        dynix("confirm")
        levels(6, 6)
        dynix("reset")
        found_out()

    with subtest("where what follows fails, the value is rejected, and all is as before"):
        before = len(rejected())
        dynix(f"append {LEVEL} 13 --apply")
        machine.wait_until_succeeds(f"test $(dynix log --json | grep -c '\"rejected\"') -gt {before}", timeout=120)
        machine.wait_until_succeeds("readlink /etc/static | grep -q \"$(readlink /run/current-system/etc)\"", timeout=60)
        machine.wait_until_succeeds("systemctl is-active subject.service follower.service", timeout=20)
        levels(1, 1)
        assert is_static()
        t.assertEqual(len(rejected()), before + 1)
        assert "follower.service failed" in list(rejected().values())[-1], rejected()

    with subtest("what needs a build is left, and said"):
        dynix(f"append {LEVEL} 99 --apply")
        machine.wait_until_succeeds("dynix status | grep 'needs a build: untold'", timeout=120)
        levels(99, 1)
        said = dynix("verify", 6)
        assert "/etc/untold" in said, said
        dynix(f"append {LEVEL} 7 --apply")
        found_out()
        levels(7, 7)
        dynix("reset")
        found_out()
        levels(1, 1)
        assert is_static()

    with subtest("a configuration that was changed does not come into effect with it"):
        configure('environment.etc.level.text = lib.mkForce "other";')
        dynix(f"append {LEVEL} 8 --apply")
        machine.wait_until_succeeds("dynix status | grep 'another one than was switched to'", timeout=120)
        levels(8, 1)
