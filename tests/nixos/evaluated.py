import json
import time

CONFIGURATION = """
{
  imports = [ <nixpkgs/machine.nix> /dynix/tests/nixos/evaluated-subject.nix ];
  networking.hostName = "machine";
  dynamicism.onSwitch = "ON-SWITCH";
  # MORE
}
"""
WORD = "systemd.services.demo.environment.WORD"
DEMO_CONF = "'environment.etc.\"demo.conf\".text'"


def configure(on_switch: str = "static", more: str = "") -> None:
    text = CONFIGURATION.replace("ON-SWITCH", on_switch).replace("# MORE", more)
    machine.succeed(f"cat > /etc/nixos/configuration.nix <<'END'\n{text}\nEND")


def rebuild(action: str = "switch") -> None:
    machine.succeed(f"nixos-rebuild {action} --fast", timeout=300)


def dynix(words: str, code: int = 0) -> str:
    status, said = machine.execute(f"dynix {words} 2>&1", timeout=120)
    t.assertEqual(status, code, said)
    return said


def word() -> str:
    machine.wait_for_unit("demo.service")
    variables = machine.succeed("tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID demo.service)/environ")
    return next(line.removeprefix("WORD=") for line in variables.splitlines() if line.startswith("WORD="))


def is_static() -> bool:
    return machine.succeed("readlink /etc/static") == machine.succeed("readlink /run/current-system/etc")


def records() -> int:
    return len(json.loads(machine.succeed("dynix log --json")))


start_all()
machine.wait_for_unit("multi-user.target")

if machine.execute("test -e /dynix/modules && nix-instantiate --eval --expr '<nixpkgs/machine.nix>'")[0] != 0:
    print("SKIPPED: this machine has no nixpkgs to evaluate")
else:
    configure()
    rebuild()
    system = machine.succeed("readlink -f /run/current-system")

    with subtest("what would change is shown, text by text"):
        said = dynix(f"append {WORD} dynamic --dry-run")
        assert '+Environment="WORD=dynamic"' in said, said
        t.assertEqual(records(), 0)
        said = dynix(f"append {WORD} dynamic")
        assert "not in effect yet" in said, said
        said = dynix("apply --dry-run")
        assert '-Environment="WORD=built"' in said and '+Environment="WORD=dynamic"' in said, said
        assert "would" in said and "demo.service" in said, said
        t.assertEqual(word(), "built")
        assert "recorded, not applied" in dynix("status")

    with subtest("a unit's text"):
        said = dynix("apply")
        assert "change demo.service" in said and "starting the following units: demo.service" in said, said
        t.assertEqual(word(), "dynamic")
        t.assertEqual(machine.succeed("readlink -f /run/current-system"), system)
        said = dynix("status")
        assert "system: changed demo.service" in said and f'{WORD} = "dynamic"' in said, said
        assert "not applied" not in said, said
        assert '+Environment="WORD=dynamic"' in dynix("diff")
        t.assertEqual(dynix("apply"), "nothing to do\n")

    with subtest("and back"):
        dynix("rollback --apply")
        t.assertEqual(word(), "built")
        assert is_static()

    with subtest("limits change without a restart"):
        limit = "systemd.services.demo.serviceConfig.TasksMax"
        pid = machine.get_unit_property("demo.service", "MainPID")
        group = machine.get_unit_property("demo.service", "ControlGroup")
        before = machine.get_unit_property("demo.service", "TasksMax")
        # As the version of control groups has it.
        pids = f"cat /sys/fs/cgroup{group}/pids.max /sys/fs/cgroup/pids{group}/pids.max 2> /dev/null"
        assert "would change, without a restart, the following units: demo.service" in dynix(f"append {limit} 77 --apply --dry-run")
        said = dynix(f"append {limit} 77 --apply")
        assert "changing, without a restart, the following units: demo.service" in said, said
        t.assertEqual(machine.get_unit_property("demo.service", "TasksMax"), "77")
        limits = machine.execute(pids)[1].split()
        if limits:
            t.assertEqual(limits, ["77"])
        else:
            print("SKIPPED: the kernel's own limit: this machine has no control group with one")
        assert "TasksMax=77" in machine.succeed("systemctl cat demo.service")
        t.assertEqual(dynix("apply"), "nothing to do\n")
        dynix("reset system")
        t.assertEqual(machine.get_unit_property("demo.service", "MainPID"), pid)
        t.assertEqual(machine.get_unit_property("demo.service", "TasksMax"), before)
        assert is_static()

    with subtest("a service's link under /etc leads to its file, whatever NixOS's activation does to it"):
        dynix("append services.linked.settings.word dynamic --apply")
        t.assertEqual(json.loads(machine.succeed("cat /etc/linked.json")), {"word": "dynamic"})
        dynix(f"append {WORD} dynamic --apply")
        t.assertEqual(word(), "dynamic")
        t.assertEqual(json.loads(machine.succeed("cat /etc/linked.json")), {"word": "dynamic"})
        dynix(f"unset {WORD} --apply")
        assert is_static()
        t.assertEqual(json.loads(machine.succeed("cat /etc/linked.json")), {"word": "dynamic"})
        dynix("unset services.linked.settings --apply")
        t.assertEqual(json.loads(machine.succeed("cat /etc/linked.json")), {"word": "built"})

    with subtest("several records, and one of them goes"):
        dynix(f"append {WORD} dynamic --apply")
        dynix(f"append {DEMO_CONF} --string dynamic --apply")
        t.assertEqual((word(), machine.succeed("cat /etc/demo.conf")), ("dynamic", "dynamic"))
        dynix(f"unset {WORD} --apply")
        t.assertEqual((word(), machine.succeed("cat /etc/demo.conf")), ("built", "dynamic"))
        dynix("reset")
        t.assertEqual(machine.succeed("cat /etc/demo.conf"), "built\n")
        assert is_static()

    with subtest("what can't be is refused, and nothing is recorded"):
        before = records()
        assert "takes effect at boot: boot.kernelParams" in dynix("append boot.kernelParams '[\"quiet\"]' --apply", 3)
        assert "networking.firewall" in dynix("append networking.firewal.allowedTCPPorts '[80]' --apply", 3)
        assert "is not of type" in dynix(f"append {WORD} '[1]' --apply", 3)
        assert "is a set of options" in dynix("append networking.firewall 1", 3)
        said = dynix("append nix.gc.automatic --json true --for 1h --confirm 1 --apply", 2)
        t.assertEqual(records(), before)
        assert is_static()

    with subtest("a configuration that was changed does not come into effect with it"):
        configure(more='environment.etc."demo.conf".text = "other";')
        assert "another one than was switched to" in dynix(f"append {WORD} new --apply", 1)
        t.assertEqual((word(), machine.succeed("cat /etc/demo.conf"), records()), ("built", "built\n", before))
        configure()

    with subtest("what needs a build is built where that is asked for"):
        before = records()
        said = dynix("append services.packaged.enable true --apply", 3)
        assert "needs a build: packaged" in said, said
        t.assertEqual(records(), before)
        dynix("append services.packaged.enable true --apply --build")
        t.assertEqual(machine.succeed("cat /etc/packaged"), "built by itself\n")
        dynix("reset system")
        machine.fail("test -e /etc/packaged")
        assert is_static()

    with subtest("units that do not come up go back, and the record with them"):
        said = dynix("append systemd.services.demo.preStart --string false --apply", 4)
        assert "demo.service failed" in said, said
        t.assertEqual(word(), "built")
        assert is_static()
        assert "reject" in dynix("log"), dynix("log")
        t.assertEqual(dynix("apply"), "nothing to do\n")

    with subtest("units that had failed before are not its fault"):
        machine.succeed("systemd-run --quiet --unit=broken false")
        machine.succeed("systemd-run --quiet --unit=loops -p Restart=always -p RestartSec=60 false")
        machine.wait_until_succeeds("systemctl is-failed broken.service && systemctl show -P SubState loops.service | grep -x auto-restart", timeout=10)
        dynix(f"append {WORD} beside --apply")
        t.assertEqual(word(), "beside")
        dynix("reset system")
        t.assertEqual((word(), is_static()), ("built", True))
        machine.succeed("systemctl stop loops.service; systemctl reset-failed")

    with subtest("not confirmed, it goes back"):
        dynix(f"append {WORD} tried --apply --confirm 5s")
        t.assertEqual(word(), "tried")
        machine.wait_until_succeeds("test \"$(readlink /etc/static)\" = \"$(readlink /run/current-system/etc)\"", timeout=30)
        machine.wait_until_succeeds("systemctl is-active demo.service", timeout=10)
        t.assertEqual(word(), "built")
        assert "awaits" not in dynix("status")

    with subtest("confirmed, it stays"):
        dynix(f"append {WORD} kept --apply --confirm 60s")
        assert "awaits its confirmation" in dynix("status")
        dynix("confirm")
        t.assertEqual(word(), "kept")
        assert "awaits" not in dynix("status")

    with subtest("after a reboot it is there from the start"):
        machine.shutdown()
        machine.start()
        machine.wait_for_unit("multi-user.target")
        t.assertEqual(word(), "kept")
        assert not is_static()
        machine.fail("journalctl -b -u demo.service | grep -q Stopped")
        t.assertEqual(machine.succeed("readlink -f /run/current-system"), system)

    with subtest("what ends by itself"):
        dynix(f"append {DEMO_CONF} --string soon --for 20s --apply")
        t.assertEqual(machine.succeed("cat /etc/demo.conf"), "soon")
        machine.wait_until_succeeds("grep -q built /etc/demo.conf", timeout=60)
        t.assertEqual(word(), "kept")

    with subtest("a switch to what is built takes it back"):
        rebuild()
        t.assertEqual(word(), "built")
        assert is_static()
        assert "rollback" in dynix("log")

    with subtest("or puts it into effect again"):
        configure("reapply")
        rebuild()
        dynix(f"append {WORD} again --apply")
        configure("reapply", 'environment.etc."demo.conf".text = "other";')
        rebuild()
        machine.wait_until_succeeds("test \"$(readlink /etc/static)\" != \"$(readlink /run/current-system/etc)\"", timeout=60)
        machine.wait_until_succeeds("systemctl is-active demo.service", timeout=10)
        t.assertEqual((word(), machine.succeed("cat /etc/demo.conf")), ("again", "other"))

    with subtest("and the rebuild that makes it permanent restarts nothing"):
        process = machine.get_unit_property("demo.service", "MainPID")
        configure("reapply", f'environment.etc."demo.conf".text = "other"; {WORD} = lib.mkForce "again";'.replace("lib.", "(import <nixpkgs/lib>)."))
        dynix("reset --dry-run")
        rebuild()
        t.assertEqual(machine.get_unit_property("demo.service", "MainPID"), process)
