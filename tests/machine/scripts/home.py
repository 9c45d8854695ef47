"""A user's own services, as home-manager writes them: a plan, a log and a manager of each user's own. The real Radicale."""

import shlex

GREETING = "services.radicale.settings.headers.X-Greeting"
HOSTS = "services.radicale.settings.server.hosts"
USERS = {"alice": 1000, "bob": 1001}


def as_user(user: str, command: str) -> str:
    script = f"export XDG_RUNTIME_DIR=/run/user/{USERS[user]} HOME=/home/{user}; {command}"
    return f"runuser --user {user} -- sh -c {shlex.quote(script)}"


def own(user: str, words: str) -> str:
    return machine.succeed(as_user(user, f"dynix --user {words} 2>&1"))


def failing(user: str, words: str) -> tuple[int, str]:
    return machine.execute(as_user(user, f"dynix --user {words} 2>&1"))


def greeting(user: str) -> str:
    """What the user's own Radicale answers."""
    address = f"http://127.0.0.1:{10000 + USERS[user]}/.web/"
    answer = machine.wait_until_succeeds(f"curl --silent --show-error --head {address}", timeout=30)
    return next(line for line in answer.splitlines() if line.lower().startswith("x-greeting")).split(": ", 1)[1]


def log_in(*users: str) -> None:
    machine.succeed("systemctl start " + " ".join(f"user@{USERS[user]}.service" for user in users))


def is_unwatched(user: str) -> None:
    machine.wait_until_fails(as_user(user, "systemctl --user list-units --plain --no-legend 'dynix-watch-*' | grep ."), timeout=20)


start_all()
machine.wait_for_unit("multi-user.target")
log_in("alice", "bob")

with subtest("the built values are in effect"):
    t.assertEqual([greeting(user) for user in USERS], ["static", "static"])

with subtest("a user changes what is the user's own, without root"):
    said = own("alice", f"append {GREETING} hello --apply")
    t.assertIn("restart radicale.service", said)
    t.assertEqual([greeting(user) for user in USERS], ["hello", "static"])
    places = machine.succeed("stat --format='%U %n' /home/alice/.local/state/dynix/dynamic.nix /run/user/1000/dynix/radicale/current")
    t.assertEqual([line.split()[0] for line in places.splitlines()], ["alice", "alice"])
    machine.fail("ls /etc/nixos/dynamic.nix /run/dynix/radicale")

with subtest("another user's values are another user's"):
    own("bob", f"append {GREETING} moin --apply")
    t.assertEqual([greeting(user) for user in USERS], ["hello", "moin"])
    machine.fail(as_user("bob", "dynix --user --overrides /home/alice/.local/state/dynix/dynamic.nix append " + GREETING + " x"))
    t.assertIn("hello", own("alice", f"get {GREETING}"))

with subtest("the system's are the system's"):
    status, said = machine.execute(as_user("alice", "dynix reset 2>&1"))
    t.assertEqual(status, 1, said)
    status, said = failing("alice", "append services.pipewire.extraConfig.pipewire '{}' --from-json")
    t.assertEqual(status, 3, said)
    status, said = machine.execute("SUDO_UID=1000 SUDO_USER=alice dynix --user status 2>&1")
    t.assertIn("run it without sudo", said)
    t.assertEqual(status, 1)

with subtest("a value on which it fails goes back"):
    is_unwatched("alice")
    status, said = failing("alice", f"append {HOSTS} --from-json '[\"127.0.0.1:1\"]' --apply --wait")
    t.assertEqual(status, 4, said)
    t.assertEqual(greeting("alice"), "hello")
    t.assertIn("rejected", own("alice", "log"))

with subtest("a message names the command for the user's own manager"):
    is_unwatched("alice")
    mask = "/run/user/1000/systemd/user.control/radicale.service"
    reload = "systemctl --user daemon-reload"
    machine.succeed(as_user("alice", f"mkdir -p $(dirname {mask}); ln -s /dev/null {mask}; {reload}"))
    status, said = failing("alice", f"append {GREETING} masked --apply")
    t.assertEqual(status, 1, said)
    t.assertIn("is masked, so systemd does not restart it; `systemctl --user unmask radicale.service`", said)
    machine.succeed(as_user("alice", f"rm {mask}; {reload}"))
    own("alice", f"unset {GREETING} --previous --apply")
    t.assertEqual(greeting("alice"), "hello")

with subtest("one that breaks after the apply is seen by the watch, in the user's manager"):
    is_unwatched("alice")
    own("alice", f"append {GREETING} broken --apply")
    t.assertEqual(greeting("alice"), "broken")
    machine.succeed(as_user("alice", "systemctl --user kill --signal=KILL radicale.service"))
    machine.wait_until_succeeds("curl --silent --head http://127.0.0.1:11000/.web/ | grep 'hello'", timeout=20)
    is_unwatched("alice")
    own("alice", f"append {GREETING} again --apply")
    is_unwatched("alice")
    t.assertEqual(greeting("alice"), "again")

with subtest("what is for a while ends by itself"):
    own("alice", f"append {GREETING} 'for a while' --for 3s --apply")
    t.assertEqual(greeting("alice"), "for a while")
    machine.wait_until_succeeds("curl --silent --head http://127.0.0.1:11000/.web/ | grep 'again'", timeout=20)

with subtest("the next session starts on it"):
    is_unwatched("alice")
    machine.succeed("systemctl stop user@1000.service user-runtime-dir@1000.service")
    machine.fail("ls /run/user/1000/dynix")
    log_in("alice")
    t.assertEqual(greeting("alice"), "again")
    t.assertEqual(greeting("bob"), "moin")
    starts = machine.succeed(as_user("alice", "systemctl --user show --property=NRestarts --value radicale.service"))
    t.assertEqual(starts.strip(), "0")

with subtest("what was never tried is tried once the session is up"):
    own("alice", f"append {GREETING} untried")
    machine.succeed("systemctl restart user@1000.service")
    machine.wait_until_succeeds("curl --silent --head http://127.0.0.1:11000/.web/ | grep 'untried'", timeout=30)
    said = machine.succeed("journalctl --no-pager --output=cat _UID=1000 | grep 'is tried once'")
    t.assertIn("what is recorded is not known to work", said)

with subtest("home-manager's switch to another generation gives what was built; the same one again changes nothing"):
    is_unwatched("alice")
    script = ". /nix/store/00000000000000000000000000001000-dynix-generated/activate"
    machine.succeed(as_user("alice", f"oldGenPath=/a newGenPath=/a; {script}"))
    t.assertEqual(greeting("alice"), "untried")
    machine.succeed(as_user("alice", f"oldGenPath=/a newGenPath=/b DRY_RUN=1; {script}"))
    t.assertEqual(greeting("alice"), "untried")
    machine.succeed(as_user("alice", f"oldGenPath=/a newGenPath=/b; {script}"))
    t.assertEqual([greeting(user) for user in USERS], ["static", "moin"])

with subtest("a reset leaves nothing"):
    own("bob", "reset")
    t.assertEqual(greeting("bob"), "static")
