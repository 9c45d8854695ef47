"""remarshal: the writer behind YAML, and behind TOML in some revisions of nixpkgs."""

import json
import subprocess

from . import HERE, Comparison, python_with


def remarshal(version, to, document):
    def run(cases):
        python = python_with(f"remarshal=={version}")
        lines = "".join(json.dumps({"to": to, "input": case["input"]}) + "\n" for case in cases)
        command = [python, HERE / "remarshal_lines.py"]
        done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
        return [json.loads(line) for line in done.stdout.split("\n")[:-1]]

    return Comparison(run, document)


def toml(documents):
    return {}, documents.attrs(documents.random.randint(1, 5), nulls=False)


def yaml(documents):
    return {}, documents.document()


COMPARISONS = {
    "toml/tomlkit": remarshal("1.3.0", "toml", toml),
    "toml/tomlkit-0.17": remarshal("0.17.1", "toml", toml),
    "yaml_1_1/pyyaml": remarshal("0.17.1", "yaml", yaml),
    "yaml_1_1/ruamel": remarshal("1.3.0", "yaml-1.1", yaml),
    "yaml_1_2/ruamel": remarshal("1.3.0", "yaml-1.2", yaml),
    "yaml_1_2/ruamel-headerless": remarshal("1.3.0", "yaml", yaml),
}
