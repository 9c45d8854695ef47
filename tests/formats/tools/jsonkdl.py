"""The crate jsonkdl, as pkgs.formats.kdl runs it."""

import json
import subprocess
import tempfile
from pathlib import Path

from . import TARGET, Comparison, Missing

VERSION = "1.1.0"


def jsonkdl():
    """The program, installed below target/ on the first run."""
    home = TARGET / "formats" / f"jsonkdl-{VERSION}"
    program = home / "bin" / "jsonkdl"
    if not program.exists():
        command = ["cargo", "install", "-q", "--locked", "--root", home, "--target-dir", home / "target"]
        try:
            subprocess.run([*command, "--version", VERSION, "jsonkdl"], check=True)
        except subprocess.CalledProcessError as error:
            raise Missing(f"jsonkdl {VERSION}: {error}") from error
    return program


def run(cases):
    program, results = jsonkdl(), []
    with tempfile.TemporaryDirectory() as directory:
        source, target = Path(directory, "value"), Path(directory, "out")
        for case in cases:
            source.write_text(json.dumps(case["input"], ensure_ascii=False))
            version = case["parameters"].get("version", 2)
            command = [program, f"--kdl-v{version}", "--force", "--", source, target]
            done = subprocess.run(command, capture_output=True, text=True)
            # Not read_text: it makes one kind of newline of all.
            results.append({"error": done.stderr} if done.returncode else {"text": target.read_bytes().decode()})
    return results


def scalar(documents):
    value = documents.scalar()
    if documents.random.random() < 0.2:
        return {"type": documents.random.choice([None, documents.name()]), "value": value}
    return value


def node(documents, depth):
    pick, maybe = documents.random.choice, lambda: documents.random.random() < 0.5
    node = {"name": documents.name()}
    if maybe():
        node["type"] = pick([None, documents.name()])
    if maybe():
        node["arguments"] = [scalar(documents) for _ in range(documents.size())]
    if maybe():
        node["properties"] = documents.attrs(0, value=lambda: scalar(documents))
    if maybe():
        node["children"] = nodes(documents, depth - 1) if depth > 0 else []
    return node


def nodes(documents, depth):
    return [node(documents, depth) for _ in range(documents.size())]


def document(documents):
    value = nodes(documents, 2)
    if documents.random.random() < 0.05:
        # No document: a value of JSON, or something that is no node.
        value = documents.random.choice([documents.document(), [documents.value(1)], [{"name": "x", "arguments": [[]]}]])
    return documents.random.choice([{"version": 1}, {"version": 2}, {}]), value


COMPARISONS = {"kdl": Comparison(run, document)}
