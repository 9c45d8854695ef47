#!/usr/bin/env python3
"""Lines of {"dialect", "input"} give lines of {"text", "reads_back"} or {"error"}: what pkgs.formats.pythonVars prints,
formatted by black, and whether Python reads the same data from it."""

import ast
import json
import sys

import black


def printed(value):
    """The dialect repr: a comma after each item, and of a key only the single quotes escaped."""
    if isinstance(value, list):
        return "[\n" + "".join(printed(item) + ",\n" for item in value) + "]"
    if isinstance(value, dict) and value.get("_type") == "raw":
        return value["value"]
    if isinstance(value, dict):
        escaped = [(name.replace("'", "\\'"), item) for name, item in value.items()]
        return "{\n" + "".join(f"'{name}': {printed(item)},\n" for name, item in escaped) + "}"
    return repr(value)


def node(value):
    """The dialect unparse."""
    if isinstance(value, list):
        return ast.List([node(item) for item in value])
    if isinstance(value, dict) and value.get("_type") == "raw":
        return ast.parse(value["value"], mode="eval").body
    if isinstance(value, dict):
        return ast.Dict([ast.Constant(name) for name in value], [node(item) for item in value.values()])
    return ast.Constant(value)


def source(dialect, value):
    imports = value.get("_imports") or []
    variables = {name: one for name, one in value.items() if name != "_imports"}
    if dialect == "repr":
        lines = [f"import {module}" for module in imports] + [""]
        return "\n".join(lines + [f"{name} = {printed(one)}" for name, one in variables.items()]) + "\n"
    statements = [ast.parse(f"import {module}").body[0] for module in imports]
    statements += [ast.Assign([ast.Name(name, ast.Store())], node(one)) for name, one in variables.items()]
    return ast.unparse(ast.fix_missing_locations(ast.Module(statements, []))) + "\n"


def formatted(dialect, value):
    text = source(dialect, value)
    try:
        return black.format_file_contents(text, fast=False, mode=black.Mode())
    except black.NothingChanged:
        return text


def is_code(value):
    if isinstance(value, dict):
        return value.get("_type") == "raw" or any(map(is_code, value.values()))
    return isinstance(value, list) and any(map(is_code, value))


def reads_back(text, value):
    variables = {name: one for name, one in value.items() if name != "_imports"}
    read = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign):
            read[statement.targets[0].id] = statement.value
    if read.keys() != variables.keys():
        return False
    return all(is_code(one) or repr(ast.literal_eval(read[name])) == repr(one) for name, one in variables.items())


for line in sys.stdin:
    case = json.loads(line)
    try:
        text = formatted(case["dialect"], case["input"])
        print(json.dumps({"text": text, "reads_back": reads_back(text, case["input"])}))
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
