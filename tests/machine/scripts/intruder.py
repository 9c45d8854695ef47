"""Another user of the machine tries to get at what dynix reads and writes, all the time that it applies, and gets nothing."""

import json
import shlex

INTRUDER = """
import fcntl, os, signal, sys

PLACES = ["/run/dynix", "/run/dynix/pair", "/run/dynix/pair/current", "/run/systemd/system", "/run/nixos",
          "/etc/nixos", "/etc/dynix", "/var/cache/dynix"]
attempts = 0

def done(*_):
    print(f"attempts {attempts}", flush=True)
    os._exit(0)

signal.signal(signal.SIGTERM, done)

def attempt(what, *arguments):
    global attempts
    attempts += 1
    try:
        what(*arguments)
    except OSError:
        return
    print("GOT", what.__name__, *arguments, flush=True)

def read(path):
    with open(path, "rb") as file:
        file.read()

def write(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666))

def lock(path):
    fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)

# Everybody can read the log, and so lock it, which is to hold up nobody.
held = open("/etc/nixos/dynamic.nix")
fcntl.flock(held, fcntl.LOCK_EX)
print("ready", flush=True)
while True:
    for place in PLACES:
        attempt(os.symlink, "/home", f"{place}/planted")
        attempt(os.link, "/etc/passwd", f"{place}/planted")
        attempt(os.mkdir, f"{place}/planted")
        attempt(write, f"{place}/planted")
        attempt(os.rename, place, f"{place}-mine")
        try:
            names = os.listdir(place)
        except OSError:
            names = []
        for name in names:
            path = f"{place}/{name}"
            attempt(os.unlink, path)
            attempt(os.rename, path, f"{path}-mine")
            attempt(os.chmod, path, 0o777)
            if name.endswith("lock"):
                attempt(lock, path)
            if not os.path.isdir(path):
                attempt(write, path)
    for generation in [*range(1, 40)]:
        for name in [f"generation-{generation}", f".generation-{generation}"]:
            attempt(read, f"/run/dynix/pair/{name}/secret.json")
            attempt(write, f"/run/dynix/pair/{name}/secret.json")
            attempt(os.symlink, "/home", f"/run/dynix/pair/{name}")
"""

start_all()
machine.wait_for_unit("pair-restarts.service")
machine.succeed("dynix append services.pair.secret.key 0 --apply")
machine.succeed(f"printf %s {shlex.quote(INTRUDER)} > /tmp/intruder.py")
machine.succeed("systemd-run --unit=intruder --property=User=nobody python3 /tmp/intruder.py")
machine.wait_until_succeeds("journalctl --unit=intruder --output=cat | grep -x ready", timeout=30)

with subtest("dynix works as ever beside it"):
    for number in range(1, 16):
        machine.succeed(f"timeout 30 dynix append services.pair.secret.key {number} --apply")
        machine.succeed(f"timeout 30 dynix append services.pair.shared.greeting {number} --apply")
        found = json.loads(machine.succeed("cat /run/dynix/pair/current/secret.json"))
        t.assertEqual(found, {"key": str(number)})
        t.assertEqual(machine.succeed("stat --format='%a %U' /run/dynix/pair/current/secret.json"), "400 pair\n")
    machine.succeed("timeout 30 dynix reset", "timeout 30 dynix status")

with subtest("it tried, and got nothing"):
    machine.succeed("systemctl stop intruder")
    lines = machine.succeed("journalctl --unit=intruder --output=cat").splitlines()
    t.assertEqual([line for line in lines if line.startswith("GOT")], [])
    attempts = [int(line.split()[1]) for line in lines if line.startswith("attempts ")]
    assert attempts and attempts[0] > 1000, lines[-20:]
