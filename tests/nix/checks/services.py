"""The three services: their descriptions, and what is generated of them."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from .common import FIXTURES, ROOT, SERVICES, WRITE, command, dynix, expect, nix, same
from .generated import as_in_fixtures, marked, overridden, own, pinned, static_files


def check_services():
    """ports, marks, a service of one's own, and what is wrong with some"""
    gotosocial = nix.value("gotosocial")
    schema = gotosocial["opened"]["options"]["services.gotosocial.settings"]["schema"]
    pin = schema["allOf"][-1]["properties"]["port"]
    same(pin["const"], 8080, "the pinned port")
    expect("openFirewall" in pin["description"], f"the pin does not say why: {pin}")
    for name in ("low", "completed"):
        expect("const" not in json.dumps(gotosocial[name]), f"the port is pinned: {name}")

    marks = nix.value("marks")
    dynamic = lambda service: service["options"]["services.gotosocial.settings"]["dynamic"]
    same(dynamic(marks["below"]), [["application-name"]], "a mark below an option")
    same(dynamic(marks["named"]), [["log-level"]], "a named path")
    whole = {name.removeprefix("services.distccd."): option["dynamic"] for name, option in marks["whole"].items()}
    same(whole.pop("logLevel"), [[]], "a mark on a whole option")
    expect(all(paths == [] for paths in whole.values()), f"unmarked options may change: {whole}")

    own = nix.value("own")
    file = own["taken"]["files"]["own.json"]
    same(file["format"]["name"], "json", "the format by the file's name")
    same(file["attach"]["bind"], file["static"], "where the file is bound")
    expect(file["static"].endswith("-own.json"), f"the file that the unit names: {file['static']}")
    for name, refused in own["refused"].items():
        expect(refused, f"{name} is not refused")

    same(
        nix.value("renamed"),
        {
            "old.settings": {
                "static": {"workers": 4},
                "schema": {"type": "object", "additionalProperties": {"type": "integer"}},
                "dynamic": None,
                "definedIn": [],
            }
        },
        "a renamed option",
    )

    apply = nix.value("apply")
    expect(apply["plain"], "applyDynamicConfiguration { } is not what the system has")
    expect(apply["base"], "applyDynamicConfiguration { baseConfiguration } is not what that system has")
    expect("apply-dynamic-configuration --overrides /etc/nixos/its-dynamic.nix" in apply["new"], apply["new"])

    overridden = nix.value("overridden")
    same(overridden["harmonia"], {"workers": 20, "max_connection_rate": 256}, "the log as definitions")
    same(
        overridden["distccd"],
        {"logLevel": "error", "allowedClients": ["10.0.0.0/8"], "maxJobs": 12},
        "the log as definitions",
    )
    return f"{len(own['refused'])} mistakes refused"


def check_applied():
    """options that change their values on the way: what a rebuild would change once more is refused"""
    applied = nix.value("applied")
    settings = applied["inner"]["services.applied.settings"]
    same(settings["static"], {"plain": 1, "upper": "B"}, "the value as it is in the configuration")
    upper = settings["schema"]["properties"]["upper"]
    same(upper["unchecked"], "its value goes through a function (apply)", "an option within that has an apply")
    same(applied["stated"]["services.applied.whole"]["static"], "a", "the value that goes into a stated function")
    same(applied["beside"]["services.applied.settings"]["dynamic"], [["plain"]], "what may change beside it")
    for name, refused in applied["refused"].items():
        expect(refused, f"{name} is not refused")
    return f"{len(applied['refused'])} refused"


def check_exporters():
    """the flags of an exporter are the words that systemd makes of them, and its port stays where the firewall follows it"""
    given, program = nix.value("exporters"), dynix()
    port = "services.prometheus.exporters.node.port"
    with tempfile.TemporaryDirectory(prefix="dynix-") as directory:
        directory = Path(directory)

        def generate(name):
            description = directory / f"{name}.json"
            description.write_text(json.dumps({"version": 1, "services": {"prometheus-node-exporter": given[name]}}))
            words = [program, "generate", "--description", description, "--out", directory / name]
            return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)

        same(generate("quoted").returncode, 0, "the exit code for quoted flags")
        plan = json.loads((directory / "quoted" / "plan.json").read_text())["services"]["prometheus-node-exporter"]
        words = plan["files"]["flags"]["attach"]["environment"]["built"]
        same(words[-3:], ["--a=b c", "--d", "--e=^/(f|g)($|/)"], "the words")
        same(generate("opened").returncode, 0, "the exit code for an open port")
        plan = json.loads((directory / "opened" / "plan.json").read_text())["services"]["prometheus-node-exporter"]
        pinned = plan["options"][port]["schema"]["allOf"][-1]
        expect(pinned["const"] == 9100 and "openFirewall" in pinned["description"], f"the port is not pinned: {pinned}")
        completed = given["completed"]["options"][port]["schema"]
        expect("const" not in json.dumps(completed), f"the port is pinned although the firewall follows: {completed}")
        expanded = generate("expanded")
        same(expanded.returncode, 1, "the exit code for a specifier")
        expect("systemd would expand '%'" in expanded.stderr, f"the refusal does not say why:\n{expanded.stderr}")
    return "4 systems"


def check_generate():
    """the description goes through `dynix generate`, every file proven byte by byte; overrides give what Nix would"""
    given = nix.value("description")
    same(given["unchecked"], [], "what can't be checked of the three services")
    program = dynix()
    with tempfile.TemporaryDirectory(prefix="dynix-") as directory:
        directory = Path(os.environ.get("DYNIX_NIX_OUT", directory))
        directory.mkdir(parents=True, exist_ok=True)
        description, static, out = directory / "description.json", directory / "static", directory / "generated"
        description.write_text(json.dumps(given["description"], indent=2) + "\n")
        static_files(given, static)
        generate = [program, "generate", "--static-root", static, "--dynix", "/run/current-system/sw/bin/dynix"]
        command([*generate, "--description", description, "--out", out])
        proofs = json.loads((out / "proof.json").read_text())
        levels = {f"{name}: {file}": proof["level"] for name in proofs for file, proof in proofs[name].items()}
        expect(set(levels.values()) == {"bytes"}, f"levels of proof: {levels}")
        stubs = {file.parent.name: file.read_text() for file in out.glob("lib/systemd/system/*.d/10-dynix.conf")}
        same(sorted(stubs), [f"{name}.service.d" for name in SERVICES], "stubs")
        for name in ("gotosocial", "harmonia"):
            path = next(one for one in given["static"] if given["static"][one].get("fixture") == name)
            file = path[path.index("-") + 1 :]
            line = f"BindReadOnlyPaths=-/run/dynix/{name}/current/{file}:{path}"
            expect(line in stubs[f"{name}.service.d"].splitlines(), f"no line {line} in\n{stubs[f'{name}.service.d']}")
        overridden(program, directory, out / "plan.json", given)
        pinned(program, directory)
        marked(program, directory)
        own(generate, directory, static)
    return f"{len(levels)} files proven, {len(stubs)} stubs"


def check_found():
    """the settings, units and files of services of which nothing is said but their names are found"""
    given, known = nix.value("found"), nix.value("description")
    program = dynix()
    same(sorted(given["candidates"]), ["gotosocial", "harmonia"], "services that could be dynamic")
    within = given["within"]["options"]["services.instances.one.settings"]
    same(within["static"], {"workers": 4}, "the value of an option within a value")
    same(list(given["within"]["find"]["units"]), ["instances-one.service", "several-one.service"], "units of the file that declares the option")
    same(list(given["several"]["options"]), ["services.several.instances.one.settings"], "the settings of enabled instances")
    lines = given["several"]["dropIns"]["several-one.service"].splitlines()
    values = ["services.several.instances.one.settings.workers", 'services.several["a b"]']
    texts = [f'# Restart={{% if {one} is none %}}null{{% else %}}{{{{ {one} | default("") }}}}{{% endif %}}' for one in values]
    same(lines, ["[Unit]", *texts], "what restarts a unit")
    with tempfile.TemporaryDirectory(prefix="dynix-") as directory:
        directory = Path(directory)
        static_files(known, directory / "static")
        (directory / "description.json").write_text(json.dumps(given["both"]))
        command([program, "generate", "--static-root", directory / "static", "--description", directory / "description.json", "--out", directory / "out"])
        services = json.loads((directory / "out" / "plan.json").read_text())["services"]
    for name in ("gotosocial", "harmonia"):
        said = known["description"]["services"][name]
        found = services[name]
        same(sorted(found["options"]), sorted(said["options"]), f"options of {name}")
        same(list(found["units"]), list(said["units"]), f"units of {name}")
        place = lambda service: {file: (one["attach"], one["format"]["name"]) for file, one in service["files"].items()}
        same(place(found), place(said), f"files of {name}")
    _, mapped = as_in_fixtures(known)
    both = json.loads(mapped(json.dumps(given["both"])))
    for service in both["services"].values():
        for option in service["options"].values():
            option["definedIn"] = []
    both = {"version": 1, "services": both["services"]}
    fixture = FIXTURES / "find.json"
    if WRITE:
        fixture.write_text(json.dumps(both, indent=2, sort_keys=True) + "\n")
    else:
        same(json.loads(fixture.read_text()), both, "tests/fixtures/find.json; run tests/nix/run --write")
    return "2 files by what their units lead to, 1 option within another's value"


def check_bundled():
    """descriptions/, which the demo and the machine tests run, is what the modules say, with the fixtures' store paths"""
    given = nix.value("description")
    _, mapped = as_in_fixtures(given)
    for name in SERVICES:
        service = json.loads(mapped(json.dumps(given["description"]["services"][name])))
        for option in service["options"].values():
            # Where a module of the tree lies says nothing here.
            modules = {Path(module).name for module in nix.modules}
            option["definedIn"] = [
                file for file in option["definedIn"] if not file.startswith("nixos/") and file not in modules
            ]
        description = {"version": 1, "services": {name: service}}
        file = ROOT / "descriptions" / f"{name}.json"
        if WRITE:
            file.write_text(json.dumps(description, indent=2, sort_keys=True) + "\n")
        else:
            same(json.loads(file.read_text()), description, f"{file.name}; run tests/nix/run --write")
    return "written" if WRITE else f"{len(SERVICES)} services"
