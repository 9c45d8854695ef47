"""Option types and the fold of the log, beside the module system."""

import json
import random
import tempfile
from pathlib import Path

from .common import FIXTURES, HERE, WRITE, Wrong, command, dynix, expect, nix, same


def agree(cases, what):
    wrong = {name: case for name, case in cases.items() if not case["agrees"]}
    for name, case in wrong.items():
        same(case["given"], case["expected"], f"{what} {name}")
    return f"{len(cases)} cases"


def check_schema():
    """option types become the JSON Schema that they should"""
    return agree(nix.value("schema", needs_nixos=False), "type")


def check_documentation():
    """what modules say of options is taken as it is, and nothing has to be built for it"""
    found = nix.value("documentation", needs_nixos=False)
    same(found["given"], found["expected"], "documentation")
    same(found["context"], {}, "what would have to be built")
    return f"{len(found['given'])} options"


def outcomes(name, indexes):
    """What becomes of some values; one that ends the evaluation is looked for by halves, and is refused."""
    chosen = " ".join(str(index) for index in indexes)
    words = ["--readonly-mode", "--eval", "--strict", "--json", "--expr"]
    each = f"map (builtins.elemAt (import {HERE / 'checks.nix'} arguments).types.outcomes.{name}) [ {chosen} ]"
    try:
        return json.loads(nix.run(*words, f"{{ ... }}@arguments: {each}", *nix.arguments(needs_nixos=False)))
    except Wrong:
        if len(indexes) == 1:
            return ["refused"]
        half = len(indexes) // 2
        return outcomes(name, indexes[:half]) + outcomes(name, indexes[half:])


def check_types():
    """what the module system makes of values is in tests/fixtures/types.json, with the schemas that types become"""
    schemas, values, version = (nix.value(f"types.{name}", needs_nixos=False) for name in ("schemas", "values", "version"))
    letters = {"accepted": "a", "changed": "c", "refused": "r"}
    types = {}
    for name, schema in schemas.items():
        found = outcomes(name, range(len(values)))
        types[name] = {"outcomes": "".join(letters[one] for one in found), "schema": schema}
    fixture = FIXTURES / "types.json"
    if WRITE:
        lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(one, sort_keys=True)}" for name, one in sorted(types.items()))
        texts = ",\n".join(f"    {json.dumps(value)}" for value in values)
        fixture.write_text(f'{{\n  "lib": {json.dumps(version)},\n  "values": [\n{texts}\n  ],\n  "types": {{\n{lines}\n  }}\n}}\n')
    else:
        given = json.loads(fixture.read_text())
        same(values, given["values"], "the values")
        same(types, given["types"], "the types; run tests/nix/run --write types")
    return f"{len(types)} types, {len(types) * len(values)} pairs"


def check_fold():
    """the fold in Nix gives what the module system gave, for every case of fixtures/overrides/fold.json"""
    cases = nix.value("fold", needs_nixos=False)
    same(len(cases), len(json.loads((FIXTURES / "overrides" / "fold.json").read_text())), "number of cases")
    return agree({case["name"]: case for case in cases}, "case")


def check_layers():
    """the fold in Nix finds the overrides that hold where sources say something too, for every case of fixtures/overrides/layers.json"""
    cases = nix.value("layers", needs_nixos=False)
    same(len(cases), len(json.loads((FIXTURES / "overrides" / "layers.json").read_text())), "number of cases")
    return agree({case["name"]: case for case in cases}, "case")


def random_value(chance, depth=0):
    kind = chance.randrange(8 if depth < 2 else 6)
    if kind == 0:
        return None
    if kind == 1:
        return chance.random() < 0.5
    if kind in (2, 3):
        return chance.randrange(-1000, 1000)
    if kind in (4, 5):
        return chance.choice(["", "yay!", "${pkgs.hello}", 'a "b" \\', "line\nbreak", "ünïcode"])
    if kind == 6:
        return [random_value(chance, depth + 1) for _ in range(chance.randrange(3))]
    return {chance.choice("abc"): random_value(chance, depth + 1) for _ in range(chance.randrange(3))}


def as_nix(value):
    """Nix text by JSON's own rules for strings."""
    if isinstance(value, dict):
        return "{ " + "".join(f"{as_nix(name)} = {as_nix(one)}; " for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[ " + "".join(f"({as_nix(one)}) " for one in value) + "]"
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("${", "\\${") if isinstance(value, str) else text


def random_log(chance, length, going_back):
    """Records of every kind, as people and dynix write them; with `going_back`, mostly rollbacks and rejects over a few
    plain values."""
    names = ["a", "b", "c.d", "é"]
    weights = {"set": 6, "replace": 2, "unset": 2, "rollback": 2, "reject": 2}
    if going_back:
        names = ["x", "y", "z"]
        weights = {"set": 8, "replace": 0, "unset": 1, "rollback": 4, "reject": 7}
    lines = ["{ overrides, config, lib, pkgs, ... }: overrides"]
    for number in range(1, length + 1):
        path = ["services", "x", "settings", *chance.choices(names, k=1 if going_back else chance.randrange(1, 4))]
        kind = chance.choices(list(weights), weights.values())[0] if number > 1 else "set"
        if kind == "set":
            value = number if going_back else random_value(chance)
            tree = value if value != {} else 1
            for name in reversed(path):
                tree = {name: tree}
            words = f"set = {as_nix(tree)};"
        elif kind == "replace":
            words = f"replace = {{ path = {as_nix(path)}; value = {as_nix(random_value(chance))}; }};"
        elif kind == "unset":
            words = f"unset = {as_nix(path)};"
        elif kind == "rollback":
            words = f"rollback = {chance.randrange(number)};"
        else:
            # Of late ones mostly: of rollbacks and rejects, too.
            words = f'reject = {max(1, number - chance.randrange(1, 5))}; reason = "it said so";'
        lines.append(f"{{ id = {number}; {words} }}")
    return "\n".join(lines) + "\n"


def check_fold_generated():
    """the fold in Nix and dynix's own agree on generated logs"""
    program = dynix()
    nix.find()
    chance = random.Random(20261121)
    count = 200
    with tempfile.TemporaryDirectory(prefix="dynix-") as directory:
        directory = Path(directory)
        option = {"static": {"a": 1, "b": {"a": True, "c.d": {"é": "s"}}}, "schema": {}}
        service = {
            "options": {"services.x.settings": option},
            "files": {},
            "units": {"x.service": {}},
        }
        plan = directory / "plan.json"
        plan.write_text(json.dumps({"version": 1, "services": {"x": service}}))
        logs = []
        for number in range(count):
            log = directory / f"log-{number}.nix"
            log.write_text(random_log(chance, chance.randrange(1, 25), number % 2 == 0))
            logs.append(log)
        (directory / "cases.nix").write_text(
            f"{{ lib }}: import {HERE}/logs.nix {{ inherit lib; static = {as_nix(option['static'])}; }} "
            f"[ {' '.join(str(log) for log in logs)} ]"
        )
        lib = nix.lib or nix.tree
        words = ["--readonly-mode", "--eval", "--strict", "--json", "--expr"]
        theirs = json.loads(nix.run(*words, f"import {directory}/cases.nix {{ lib = import {lib}/lib; }}"))
        refused = 0
        for log, expected in zip(logs, theirs):
            ours = lambda *words: json.loads(
                command([program, "--root", directory, "--plan", plan, "--overrides", log, *words, "--json"])
            )
            left_out = ours("status")["leftOut"]
            text = log.read_text()
            # The module system refuses the whole; dynix leaves out what does not hold, and says so.
            same(bool(left_out), expected is None, f"whether dynix leaves something out, and Nix refuses, the log\n{text}\n")
            refused += expected is None
            if expected is not None:
                same(ours("get", "services.x.settings")["value"], expected, f"dynix and Nix differ on the log\n{text}\n")
        expect(0 < refused < count, f"{refused} of {count} logs are refused: the generator says nothing")
    return f"{count} logs, {refused} of them refused by both"
