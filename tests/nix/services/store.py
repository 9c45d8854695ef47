"""What Nix would build, for the derivations that only write a file: those of writeText, of pkgs.formats, and their like.

A derivation (.drv) says everything that goes into its output. Here its output is made with the same tools, below a directory;
programs are not, of them only the store path is there, as an empty directory.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "formats"))

from tools import comparisons  # noqa: E402
from tools.nix import in_nix_root  # noqa: E402

STORE_PATH = re.compile(r"/nix/store/[0-9a-z]{32}-[-+._?=0-9A-Za-z]+")


class Unbuilt(Exception):
    """A derivation of which only building it could tell the output."""


class Tools:
    """What the generators run, as tests/formats has them."""

    def __init__(self):
        self.comparisons = comparisons()
        subprocess.run(["cargo", "build", "-q", "--example", "toml_lines"], check=True, cwd=ROOT)
        self.toml_lines = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug/examples/toml_lines"
        # Two at once would both install what is not there yet.
        for name in ("yaml_1_1/pyyaml", "toml/tomlkit"):
            self.rendered(name, "{}")

    def rendered(self, name, text):
        [result] = self.comparisons[name].run([{"input": json.loads(text)}])
        if "error" in result:
            raise Unbuilt(f"{name} refuses it: {result['error']}")
        return result["text"]

    def jq(self, text, program):
        with tempfile.TemporaryDirectory() as directory:
            return in_nix_root(directory, ["jq", program], text.encode()).decode()

    def yaml(self, text):
        return self.rendered("yaml_1_1/pyyaml", text)

    def toml(self, text, dialect):
        if dialect == "remarshal":
            return self.rendered("toml/tomlkit", text)
        line = json.dumps(json.loads(text)) + "\n"
        done = subprocess.run([self.toml_lines], input=line, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unbuilt(f"toml refuses it: {done.stderr.strip()}")
        return json.loads(done.stdout)


class Derivation:
    """A parsed .drv: ("Derive", outputs, inputs, sources, system, builder, arguments, environment)."""

    def __init__(self, text):
        # The format is that of Python's literals, but for the word in front.
        outputs, inputs, sources, _, _, _, environment = ast.literal_eval(text.removeprefix("Derive"))
        self.outputs = {name: path for name, path, _, _ in outputs}
        self.inputs = [path for path, _ in inputs]
        self.environment = dict(environment)
        self.attributes = json.loads(self.environment["__json"]) if "__json" in self.environment else self.environment


class Store:
    """The derivations below a state directory of nix-instantiate, and their outputs below another one."""

    def __init__(self, state, root, tools):
        self.derivations = Path(state) / "root/nix/store"
        self.root = Path(root)
        self.tools = tools
        self.parsed = {}
        self.outputs = {}

    def derivation(self, path):
        name = Path(path).name
        if name not in self.parsed:
            parsed = Derivation((self.derivations / name).read_text())
            self.parsed[name] = parsed
            self.outputs.update((output, (parsed, which)) for which, output in parsed.outputs.items())
        return self.parsed[name]

    def generated(self, measured):
        """The derivation that `dynix generate` would run in."""
        return next(self.derivation(one) for one in measured.inputs if one.endswith("-dynix-generated.drv"))

    def realise_all(self, text, inputs):
        """Every store path that a text names. What could not be built, by path."""
        for one in inputs:
            self.derivation(one)
        unbuilt = {}
        for path in sorted(set(STORE_PATH.findall(text))):
            self.realise(path, unbuilt)
        return unbuilt

    def realise(self, path, unbuilt):
        target = self.root / path.lstrip("/")
        if target.exists() or target.is_symlink() or path in unbuilt or path not in self.outputs:
            return
        derivation, _ = self.outputs[path]
        for one in derivation.inputs:
            self.derivation(one)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.build(path, derivation.attributes, target, unbuilt)
        except Unbuilt as why:
            unbuilt[path] = str(why)

    def build(self, path, attributes, target, unbuilt):
        command = attributes.get("buildCommand", "")
        if "text" in attributes and ('"$text"' in command or "textPath" in command or "passAsFile" in attributes):
            # writeTextFile: the file is the output, or below it.
            below = attributes.get("destination") or (re.search(r"n=\$out(/\S+)?", command) or ["", ""])[1] or ""
            file = Path(f"{target}{below}")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(attributes["text"])
            if attributes.get("executable"):
                file.chmod(0o755)
            for one in STORE_PATH.findall(attributes["text"]):
                self.realise(one, unbuilt)
            return
        if command == "cat $files > $out":
            # concatText
            files = attributes["files"].split()
            for one in files:
                self.realise(one, unbuilt)
            target.write_bytes(b"".join((self.root / one.lstrip("/")).read_bytes() for one in files))
            return
        shown = re.search(r"^\s*cat <\$(\w+) >\$out", command, re.MULTILINE)
        if shown and shown[1] in attributes:
            self.realise(attributes[shown[1]], unbuilt)
            shutil.copy(self.root / attributes[shown[1]].lstrip("/"), target)
            return
        copied = re.search(r"^\s*cp (/nix/store/\S+) \$out\n(\s*sed -i -e \"([^\"]+)\" \$out)?", command, re.MULTILINE)
        if copied:
            self.realise(copied[1], unbuilt)
            text = (self.root / copied[1].lstrip("/")).read_bytes()
            if copied[2]:
                text = subprocess.run(["sed", "-e", copied[3]], input=text, capture_output=True, check=True).stdout
            target.write_bytes(text)
            return
        link = re.search(r'ln -s "?(/nix/store/[^" ]+)"? "?\$\{?out', command)
        if link:
            self.realise(link[1], unbuilt)
            target.symlink_to(link[1])
            return
        copy = re.search(r"^\s*cp \$(\w+) \$out", command, re.MULTILINE)
        if copy and copy[1] in attributes:
            self.realise(attributes[copy[1]], unbuilt)
            shutil.copy(self.root / attributes[copy[1]].lstrip("/"), target)
            return
        echoed = re.fullmatch(r"\s*echo '(.*)' \| (\S+/bin/)?jq ('[^']*'|\.) > \$out\s*", command, re.DOTALL)
        if echoed:
            target.write_text(self.tools.jq(echoed[1].replace("'\\''", "'"), echoed[3].strip("'")))
            return
        if "value" in attributes:
            value = attributes["value"] if "__json" not in attributes and isinstance(attributes["value"], str) else None
            text = value if value is not None else json.dumps(attributes["value"])
            if re.search(r"jq \.value |jq \. ", command):
                target.write_text(self.tools.jq(text, "."))
            elif "json2yaml" in command:
                target.write_text(self.tools.yaml(text))
            elif "json2x toml" in command:
                target.write_text(self.tools.toml(text, "toml-rs"))
            elif "json2toml" in command:
                target.write_text(self.tools.toml(text, "remarshal"))
            else:
                raise Unbuilt(f"its builder is not one that is known here: {command.strip()[:80]}")
            self.named(text, unbuilt)
            return
        if "json" in attributes and "json2toml < config.json" in command and "toml2json" not in command:
            target.write_text(self.tools.toml(attributes["json"], "remarshal"))
            return
        raise Unbuilt("a program")

    def named(self, text, unbuilt):
        for one in STORE_PATH.findall(text):
            self.realise(one, unbuilt)
