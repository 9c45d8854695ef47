"""black, over the Python that pkgs.formats.pythonVars prints."""

import json
import subprocess

from . import HERE, Comparison, python_with

# Those of NixOS 24.11 and of today.
VERSIONS = ["24.10.0", "26.1.0"]


def python_vars(cases):
    """An error where the versions differ, as that can't be matched."""
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    results = []
    for version in VERSIONS:
        command = [python_with(f"black=={version}"), HERE / "python_vars_lines.py"]
        done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
        results.append([json.loads(line) for line in done.stdout.split("\n")[:-1]])
    return [one if one == other else {"error": f"{one} or {other}"} for one, other in zip(*results, strict=True)]


def document(dialect):
    def document(documents):
        count = documents.size()
        value = {variable(documents): documents.value(4) for _ in range(count)}
        if documents.random.random() < 0.2:
            value["_imports"] = documents.random.choice([["re"], ["os", "a.b.c"], ["django.x as y"], []])
        value = dict(sorted(value.items(), key=lambda item: item[0].encode()))
        value = with_code(documents, value) | ({"_imports": value["_imports"]} if "_imports" in value else {})
        return {}, with_written_keys(value) if dialect == "repr" else value

    return document


def variable(documents):
    kind = documents.random.random()
    if kind < 0.7:
        return documents.random.choice(["A", "DATABASES", "DEBUG", "_x", "ALLOWED_HOSTS", "b1", "match", "LOGGING"])
    if kind < 0.99:
        return "V" * documents.random.choice([1, 10, 40, 80, 83, 84, 85, 86, 87, 88, 90, 120])
    return documents.random.choice(["if", "None", "a-b", "1a", ""])


CODE = ["1 if True else 2", "os.environ['X']", "f( a,b = 'x' )", "re.findall(r'\\bf[a-z]*', \"x\")", "a.b(c)[0].d()"]


def with_code(documents, value, depth=0):
    """Code here and there, short enough to stay on its line."""
    if depth and documents.random.random() < 0.02:
        return {"_type": "raw", "value": documents.random.choice(CODE)}
    if isinstance(value, list):
        return [with_code(documents, item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {name: with_code(documents, item, depth + 1) if len(name) < 20 else item for name, item in value.items()}
    return value


def with_written_keys(value):
    """Most keys without what the dialect repr does not escape."""
    if isinstance(value, list):
        return [with_written_keys(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {"".join(c for c in name if c.isprintable() and c != "\\") or "e": item for name, item in value.items()}
    return {name: with_written_keys(plain[name]) for name in sorted(plain, key=str.encode)}


COMPARISONS = {
    "pythonVars/unparse": Comparison(python_vars, document("unparse")),
    "pythonVars/repr": Comparison(python_vars, document("repr")),
}
