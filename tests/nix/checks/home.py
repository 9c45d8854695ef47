"""What the module of home-manager makes of a home."""

import json
import os
import re
import sys
import tempfile
from pathlib import Path

from .common import HERE, Absent, command, dynix, expect, nix, same

sys.path.insert(0, str(HERE / "services"))

STORE_PATH = re.compile(r"/nix/store/[0-9a-z]{32}-[-+._?=0-9A-Za-z]+")


def arguments():
    tree = os.environ.get("DYNIX_HOME_MANAGER")
    if not tree:
        raise Absent("no home-manager: set DYNIX_HOME_MANAGER to its tree")
    current = os.environ.get("DYNIX_NIXPKGS_CURRENT")
    return [*nix.arguments(True), *(["--arg", "current", current] if current else []), "--arg", "homeManager", tree]


def value(attribute):
    words = ["--readonly-mode", "--eval", "--strict", "--json", "--option", "allow-import-from-derivation", "false"]
    return json.loads(nix.run(*words, HERE / "home", "-A", attribute, *arguments()))


def check_home():
    """a service of home-manager's and one of one's own are found and proven in one line, and nothing else of a home changes"""
    added = ["dynix/plan.json", "dynix/units"]
    added += [f"systemd/user/{one}" for one in ("basic.target.wants/dynix-activate.service", "default.target.wants/dynix-after-login.service")]
    same((value("new"), value("changed")), (added, {}), "files under ~/.config")
    activation = value("activation")
    same((activation["after"], activation["before"]), (["linkGeneration"], ["reloadSystemd"]), "the activation")
    description = value("description")
    same((description["scope"], description["verify"], value("unchecked")), ("user", "off", []), "a user's")
    with tempfile.TemporaryDirectory(prefix="dynix-") as directory:
        plan, stubs = generated(Path(directory), description)
    units = {name: list(service["units"]) for name, service in plan["services"].items()}
    same(units, {"calendar": ["radicale.service"], "pantalaimon": ["pantalaimon.service"]}, "the units")
    for service in plan["services"].values():
        for file in service["files"].values():
            same((file["format"]["name"], file["proof"]["level"]), ("ini", "bytes"), "how a file is written")
    for service, unit in units.items():
        expect(f"BindReadOnlyPaths=-%t/dynix/{service}/current/" in stubs[unit[0]], stubs)
    return "pantalaimon, and a calendar"


def generated(directory, description):
    """The plan and the drop-ins, from the files that Nix would write."""
    from store import Store  # noqa: PLC0415

    options = ["--store", directory / "root", "--option", "allow-import-from-derivation", "false"]
    [path] = nix.run(HERE / "home", "-A", "generated", *options, *arguments()).split()
    store = Store(directory, directory / "static", None)
    text = json.dumps(description)
    unbuilt = store.realise_all(text, [*store.derivation(path).inputs])
    wanted = [one for one in STORE_PATH.findall(text) if one.endswith(".conf")]
    same([one for one in wanted if one in unbuilt], [], "files that could not be written")
    (directory / "description.json").write_text(text)
    words = [dynix(), "generate", "--static-root", directory / "static", "--out", directory / "out"]
    command([*words, "--description", directory / "description.json"])
    units = (directory / "out/lib/systemd/user").glob("*.d/10-dynix.conf")
    plan = json.loads((directory / "out/plan.json").read_text())
    return plan, {one.parent.name.removesuffix(".d"): one.read_text() for one in units}
