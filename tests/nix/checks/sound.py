"""verify and prove, on evaluated systems."""

import json
import subprocess
import tempfile
from pathlib import Path

from .common import command, dynix, expect, nix, same
from .generated import evaluator, static_files


def verified(attribute, sets):
    """Looks at sets of values on a system of checks.nix."""
    with tempfile.TemporaryDirectory(prefix="dynix-") as directory:
        directory = Path(directory)
        words = [*on_system(attribute, directory), "--overrides"]
        for number, (overrides, expected) in enumerate(sets):
            log = directory / f"{number}.nix"
            for path, value in overrides.items():
                command([*words, log, "append", f"services.{path}", "--json", json.dumps(value)])
            result = subprocess.run([*words, log, "verify", "--json"], capture_output=True, text=True, check=False)
            expect(result.returncode in (0, 6), f"verify of {overrides}: {result.stdout}{result.stderr}")
            findings = json.loads(result.stdout)["findings"]
            told = [" ".join([one["kind"], one["name"], *one["changes"]]) for one in findings]
            same(told, expected, f"what a rebuild would change besides {overrides}")
            same(result.returncode, 6 if expected else 0, f"exit code for {overrides}")


def check_verify():
    """`dynix verify` names what a rebuild would change besides, and nothing else"""
    verified("flowing", VERIFIED)
    return f"{len(VERIFIED)} sets of values"


def check_unsaid():
    """of services of which nothing is said but their names, verify and prove say what of those that are described"""
    verified("unsaid", UNSAID)
    with tempfile.TemporaryDirectory(prefix="dynix-") as directory:
        proof = json.loads(command([*on_system("unsaid", Path(directory)), "prove", "--json"]))
        flows = flows_of(proof)
        own = {"scripted.settings.main.nice": {"unit": ["scripted.service"]}, "scripted.settings.main.workers": {}}
        same({path: flows[path] for path in own}, own, "what flows on")
    return f"{len(UNSAID)} sets of values"


def check_prove():
    """`dynix prove` finds what values flow into, path by path, and `dynix append` says it"""
    with tempfile.TemporaryDirectory(prefix="dynix-") as directory:
        words = [*on_system("flowing", Path(directory)), "--overrides", Path(directory) / "log.nix"]
        proof = json.loads(command([*words, "prove", "--json"]))
        flows = flows_of(proof)
        admin = {"package": ["gotosocial-admin"]}
        gotosocial = {path.split(".")[2]: one for path, one in flows.items() if path.startswith("gotosocial")}
        same(gotosocial.pop("port"), {**admin, "unit": ["firewall.service", "gotosocial.service"]}, "the port")
        same(gotosocial.pop("host"), {**admin, "assertion": ["assertions"]}, "the host")
        name = gotosocial.pop("application-name")
        same({**name, "activation": None}, {**admin, "user": ["gotosocial"], "activation": None}, "the name")
        same([path for path, one in gotosocial.items() if one != admin], [], "other settings of gotosocial that flow on")
        rest = {path: one for path, one in flows.items() if not path.startswith("gotosocial")}
        expected = {
            "distccd.jobTimeout": {},
            "distccd.maxJobs": {"unit": ["distccd.service"]},
            "harmonia.settings.max_connection_rate": {"assertion": ["assertions"]},
            "harmonia.settings.workers": {"etc": ["harmonia-workers"]},
        }
        same({path: rest[path] for path in expected}, expected, "what flows on")
        said = subprocess.run(
            [*words, "append", "services.harmonia.settings.workers", "20"], capture_output=True, text=True, check=True
        ).stderr
        line = "services.harmonia.settings.workers also decides /etc/harmonia-workers"
        expect(line in said.splitlines(), f"append says\n{said}")
    with tempfile.TemporaryDirectory(prefix="dynix-") as directory:
        proof = json.loads(command([*on_system("independent", Path(directory)), "prove", "--json"]))
        same({name: one["flows"] for name, one in proof["services"].items()}, {"distccd": {}, "harmonia": {}}, "flows")
    return f"{proof['parts']} parts, {len(flows)} paths"


def flows_of(proof):
    """What each path flows into, without what stands for other parts."""
    flows = {".".join(path["path"][1:]): path["flows"] for one in proof["services"].values() for path in one["paths"]}
    return {path: {kind: names for kind, names in one.items() if kind not in ("rest", "warning")} for path, one in flows.items()}


def on_system(attribute, directory):
    """The words for dynix on a system of checks.nix, generated."""
    given = nix.value("description")
    static_files(given, directory / "static")
    for path, text in (nix.value("unsaidTexts") if attribute == "unsaid" else {}).items():
        (directory / "static" / path.lstrip("/")).write_text(text)
    services = nix.value(f"{attribute}Services")
    description = {**given["description"], "services": services, "evaluator": evaluator(attribute)}
    (directory / "description.json").write_text(json.dumps(description))
    out = directory / "generated"
    generate = [dynix(), "generate", "--static-root", directory / "static"]
    command([*generate, "--description", directory / "description.json", "--out", out])
    (directory / "root").mkdir()
    return [dynix(), "--root", directory / "root", "--plan", out / "plan.json"]

# Values of services with their settings in a file that a script names, in variables and in flags.
UNSAID = [
    ({"scripted.settings.main.workers": 9, "told.environment.TOLD_NAME": "b \"c\" $d", "flagged.settings.port": 9}, []),
    ({"told.environment.TOLD_MORE": "c", "flagged.settings.more": "it's", "flagged.settings.verbose": False}, []),
    ({"scripted.settings.main.nice": 5}, ["unit scripted.service Nice 1 -> 5"]),
    # NixOS leaves systemd a specifier there.
    ({"told.environment.TOLD_NAME": "100%n"}, ['unit told.service Environment with "TOLD_NAME=100%n"']),
]
# Values, and what a rebuild with them would change besides.
VERIFIED = [
    ({"harmonia.settings.priority": 3, "distccd.maxJobs": 14}, []),
    ({"gotosocial.settings.log-level": "debug"}, []),
    ({"harmonia.settings.workers": 20}, ["etc harmonia-workers 4 -> 20"]),
    ({"gotosocial.settings.port": 80}, ["unit firewall.service allowedTCPPorts 8080 -> 80"]),
    (
        {"gotosocial.settings.application-name": "yay!"},
        ["user gotosocial description gotosocial-for-machine -> yay!"],
    ),
    ({"distccd.maxJobs": 17, "distccd.jobTimeout": 5}, ["unit distccd.service Nice 5 is new"]),
    (
        {"harmonia.settings.max_connection_rate": 1000},
        ["assertion  the uplink takes less than 1000 connections a second"],
    ),
]
