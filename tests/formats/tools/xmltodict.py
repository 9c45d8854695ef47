"""xmltodict and then xmllint, as pkgs.formats.xml runs them."""

import json
import shutil
import subprocess

from . import HERE, Comparison, Missing, python_with


def xmltodict(version):
    def run(cases):
        if not shutil.which("xmllint"):
            raise Missing("xmllint is not in PATH")
        python = python_with(f"xmltodict=={version}")
        wanted = [{"input": case["input"], "full_document": case["parameters"].get("withHeader", True)} for case in cases]
        lines = "".join(json.dumps(one) + "\n" for one in wanted)
        command = [python, HERE / "xmltodict_lines.py"]
        done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
        return [checked(json.loads(line)) for line in done.stdout.split("\n")[:-1]]

    return Comparison(run, document)


def checked(result):
    if "text" in result:
        command = ["xmllint", "--noout", "-"]
        done = subprocess.run(command, input=result["text"].encode(), capture_output=True)
        if done.returncode:
            return {"error": done.stderr.decode(errors="replace")}
    return result


def scalar(documents):
    value = documents.scalar()
    # Most control characters are refused: then nothing is compared.
    if isinstance(value, str) and documents.random.random() < 0.9:
        value = "".join(char for char in value if char >= " " or char in "\t\n")
    return value


def name(documents):
    kind = documents.random.random()
    if kind < 0.93:
        return documents.random.choice(["a", "b", "key", "log-level", "max_jobs", "Z9", "é", "x:y", "日本", "_", "a.b"])
    return documents.name() if kind < 0.96 else "#comment"


def element(documents, depth):
    """What an element is: a scalar, or attributes, children, lists of them, and the text between them."""
    pick = documents.random.random
    if depth <= 0 or pick() < 0.3:
        return scalar(documents)
    value = {}
    for _ in range(documents.size()):
        kind, key = pick(), name(documents)
        if kind < 0.25 and key != "#comment":
            value["@" + key] = scalar(documents)
        elif kind < 0.4:
            value["#text"] = scalar(documents)
        elif kind < 0.45:
            value["@xmlns"] = pick() < 0.5 and "urn:x" or {"": "urn:d", "p": "urn:p", "q": scalar(documents)}
        elif kind < 0.48:
            value["@xmlns:p"] = "urn:other"
        elif kind < 0.65:
            value[key] = [one(documents, key, depth) for _ in range(documents.size())]
        else:
            value[key] = one(documents, key, depth)
    return dict(sorted(value.items(), key=lambda item: item[0].encode()))


def one(documents, key, depth):
    return scalar(documents) if key == "#comment" else element(documents, depth - 1)


def document(documents):
    value = {name(documents): element(documents, 3)}
    if documents.random.random() < 0.1:
        value["#comment"] = [scalar(documents), "a comment"]
    if documents.random.random() < 0.05:
        value[name(documents)] = [element(documents, 1) for _ in range(documents.size())]
    return documents.random.choice([{}, {"withHeader": False}]), dict(sorted(value.items(), key=lambda item: item[0].encode()))


COMPARISONS = {
    "xml/xmltodict": xmltodict("1.0.4"),
    "xml/xmltodict-1.0.2": xmltodict("1.0.2"),
    "xml/xmltodict-0.14": xmltodict("0.14.2"),
}
