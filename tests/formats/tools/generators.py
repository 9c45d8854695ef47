"""The generators of hocon and libconfig, which are Rust programs of nixpkgs, and the libraries that read their files."""

import json
import math
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import HERE, Comparison, Missing


def in_tools_root(command, files, texts, name="text"):
    """Runs `command` in TOOLS_ROOT with `files` at /cases; a line of JSON for each text, in and out."""
    root = os.environ.get("TOOLS_ROOT")
    if not root or not Path(root, "usr/bin/elixir").exists():
        raise Missing("TOOLS_ROOT is not a directory with elixir, libconfig, python3, a JDK and Typesafe's Config")
    with tempfile.TemporaryDirectory() as directory:
        for file in files:
            shutil.copy(HERE / file, directory)
        script = (
            'mkdir -p "$0/cases" && mount -t proc proc "$0/proc" && mount --bind "$1" "$0/cases" && '
            'root=$0 && shift && exec chroot "$root" env LC_ALL=C.UTF-8 "$@"'
        )
        lines = "".join(json.dumps({name: text}) + "\n" for text in texts)
        command = ["unshare", "--mount", "sh", "-ec", script, root, directory, *command]
        done = subprocess.run(command, input=lines, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def generate(variable, cases):
    """What the generator at the path in `variable` makes of each value; an error where it panics."""
    program = os.environ.get(variable)
    if not program or not Path(program).exists():
        raise Missing(f"{variable} is not the generator, built from nixpkgs' pkgs/pkgs-lib/formats")
    results = []
    for case in cases:
        # As Nix writes it: no escapes but those that JSON needs.
        value = json.dumps(case["input"], ensure_ascii=False)
        done = subprocess.run([program], input=value.encode(), capture_output=True)
        results.append({"error": done.stderr.decode()} if done.returncode else {"text": done.stdout.decode()})
    return results


def one_in(documents, count):
    return documents.random.random() < 1 / count


def has_instructions(value):
    if isinstance(value, list):
        return any(map(has_instructions, value))
    if not isinstance(value, dict):
        return False
    return isinstance(value.get("_type"), str) or "_includes" in value or any(map(has_instructions, value.values()))


# --- hocon -----------------------------------------------------------------------------------------------------------


def hocon(variable):
    def run(cases):
        results = generate(variable, cases)
        # The library wants an object at the root, and would follow instructions.
        readable = [
            (case["input"], result)
            for case, result in zip(cases, results, strict=True)
            if "text" in result and isinstance(case["input"], dict) and not has_instructions(case["input"])
        ]
        command = ["java", "-cp", "/usr/share/java/typesafe-config.jar", "/cases/ReadHocon.java"]
        read = in_tools_root(command, ["ReadHocon.java"], [result["text"] for _, result in readable])
        for (value, result), back in zip(readable, read, strict=True):
            result["reads_back"] = same(value, back.get("value"))
        return results

    def document(documents):
        value = documents.attrs(4) if not one_in(documents, 20) else [documents.value(2) for _ in range(documents.size())]
        # The root is no instruction.
        if isinstance(value, list):
            return {}, [with_instructions(documents, item, special_of_hocon, "hocon") for item in value]
        return {}, {name: with_instructions(documents, item, special_of_hocon, "hocon") for name, item in value.items()}

    return Comparison(run, document)


def same(one, other):
    """Whether two values are the same, numbers by their value: the generators' JSON parser is off by a bit at times."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-15)
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def with_instructions(documents, value, special, format):
    """`value` with special values here and there."""
    if one_in(documents, 40):
        return special(documents)
    if isinstance(value, list) and format == "hocon":
        # An append would be refused there.
        return [item if not one_in(documents, 40) else {"_type": "substitution", "value": "x"} for item in value]
    if isinstance(value, list):
        return [with_instructions(documents, item, special, format) for item in value]
    if not isinstance(value, dict):
        return value
    value = {name: with_instructions(documents, item, special, format) for name, item in value.items()}
    if one_in(documents, 12):
        includes = [include_of(documents, format) for _ in range(documents.size())]
        value = dict(sorted((value | {"_includes": includes}).items(), key=lambda item: item[0].encode()))
    return value


def include_of(documents, format):
    if format == "libconfig":
        return documents.random.choice(["/dev/null", "//dev/null", "/dev/./null"])
    return {
        "_type": "include",
        "required": documents.random.choice([True, False, False, None] if one_in(documents, 20) else [True, False]),
        "type": documents.random.choice([None, "file", "url", "classpath"] + ["x"] * one_in(documents, 20)),
        "value": documents.text(),
    }


def special_of_hocon(documents):
    pick = documents.random.choice
    kind = pick(["substitution", "append", pick(["include", "x", 1])])
    if kind == "substitution":
        value = pick(["PATH", "a.b", 'a."b c"', "", 1])
    else:
        value = documents.value(2)
    special = {"_type": kind, "value": value}
    if one_in(documents, 4):
        special["required"] = pick([True, False, False, 1])
    return special


# --- libconfig -------------------------------------------------------------------------------------------------------


def libconfig(cases):
    """As the build: what libconfig itself doesn't read is an error."""
    results = generate("LIBCONFIG_GENERATOR", cases)
    written = [(case, result) for case, result in zip(cases, results, strict=True) if "text" in result]
    read = in_tools_root(["python3", "/cases/read_libconfig.py"], ["read_libconfig.py"], [result["text"] for _, result in written])
    for (case, result), back in zip(written, read, strict=True):
        if "error" in back:
            result["error"] = f"libconfig: {back['error']} in {result.pop('text')}"
        elif case["input"].keys() != back["value"].keys():
            result["error"] = f"libconfig: other settings in {result.pop('text')}"
        else:
            result["reads_back"] = same(as_libconfig(case["input"]), back["value"])
    return results


def as_libconfig(value):
    """What libconfig should read: the data that the special values stand for."""
    if isinstance(value, list):
        return [as_libconfig(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("_type") in ("hex", "octal"):
        return int(value["value"][2:], 16) if value["_type"] == "hex" else int(value["value"], 8)
    if value.get("_type") == "float":
        return float(value["value"])
    if value.get("_type") in ("list", "array"):
        return [as_libconfig(item) for item in value["value"]]
    return {name: as_libconfig(item) for name, item in value.items() if name != "_includes"}


def special_of_libconfig(documents):
    pick = documents.random.choice
    kind = pick(["hex", "octal", "float", "list", "array", "array"] + ["x"] * one_in(documents, 8))
    if kind == "hex":
        value = pick(["0x1FC3", "0x0", "0xa3", "ff", "0x7fffffff", "0xFFFFFFFF", "0x7FFFFFFFFFFFFFFF", "0x1", "0x-5"] + ["0x", "", 255] * one_in(documents, 6))
    elif kind == "octal":
        value = pick(["0027", "7", "0", "777777777777", "+7"] + ["-7", "8", "", 8] * one_in(documents, 6))
    elif kind == "float":
        value = pick(["1.2E-3", "1", ".5", "1.", "-0", "1e20"] + ["1e400", "inf", "NaN", "x", 1.5] * one_in(documents, 6))
    elif kind == "array" and not one_in(documents, 6):
        one = pick([lambda: documents.random.randint(-99, 99), documents.text, lambda: one_in(documents, 2), lambda: 0.5])
        value = [one() for _ in range(documents.size())]
    else:
        value = [documents.scalar(nulls=one_in(documents, 20)) for _ in range(documents.size())]
    return {"_type": kind, "value": value}


def document_of_libconfig(documents):
    value = with_instructions(documents, documents.attrs(4, nulls=one_in(documents, 20)), special_of_libconfig, "libconfig")
    value = value if "_type" not in value else {"a": value}
    value.pop("_includes", None) if not one_in(documents, 20) else None
    return {}, with_plain_names(documents, value)


def with_plain_names(documents, value):
    """Mostly names that libconfig has."""
    if isinstance(value, list):
        return [with_plain_names(documents, item) for item in value]
    if not isinstance(value, dict) or "_type" in value:
        return value
    named = {}
    for name, item in value.items():
        plain = "".join(c for c in name if c.isascii() and (c.isalnum() or c in "-_*")).lstrip("-_0123456789") or "n"
        named[name if name == "_includes" or one_in(documents, 400) else plain] = with_plain_names(documents, item)
    return dict(sorted(named.items(), key=lambda item: item[0].encode()))


COMPARISONS = {
    "hocon/joined": hocon("HOCON_GENERATOR"),
    "hocon/lines": hocon("HOCON_GENERATOR_LINES"),
    "libconfig": Comparison(libconfig, document_of_libconfig),
}
