"""ConfigObj, as pkgs.formats.configobj runs it."""

import json
import subprocess

from . import HERE, Comparison, python_with


def configobj(cases):
    python = python_with("configobj==5.0.9")
    lines = "".join(json.dumps(case["input"]) + "\n" for case in cases)
    command = [python, HERE / "configobj_lines.py"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def scalar(documents):
    value = documents.scalar()
    if isinstance(value, str) and documents.random.random() < 0.7:
        # What can't be quoted is refused, and then the rest of the document is not compared.
        value = value.replace("\n", " ").replace('"', "'")
    return value


def value(documents, depth):
    kind = documents.random.random()
    if depth > 0 and kind < 0.3:
        return section(documents, depth - 1)
    if kind < 0.5:
        return [scalar(documents) for _ in range(documents.size())]
    return documents.scalar() if kind < 0.7 else scalar(documents)


def section(documents, depth):
    attrs = documents.attrs(0, value=lambda: value(documents, depth))
    refused = [name for name in attrs if "\n" in name or '"' in name and "'" in name]
    return attrs if documents.random.random() < 0.05 else {name: attrs[name] for name in attrs if name not in refused}


COMPARISONS = {"configobj": Comparison(configobj, lambda documents: ({}, section(documents, 3)))}
