"""What is generated of an evaluated system, and dynix at work on it."""

import json
import re
import shlex
import shutil
import subprocess

from .common import Absent, FIXTURES, HERE, command, expect, nix, same


def as_in_fixtures(given):
    """The same with the store paths that the fixtures have."""
    services = json.loads((FIXTURES / "services" / "static.json").read_text())["services"]
    texts = {name: json.dumps(service) for name, service in services.items()}
    find = lambda name, pattern: re.search(f"/nix/store/[0-9a-z]{{32}}-{pattern}", texts[name]).group()
    paths = {
        given["packages"]["gotosocial"]: find("gotosocial", "gotosocial-[0-9.]+"),
        given["packages"]["distccd"]: find("distccd", "distcc-[0-9.]+"),
        given["packages"]["masquerade"]: find("distccd", "distcc-masq"),
        given["packages"]["harmonia"]: find("harmonia", "harmonia-[0-9.]+"),
    }
    for path in given["static"]:
        name = path[path.index("-") + 1 :]
        owner = next(one for one in texts if f"-{name}" in texts[one])
        paths[path] = find(owner, re.escape(name))
    if len(given["packages"]["gotosocial"]) != len(paths[given["packages"]["gotosocial"]]):
        raise Absent(f"{given['packages']['gotosocial']}: of another length than in the fixtures, lines would be broken elsewhere")

    def mapped(text, back=False):
        for ours, theirs in paths.items():
            text = text.replace(theirs, ours) if back else text.replace(ours, theirs)
        return text

    return services, mapped


def static_files(given, directory):
    """What Nix generates, below a directory. Of the configuration files the text comes from the fixtures, where Nix's own
    generators wrote it for the same values."""
    services, mapped = as_in_fixtures(given)
    for path, known in given["static"].items():
        text = known.get("text")
        if text is None:
            same(known["generated"], path, "the file that was found in the unit, and the one that its module generates")
            recorded = services[known["fixture"]]
            if json.loads(mapped(json.dumps(known["value"]))) != recorded["settings"]:
                raise Absent(f"this tree gives {known['fixture']} other settings than the fixtures have")
            text = mapped(recorded["config_file"]["content"], back=True)
        file = directory / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def evaluator(attribute):
    """An evaluator, as the plan has it, of a system of checks.nix."""
    arguments = nix.arguments(True)
    given = "".join(f"{name} = {value}; " for name, value in zip(arguments[1::3], arguments[2::3]))
    return {
        "command": [*nix.words, "--eval", "--strict", "--json"],
        "arguments": f"{{ inherit ((import {HERE}/checks.nix {{ {given}}}).{attribute}) config pkgs; }}",
    }


def overridden(program, directory, plan, given):
    """The mission's overrides: the files are those that Nix generates for the same values."""
    _, mapped = as_in_fixtures(given)
    words = [program, "--root", directory / "root", "--plan", plan, "--overrides", directory / "overrides.nix"]
    (directory / "overrides.nix").unlink(missing_ok=True)
    shutil.rmtree(directory / "root", ignore_errors=True)
    (directory / "root").mkdir()
    fixtures = ["gotosocial-application-name", "harmonia-workers-and-rate", "distccd-jobs-and-loglevel"]
    cases = [json.loads((FIXTURES / "services" / f"{name}.json").read_text()) for name in fixtures]
    for case in cases:
        for path, value in case["overrides"]:
            command([*words, "append", path, value if isinstance(value, str) else json.dumps(value)])
    command([*words, "apply"])
    run = directory / "root" / "run" / "dynix"
    for case, name in zip(cases, ["gotosocial", "harmonia"]):
        file = case["services"][name]["config_file"]
        text = (run / name / "current" / file["name"]).read_text()
        same(mapped(text).splitlines(), file["content"].splitlines(), f"{name}'s file with {case['overrides']}")
    flags = (run / "distccd" / "current" / "flags").read_text()
    script = cases[2]["services"]["distccd"]["script"]
    command_line = script[script.index("/bin/distccd") :].replace("\\\n", " ").split()[1:]
    same(shlex.split(flags.partition("=")[2])[0].split(), command_line, "distccd's words")


def append(program, directory, service, path, value):
    """Appends one value to a log of its own, on a plan of one service's description."""
    plan, log = directory / "one.json", directory / "one.nix"
    log.unlink(missing_ok=True)
    for file in service["files"].values():
        file["format"]["dialect"] = "ruamel"
    plan.write_text(json.dumps({"version": 1, "services": {"gotosocial": service}}))
    words = [program, "--root", directory, "--plan", plan, "--overrides", log, "append", path, value]
    result = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    recorded = log.exists() and "set." in log.read_text()
    same(recorded, result.returncode == 0, "a value is recorded when it is taken, and only then")
    return result


def pinned(program, directory):
    """A port that the firewall does not follow is refused, with the reason; so is one that is none."""
    port = "services.gotosocial.settings.port"
    services = nix.value("gotosocial")
    result = append(program, directory, services["opened"], port, "80")
    same(result.returncode, 3, f"exit code of a pinned port's new value ({result.stderr})")
    expect("openFirewall" in result.stderr, f"the refusal does not say why:\n{result.stderr}")
    for value, code in {"8081": 0, "80000": 3, "http": 3}.items():
        result = append(program, directory, services["low"], port, value)
        same(result.returncode, code, f"exit code of port {value} ({result.stderr})")


def marked(program, directory):
    """Where a path is marked, only that may change."""
    service = nix.value("marks")["below"]
    for name, code in {"application-name": 0, "host": 3}.items():
        result = append(program, directory, service, f"services.gotosocial.settings.{name}", "new")
        same(result.returncode, code, f"exit code of a new {name} ({result.stderr})")


def own(generate, directory, static):
    """A service of a user's own, with a check, a health probe and reload."""
    taken = nix.value("own")
    service = taken["taken"]
    file = static / service["files"]["own.json"]["static"].lstrip("/")
    file.write_text(taken["text"])
    (directory / "own.json").write_text(json.dumps({"version": 1, "services": {"own": service}}))
    command([*generate, "--description", directory / "own.json", "--out", directory / "own"])
    plan = json.loads((directory / "own" / "plan.json").read_text())["services"]["own"]
    same(plan["units"]["own.service"]["onChange"], "reload", "onChange")
    same(plan["health"]["probe"], {"http": "http://127.0.0.1:5000/ready"}, "probe")
    same(plan["health"]["grace"], 1.5, "grace")
