"""Units of the users' service managers: one value of the system's, an action in each manager that runs. The real PipeWire."""

import re
import shlex

ENTRY = 'services.pipewire.extraConfig.pipewire."10-rate"'
RATE = f'{ENTRY}."context.properties"."default.clock.rate"'
QUANTUM = f'{ENTRY}."context.properties"."default.clock.quantum"'
MODULES = f'{ENTRY}."context.modules"'
USERS = {"alice": 1000, "bob": 1001, "carol": 1002}

# Listens at a path, and says what it hears.
STRANGER = """
import socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
while True:
    connection, _ = listening.accept()
    connection.settimeout(20)
    print("heard", connection.recv(1024), flush=True)
"""


def as_user(user: str, command: str) -> str:
    return f"XDG_RUNTIME_DIR=/run/user/{USERS[user]} HOME=/home/{user} runuser --user {user} -- {command}"


def setting(user: str, name: str) -> int:
    """What PipeWire itself says."""
    said = machine.wait_until_succeeds(as_user(user, f"pw-metadata -n settings 0 {name} | grep value:"), timeout=20)
    return int(re.search(r"value:'(\d+)'", said).group(1))


def rate(user: str) -> int:
    return setting(user, "clock.rate")


def process(user: str) -> str:
    return machine.succeed(as_user(user, "systemctl --user show --property=MainPID --value pipewire.service")).strip()


def log_in(*users: str) -> None:
    machine.succeed("systemctl start " + " ".join(f"user@{USERS[user]}.service" for user in users))


def append(path: str, value: str, options: str = "--apply") -> tuple[int, str]:
    return machine.execute(f"dynix append {shlex.quote(path)} {shlex.quote(value)} {options} 2>&1")


start_all()
machine.wait_for_unit("multi-user.target")
log_in("alice", "bob")

with subtest("the built value is in effect for everybody"):
    t.assertEqual([rate(user) for user in ["alice", "bob"]], [48000, 48000])

with subtest("a change is one action in each running manager"):
    before = [process(user) for user in ["alice", "bob"]]
    status, said = append(RATE, "44100")
    t.assertEqual(status, 0, said)
    t.assertIn("restart user/pipewire.service", said)
    t.assertEqual([rate(user) for user in ["alice", "bob"]], [44100, 44100])
    t.assertFalse(set(before) & {process(user) for user in ["alice", "bob"]})

with subtest("who logs in later has it from the first start on"):
    log_in("carol")
    t.assertEqual(rate("carol"), 44100)

with subtest("who stopped the service is left alone"):
    machine.succeed(as_user("carol", "systemctl --user stop pipewire.socket pipewire.service"))
    status, said = append(RATE, "48000")
    t.assertEqual(status, 0, said)
    t.assertEqual([rate("alice"), process("carol")], [48000, "0"])

with subtest("a value on which it fails goes back for everybody, with the words of one of them"):
    machine.wait_until_fails("systemctl list-units --plain --no-legend 'dynix-watch-*' | grep .", timeout=20)
    machine.succeed("dynix append " + shlex.quote(RATE) + " 44100 --apply")
    status, said = append(MODULES, '[{"name": "libpipewire-module-absent"}]', "--from-json --apply --wait")
    t.assertEqual(status, 4, said)
    t.assertEqual([rate(user) for user in ["alice", "bob"]], [44100, 44100])
    t.assertNotIn("libpipewire-module-absent", machine.succeed(f"dynix get {shlex.quote(ENTRY)}"))

with subtest("a manager that does not answer keeps nobody waiting, and is caught up with"):
    manager = machine.succeed("systemctl show --property=MainPID --value user@1001.service").strip()
    stopped = process("bob")
    machine.succeed(f"kill -STOP {manager}")
    status, said = append(QUANTUM, "512")
    t.assertEqual(status, 0, said)
    t.assertEqual(setting("alice", "clock.quantum"), 512)
    machine.succeed(f"kill -CONT {manager}")
    t.assertEqual(process("bob"), stopped)
    machine.succeed("dynix apply")
    t.assertEqual([setting("bob", "clock.quantum"), process("bob") != stopped], [512, True])

with subtest("no link is followed to another manager's socket"):
    machine.succeed(as_user("bob", "mv /run/user/1001/systemd/private /run/user/1001/systemd/elsewhere"))
    machine.succeed(as_user("bob", "ln -s /run/systemd/private /run/user/1001/systemd/private"))
    status, said = append(QUANTUM, "256")
    t.assertEqual((status, setting("alice", "clock.quantum")), (0, 256), said)
    machine.succeed(as_user("bob", "mv /run/user/1001/systemd/elsewhere /run/user/1001/systemd/private"))

with subtest("nothing is said to a process of another user that listens at a user's socket"):
    there = "/run/user/1001/systemd"
    machine.succeed(as_user("bob", f"sh -c 'mv {there}/private {there}/elsewhere; chmod 711 /run/user/1001; chmod 777 {there}'"))
    machine.succeed(f"systemd-run --unit=stranger --uid=carol python3 -c {shlex.quote(STRANGER)} {there}/private")
    machine.wait_until_succeeds(f"test -S {there}/private", timeout=20)
    status, said = append(QUANTUM, "128")
    t.assertEqual((status, setting("alice", "clock.quantum")), (0, 128), said)
    # It was connected to, and learnt nothing.
    heard = machine.wait_until_succeeds("journalctl --unit=stranger --output=cat | grep ^heard", timeout=20)
    t.assertEqual(set(heard.splitlines()), {"heard b''"})
    machine.succeed(f"systemctl stop stranger; rm {there}/private")
    machine.succeed(as_user("bob", f"sh -c 'mv {there}/elsewhere {there}/private; chmod 700 /run/user/1001; chmod 755 {there}'"))

with subtest("a message about one user's unit names the command for that user's manager"):
    machine.wait_until_fails("systemctl list-units --plain --no-legend 'dynix-watch-*' | grep .", timeout=20)
    units = "/home/bob/.config/systemd/user"
    broken = f"""
        mkdir -p {units}/pipewire.service.d
        printf '[Service]\\nType=oneshot\\nExecStart=false\\n' > {units}/broken.service
        printf '[Unit]\\nRequires=broken.service\\nAfter=broken.service\\n' > {units}/pipewire.service.d/needs.conf
        systemctl --user daemon-reload
    """
    machine.succeed(as_user("bob", f"sh -c {shlex.quote(broken)}"))
    status, said = append(QUANTUM, "1024")
    t.assertNotEqual(status, 0, said)
    command = re.search(r"user bob: a unit that it requires did not start; see `([^`]*)`", said)[1]
    t.assertEqual(command, "systemctl --user --machine=1001@ list-dependencies pipewire.service")
    t.assertIn("broken.service", machine.succeed(command))
    mended = f"rm -r {units}/pipewire.service.d {units}/broken.service; systemctl --user daemon-reload; systemctl --user start pipewire"
    machine.succeed(as_user("bob", f"sh -c {shlex.quote(mended)}"))
    machine.succeed("dynix apply")

with subtest("users change nothing of it"):
    for command in [f"dynix append {shlex.quote(RATE)} 96000 --apply", "dynix reset", "dynix apply"]:
        status, said = machine.execute(as_user("alice", command) + " 2>&1")
        t.assertEqual(status, 1, said)
    status, said = machine.execute(as_user("alice", f"dynix --user append {shlex.quote(RATE)} 96000 --apply") + " 2>&1")
    t.assertIn("none of your services is dynamic-enabled", said)
    t.assertEqual(rate("alice"), 44100)

with subtest("after a boot, the first session has it"):
    machine.wait_until_fails("systemctl list-units --plain --no-legend 'dynix-watch-*' | grep .", timeout=20)
    machine.reboot()
    machine.wait_for_unit("multi-user.target")
    log_in("alice")
    t.assertEqual(rate("alice"), 44100)

with subtest("a reset is for everybody, too"):
    machine.succeed("dynix reset")
    t.assertEqual(rate("alice"), 48000)
    t.assertEqual(machine.succeed("ls /run/dynix/pipewire | grep current || true"), "")
