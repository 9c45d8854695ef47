"""The library cdn over what Nix's toJSON gives, as json2cdn calls it for pkgs.formats.cdn."""

import base64
import json
import os
import shutil
import subprocess

from . import HERE, Comparison, Missing
from .nix import nix


def json2cdn(cases):
    jar = os.environ.get("JSON2CDN_JAR")
    if not jar or not shutil.which("java"):
        raise Missing("JSON2CDN_JAR is not json2cdn.jar, with the libraries that it needs, or there is no java")
    texts = nix([{"format": "json", "parameters": {}, "input": case["input"]} for case in cases])
    lines = "".join(base64.b64encode(one["text"].encode()).decode() + "\n" for one in texts)
    command = ["java", "-cp", jar, HERE / "Json2CdnLines.java"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    results = [answer(line.split(" ")) for line in done.stdout.splitlines()]
    return [result(case, text["text"], one) for case, text, one in zip(cases, texts, results, strict=True)]


class Verbatim(str):
    """A float as Nix writes it."""


def answer(words):
    return [words[0]] + [base64.b64decode(word).decode() for word in words[1:]]


def result(case, nix_text, answered):
    kind, text, *read = answered
    if kind == "error" or not isinstance(case["input"], (dict, list)):
        return {"error": text}
    back = plain(json.loads(read[0])) == expected(json.loads(nix_text, parse_float=Verbatim))
    if case.get("dialect") == "json2cdn":
        # Java without a locale.
        return {"text": text.encode("ascii", "replace").decode(), "reads_back": back and text.isascii()}
    return {"text": text, "reads_back": back}


def plain(dump):
    return base64.b64decode(dump).decode() if isinstance(dump, str) else [plain(one) for one in dump]


def expected(value, top=True):
    """What can come back: everything is text, in which the escapes of JSON stand but that of the line break."""
    if isinstance(value, dict):
        pairs = [[literal(name), expected(one, False)] for name, one in value.items()]
        return [pairs]
    if isinstance(value, list):
        items = [expected(one, False) for one in value]
        return [items] if top else items
    return literal(value)


def literal(value):
    if isinstance(value, Verbatim):
        return value
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)[1:-1].replace("\\n", "\n")
    return json.dumps(value)


def document(documents):
    value = documents.document()
    if documents.random.random() < 0.8:
        value = tame(value)
    return {}, value


def tame(value):
    """Without double quotes, which make most documents unreadable."""
    if isinstance(value, dict):
        named = {name.replace('"', "'"): tame(one) for name, one in value.items()}
        return dict(sorted(named.items(), key=lambda item: item[0].encode()))
    if isinstance(value, list):
        return [tame(one) for one in value]
    return value.replace('"', "'") if isinstance(value, str) else value


COMPARISONS = {name: Comparison(json2cdn, document) for name in ("cdn/json2cdn", "cdn/json2cdn-utf-8")}
