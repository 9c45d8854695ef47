"""The package, the VM tests, the documentation, and what evaluation costs."""

import difflib
import json
import re
import subprocess
import tempfile
import tomllib
from pathlib import Path

from .common import ROOT, WRITE, Wrong, command, dynix, expect, nix, same


def check_vm_tests():
    """the VM tests instantiate, and their scripts are Python"""
    given = nix.value("vm")
    count = 0
    for name, test in given.items():
        try:
            compile(test["script"], f"tests/nixos/{name}", "exec")
        except SyntaxError as error:
            raise Wrong(f"the script of {name}: {error}") from None
        says = any(word in test["script"] for word in ("dynix ", "dynamicism"))
        expect(says and "subtest(" in test["script"], f"the script of {name} tests nothing")
        count += len(test["derivations"])
    said = f"{', '.join(given)}: {count} derivations"
    instead = {test["instead"] for test in given.values()} - {None}
    return f"{said}, of their machines alone: this nixpkgs has no testers.runNixOSTest" if instead else said


def check_package():
    """package.nix, default.nix, flake.nix and shell.nix fit together"""
    given = nix.value("packaging", needs_nixos=False)
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())
    manifest = cargo["package"] | cargo["workspace"]["package"]
    same(given["package"]["pname"], manifest["name"], "pname")
    same(given["package"]["version"], manifest["version"], "version")
    same(given["package"]["mainProgram"], "dynix", "meta.mainProgram")
    expect({"distccd", "gotosocial", "harmonia"} <= set(given["tests"]), f"tests: {given['tests']}")
    functions = {"override", "overrideDerivation"} & set(given["tests"])
    expect(not functions, f"among the tests are functions, which `nix flake check` and linkFarm refuse: {functions}")
    flake = given["flake"]
    same(given["all"], given["tests"], "allTests")
    same(flake["tests"], given["tests"], "the flake's tests")
    same(flake["checks"], sorted([*given["tests"], "dynix"]), "the flake's checks")
    same(flake["package"], "dynix", "the flake's default package")
    expect(flake["module"] and flake["mkDynamic"], "nixosModules.default and lib.mkDynamic of the flake")
    locked = json.loads((ROOT / "flake.lock").read_text())["nodes"]["nixpkgs"]
    expect(len(locked["locked"]["rev"]) == 40, "the lock has no revision")
    expect(locked["locked"]["narHash"].startswith("sha256-"), "the lock has no hash")
    original = "github:{owner}/{repo}/{ref}".format(**locked["original"])
    same(original, flake["input"], "the input that is locked, and the one that flake.nix has")
    # The crate's sources, all of them and nothing else.
    tracked = command(["git", "-C", ROOT, "ls-files"]).splitlines()
    wanted = {file for file in tracked if file.startswith(("src/", "templates/", "descriptions/", "tests/suite/"))}
    missing = sorted(file for file in wanted | {"Cargo.toml", "Cargo.lock"} if file not in given["sources"])
    same(missing, [], "sources that the package lacks")
    expect(not any(file.startswith(("modules/", "tests/nix")) for file in given["sources"]), "sources of the NixOS side")
    return f"{len(given['sources'])} source files, {len(given['tests'])} tests"


def check_cost():
    """three dynamic services cost at most 3% of the system's evaluation, verify twice of it, prove 1.8 times"""

    def measure(attribute):
        with tempfile.NamedTemporaryFile(mode="r", prefix="dynix-", suffix=".json") as file:
            # Through env, so that a wrapper of nix-instantiate passes it on.
            words = nix.words
            nix.words = [*words[:-1], "env", "NIX_SHOW_STATS=1", f"NIX_SHOW_STATS_PATH={file.name}", words[-1]]
            try:
                nix.answers.pop(attribute, None)
                nix.value(attribute)
            finally:
                nix.words = words
            return json.load(file)

    nix.value("services")
    before, after = ([measure(f"toplevel.{name}") for _ in range(3)] for name in ("static", "dynamic"))
    work = lambda runs: {key: runs[0][key] for key in ("nrThunks", "nrFunctionCalls")}
    cpu = lambda runs: min(run["cpuTime"] for run in runs)
    shares = {key: work(after)[key] / work(before)[key] - 1 for key in work(before)}
    said = ", ".join(f"{key} +{share:.1%}" for key, share in shares.items())
    expect(max(shares.values()) <= 0.03, f"over 3%: {said}")
    whole = measure("toplevel.independent")
    said = [f"{said}; processor time {cpu(before):.2f} s and {cpu(after):.2f} s"]
    for name, most in [("verification", 2.0), ("proof", 1.8)]:
        one = measure(name)
        ratios = {key: one[key] / whole[key] for key in ("nrThunks", "nrFunctionCalls")}
        said.append(f"{name} " + ", ".join(f"{key} {ratio:.2f}x" for key, ratio in ratios.items()))
        expect(max(ratios.values()) <= most, f"over {most}x: {said[-1]}")
    # Processor time is only said: it varies by more than what is measured.
    return "; ".join(said)


def check_docs():
    """docs/options.md is what the modules say; code in the docs parses, and what they refer to is there"""
    options = ROOT / "docs" / "options.md"
    text = nix.value("docs", needs_nixos=False)
    if WRITE:
        options.write_text(text)
    elif options.read_text() != text:
        diff = difflib.unified_diff(options.read_text().splitlines(), text.splitlines(), "docs/options.md", "modules", lineterm="")
        raise Wrong("it is not; run tests/nix/run --write\n" + "\n".join(diff))
    tutorial = (ROOT / "docs" / "tutorial" / "greeter.nix").read_text()
    expect(f"```nix\n{tutorial}```" in (ROOT / "docs" / "tutorial.md").read_text(), "docs/tutorial.md has another greeter.nix")
    snippets = links = 0
    with tempfile.TemporaryDirectory(prefix="dynix-") as directory:
        for page in [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "howto").glob("*.md")]:
            for snippet in re.findall(r"^```nix\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
                snippets += 1
                (Path(directory) / f"{page.stem}-{snippets}.nix").write_text(snippet)
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
                links += 1
                expect((page.parent / target.strip()).exists(), f"{page.relative_to(ROOT)} links to {target}, which is not there")
        nix.run("--parse", *sorted(Path(directory).iterdir()))
    return f"{text.count(chr(10) + '## ')} options, {snippets} pieces of Nix, {links} links"


def check_tutorial():
    """the tutorial's service does what the tutorial says"""
    service = nix.value("tutorial")
    program = dynix()
    with tempfile.TemporaryDirectory(prefix="dynix-") as directory:
        directory = Path(directory)
        file = service["files"]["greeter.toml"]
        static = directory / "static" / file["static"].lstrip("/")
        static.parent.mkdir(parents=True)
        # What Nix writes for it; that the writers agree is what check_generate shows.
        static.write_text('greeting = "hello"\nport = 8000\n')
        description = directory / "description.json"
        description.write_text(json.dumps({"version": 1, "services": {"greeter": service}}))
        out, root = directory / "out", directory / "root"
        root.mkdir()
        command([program, "generate", "--description", description, "--static-root", directory / "static", "--out", out])
        words = [program, "--root", root, "--plan", out / "plan.json", "--overrides", directory / "dynamic.nix"]
        command([*words, "append", "services.greeter.settings.greeting", "good evening", "--apply"])
        text = (root / "run/dynix/greeter/current/greeter.toml").read_text()
        same(text, 'greeting = "good evening"\nport = 8000\n', "greeter.toml")
        refused = [*words, "append", "services.greeter.settings.port", "80000"]
        result = subprocess.run([str(word) for word in refused], capture_output=True, text=True, check=False)
        expected = 'error: services.greeter.settings.port = 80000: expected integer between 0 and 65535'
        same(result.stderr.splitlines()[0], expected, "the refusal")
        expect(expected in (ROOT / "docs" / "tutorial.md").read_text(), "the tutorial shows another refusal")
        for verb in ("status", "diff"):
            shown = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "2026-11-21T10:00:00Z", command([*words, verb]))
            block = "".join(f"    {line}\n" for line in shown.splitlines())
            expect(block in (ROOT / "docs" / "tutorial.md").read_text(), f"the tutorial shows another {verb} than\n{block}")
    return "generate, append, apply, status and diff"
