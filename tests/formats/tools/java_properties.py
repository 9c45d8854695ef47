"""jq and iconv, as in pkgs/pkgs-lib/formats/java-properties; iconv's JAVA is Python's own here."""

import json
import subprocess
import tempfile

from . import Comparison, python_with
from .nix import in_nix_root


def java_properties(cases):
    common = r'gsub("\\\\"; "\\\\") | gsub("\\n"; "\\n\\\n") | gsub("#"; "\\#") | gsub("!"; "\\!") | gsub("\\t"; "\\t") | gsub("\r"; "\\r")'
    code = rf'''to_entries | .[] | "\(.key | {common} | gsub(" "; "\\ ") | gsub("="; "\\=")) = \(
        .value | {common} | gsub("^ "; "\\ ") | gsub("\\n "; "\n\\ "))"'''
    results = []
    for case in cases:
        # The option's type coerces all values to strings.
        value = {name: plain_text(one) for name, one in case["input"].items()}
        with tempfile.TemporaryDirectory() as directory:
            text = in_nix_root(directory, ["jq", "-r", code], json.dumps(value).encode()).decode()
        units = "".join(c if c.isascii() else "".join(f"\\u{unit:04x}" for unit in utf16(c)) for c in text)
        comment = case["parameters"].get("comment", "Generated with Nix")
        header = subprocess.run(
            ["sh", "-c", 'echo "$0" | while read -r ln; do echo "# $ln"; done; echo', comment], capture_output=True, text=True
        ).stdout
        results.append({"text": header + units})
    return results


def utf16(char):
    data = char.encode("utf-16-be")
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def plain_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def document(documents):
    value = documents.attrs(0, value=lambda: documents.scalar(nulls=False))
    return documents.random.choice([{}, {"comment": "  two\nlines  "}]), value


def read_back(case, text):
    """The PyPI package javaproperties, in one run for each document."""
    python = python_with("javaproperties==0.8.2")
    code = "import sys, json, javaproperties; print(json.dumps(javaproperties.loads(sys.stdin.read())))"
    done = subprocess.run([python, "-c", code], input=text.encode(), capture_output=True)
    value = {name: plain_text(one) for name, one in case["input"].items()}
    return not done.returncode and json.loads(done.stdout) == value


COMPARISONS = {"javaProperties": Comparison(java_properties, document, read_back)}
