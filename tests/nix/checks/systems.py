"""What the modules make of a system."""

import json
import subprocess
import tempfile
from pathlib import Path

from .common import HERE, dynix, expect, nix, same
from .generated import static_files


def check_toplevel():
    """the system instantiates with the three services dynamic; with nothing enabled it is the one without dynix, bit by bit"""
    given = nix.value("toplevels")
    same(given["imported-only"], given["static"], "importing the module changes the system")
    expect(given["dynamic"] != given["static"], "three dynamic services change nothing")
    # Once for real: every derivation of the closure is written, to a store of its own.
    with tempfile.TemporaryDirectory(prefix="dynix-") as directory:
        options = ["--store", directory, "--option", "allow-import-from-derivation", "false"]
        written = nix.run(HERE / "checks.nix", "-A", "system", *options, *nix.arguments(True)).split()[-1]
        count = sum(1 for _ in (Path(directory) / "nix" / "store").glob("*.drv"))
    same(written, given["dynamic"], "the instantiated system")
    return f"{written} and {count - 1} derivations below it"


def check_units():
    """the installed units differ from the static ones by the stubs alone"""
    given = nix.value("units")
    withdraw = given["differences"].pop("dynix-withdraw.service")
    expect(withdraw["before"] is None and "dynix withdraw" in withdraw["after"]["text"], "dynix-withdraw.service")
    expect("/nix/store" not in withdraw["after"]["text"], "dynix-withdraw.service changes with what it names")
    same(given["differences"], {}, "units differ in themselves")
    same(given["packages"], [given["generated"]], "packages that bring units")
    same(given["etc"], ["dynix/plan.json"], "files under /etc that are new")
    return f"{given['count']} units equal, 1 package of drop-ins more"


def check_activation():
    """the activation script runs dynix's"""
    given = nix.value("activation")
    expect(given["runs"], "it does not")
    order = given["deps"]
    behind = given["behindSecrets"]
    expect(not order or {"agenix", "setupSecrets"} <= set(behind), f"secrets may come after it: {behind}")
    return f"after {', '.join(order)}" if order else "this NixOS does not show the order"


def check_newer():
    """without activation scripts units do the same; where dynix would do nothing, the build fails and says so"""
    given = nix.value("newer")
    allowed = ("none", "elsewhere", "nixos-init", "read-only")
    same([given[name] for name in allowed], [[]] * len(allowed), "refused without a reason")
    expect('dynamicism.activation = "units"' in "".join(given["script"]), given)
    targets = {"sysinit.target", "sysinit-reactivation.target"}
    expect(targets <= set(given["units"]["wantedBy"]) and targets <= set(given["units"]["before"]), given)
    expect(not given["units"]["script"], given)
    expect("dynamicism.overridesFile" in "".join(given["overrides-there"]), given)
    return "nixos-init, a read-only /etc"


def check_sources():
    """`dynamicism.sources` gives layers in their order, bounds that are each source's own, and the agent with what it is told"""
    given, known = nix.value("sources"), nix.value("description")
    description = given["description"]
    order = [("config", False), ("now", False), ("law", True)]
    same([(one["name"], one["overHost"]) for one in description["sources"]], order, "the sources, the lowest first")
    rules = description["daemon"]["allow"]
    same({rule["source"]: rule["users"] for rule in rules.values()}, {"config": ["dynix-agent"], "now": ["dynix-agent"]}, "whose rules")
    agent = given["agent"]
    same((agent["host"], agent["groups"], sorted(agent["sources"])), ("web3", ["web"], ["config", "now"]), "agent.json")
    same(agent["sources"]["config"]["remotes"]["origin"]["branches"], {"main": "main", "testing": "testing-web3"}, "branches")
    same(agent["sources"]["now"]["kind"], "etcd", "a kind")
    unit = given["unit"]
    expect(unit["User"] == "dynix-agent" and unit["CapabilityBoundingSet"] == "" and "/bin/dynix-agent run" in unit["ExecStart"], unit)
    expect("may change nothing" in "".join(given["wrong"]), given["wrong"])
    with tempfile.TemporaryDirectory(prefix="dynix-") as directory:
        directory = Path(directory)
        static_files(known, directory / "static")
        (directory / "description.json").write_text(json.dumps(known["description"] | description))
        words = [dynix(), "generate", "--static-root", directory / "static", "--out", directory / "out"]
        words += ["--description", directory / "description.json"]
        made = subprocess.run(words, capture_output=True, text=True, check=False)
        same(made.returncode, 0, f"generate: {made.stderr}")
        plan = json.loads((directory / "out" / "plan.json").read_text())
    same(len(plan["sources"]), 3, "the plan's sources")
    return "3 sources, 2 of them the agent's"


def check_users():
    """a service of the users' managers is found in one line, and PipeWire's files are its own"""
    given = nix.value("users")
    [(unit, text)] = given["example"]["units"].items()
    same(unit, "user/example.service", "the unit that is looked at")
    expect("-example.json" in text, text)
    same(given["options"], ['services.pipewire.extraConfig.pipewire."10-rate"'], "PipeWire's options")
    same(list(given["pipewire"]["units"]), ["user/pipewire.service"], "PipeWire's unit")
    [(name, file)] = given["pipewire"]["files"].items()
    place = "/etc/pipewire/pipewire.conf.d/10-rate.conf"
    same((name, file["attach"], file["units"]), ("pipewire-10-rate.conf", {"bind": place}, ["user/pipewire.service"]), "its file")
    expect(file["static"].endswith("/share/pipewire/pipewire.conf.d/10-rate.conf"), file["static"])
    same(given["changed"], {"etc": ["pipewire"]}, "what a rebuild with other values changes besides")
    exempt = [(one["kind"], one["name"]) for one in given["pipewire"]["exempt"]]
    same(exempt, [("etc", "pipewire")], "of that, what dynix does in another way")
    expect(given["refused"], "a masked unit of the users is not refused")
    return "an example, and PipeWire as NixOS has it today"


def check_daemon():
    """`dynamicism.daemon` gives a socket and a service that `allow` is compiled for, and what is wrong there is refused"""
    given, known = nix.value("daemon"), nix.value("description")
    expect(given["absent"], "without dynamicism.daemon.enable there is a daemon")
    same((given["wantedBy"], given["restartIfChanged"]), (["sockets.target"], False), "dynix.socket, dynix.service")
    accepted = [name for name, refused in given["refused"].items() if not refused]
    same(accepted, [], "settings of the daemon that its types should refuse")
    with tempfile.TemporaryDirectory(prefix="dynix-") as directory:
        directory = Path(directory)
        static_files(known, directory / "static")

        def generate(daemon):
            (directory / "description.json").write_text(json.dumps(known["description"] | {"daemon": daemon}))
            words = [dynix(), "generate", "--static-root", directory / "static", "--out", directory / "out"]
            words += ["--description", directory / "description.json"]
            return subprocess.run(words, capture_output=True, text=True, check=False)

        made = generate(given["description"])
        same(made.returncode, 0, f"generate: {made.stderr}")
        plan = json.loads((directory / "out" / "plan.json").read_text())
        bounds = plan["daemon"]["allow"]["balancing"]["options"]["services.harmonia.settings.workers"]
        same((bounds["minimum"], bounds["maximum"], bounds["rate"]), (1, 64, "10/min"), "what is allowed")
        units = {unit: (directory / "out/lib/systemd/system" / unit).read_text() for unit in ("dynix.socket", "dynix.service")}
        for unit, line in [
            ("dynix.socket", "ListenStream=/run/dynix/dynix.sock"),
            ("dynix.service", "Type=notify"),
            ("dynix.service", "NoNewPrivileges=yes"),
        ]:
            expect(line in units[unit].splitlines(), f"no {line} in {unit}:\n{units[unit]}")
        for daemon, words in [
            (given["unknown"], "no dynamic-enabled service has such an option; the nearest are services.harmonia.settings"),
            (given["often"], "\"often\" is no rate"),
        ]:
            refused = generate(daemon)
            expect(refused.returncode != 0 and words in refused.stderr, f"generate says\n{refused.stderr}")
    return f"{len(given['refused'])} settings refused by type, 2 by generate"
