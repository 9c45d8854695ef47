"""mix format, over the Elixir that pkgs.formats.elixirConf prints."""

import json

from . import Comparison
from .generators import in_tools_root, one_in


def source(value):
    """As pkgs.formats.elixirConf prints it, before mix format."""
    lines = [f"config {root}, {key}, {printed(one)}" for root, keys in value.items() for key, one in keys.items()]
    return "import Config\n\n" + "\n".join(lines) + "\n"


def printed(value):
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6f}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join("\\" + c if c in '\\#"' else c for c in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(printed, value)) + "]"
    kind = value.get("_elixirType")
    if kind is None:
        return "[" + ", ".join(f"{name}: {printed(one)}" for name, one in value.items()) + "]"
    value = value["value"]
    if kind == "map":
        return "%{" + ", ".join(f"{printed(name)} => {printed(one)}" for name, one in value.items()) + "}"
    if kind == "tuple":
        return "{" + ", ".join(map(printed, value)) + "}"
    return f'~c"{value}"' if kind == "charlist" else value


def typed(value):
    """What Elixir should read; none of raw code."""
    if value is None or isinstance(value, bool):
        return ["atom", printed(value)]
    if isinstance(value, float):
        return ["float", float(printed(value))]
    if isinstance(value, int):
        return ["integer", value]
    if isinstance(value, str):
        return ["string", value]
    if isinstance(value, list):
        return ["list", list(map(typed, value))]
    kind = value.get("_elixirType")
    if kind is None:
        return ["list", [["tuple", [["atom", atom(name)], typed(one)]] for name, one in value.items()]]
    value = value["value"]
    if kind == "map":
        return ["map", sorted([typed(name), typed(one)] for name, one in value.items())]
    if kind == "tuple":
        return ["tuple", list(map(typed, value))]
    return ["list", [["integer", ord(c)] for c in value]] if kind == "charlist" else ["atom", value]


def atom(name):
    """As inspect shows the key `name:`."""
    text = name.strip('"')
    if text in ("nil", "true", "false"):
        return text
    plain = text.replace("_", "a").replace("@", "a").rstrip("?!").isalnum() and not text[0].isdigit()
    return f":{text}" if plain else f':"{text}"'


def sorted_maps(value):
    if isinstance(value, list) and len(value) == 2 and value[0] == "map":
        return ["map", sorted((sorted_maps(pair) for pair in value[1]), key=json.dumps)]
    return [sorted_maps(item) for item in value] if isinstance(value, list) else value


def elixir_conf(cases):
    sources = [source(case["input"]) for case in cases]
    results = in_tools_root(["elixir", "/cases/elixir_lines.exs"], ["elixir_lines.exs"], sources, "source")
    for case, result in zip(cases, results, strict=True):
        if "text" not in result or has_raw(case["input"]):
            result.pop("value", None)
            continue
        wanted = [[root, key, typed(one)] for root, keys in case["input"].items() for key, one in keys.items()]
        # Keys of one application are merged, in whatever order.
        read = result.pop("value")
        result["reads_back"] = read is not None and sorted(map(json.dumps, map(sorted_maps, read))) == sorted(
            map(json.dumps, map(sorted_maps, wanted))
        )
    return results


def has_raw(value):
    if isinstance(value, dict):
        return value.get("_elixirType") == "raw" or any(map(has_raw, value.values()))
    return isinstance(value, list) and any(map(has_raw, value))


NAMES = ["a", "b", "port", "url", "log_level", "max?", "x1", "secret_key_base", "Z9", "do", "nil", "_x", "adapter!"]
ROOTS = [":app", ":phoenix", ":logger", "My.App", "Phoenix"]
KEYS = [":key", ":a", "My.App.Endpoint", "Repo", ":level", ":" + "long" * 20, "Very" * 20]
RAW = ['System.get_env("X", nil)', "System.fetch_env!(\"HOME\")", "nil", ":error", "My.Module", "My.Module.run()"]


def document(documents):
    pick = documents.random.choice

    def name():
        if one_in(documents, 100):
            return pick(["a-b", "A.B", "1a", "", '"a.b"', '"a"', '"Foo"', '"a b"'])
        return pick(NAMES) if not one_in(documents, 12) else pick(['"foo-bar"', '"a.b"', '"a b"'])

    def value(depth):
        kind = documents.random.random()
        if depth <= 0 or kind < 0.45:
            return documents.scalar()
        if kind < 0.6:
            return [value(depth - 1) for _ in range(documents.size())]
        if kind < 0.82:
            return keywords(depth)
        if kind < 0.89:
            return {"_elixirType": "tuple", "value": [value(depth - 1) for _ in range(documents.size())]}
        if kind < 0.96:
            return {"_elixirType": "map", "value": documents.attrs(0, value=lambda: value(depth - 1))}
        if kind < 0.98:
            return {"_elixirType": "charlist", "value": pick(["", "abc", "é日", "x" * 90, "a b"])}
        return pick([{"_elixirType": "atom", "value": pick([":error", "Repo.X"])}, {"_elixirType": "raw", "value": pick(RAW)}])

    def keywords(depth):
        named = {name(): value(depth - 1) for _ in range(documents.size())}
        return dict(sorted(named.items(), key=lambda item: item[0].encode()))

    roots = {pick(ROOTS): {pick(KEYS): value(4) for _ in range(documents.size())} for _ in range(pick([0, 1, 1, 2]))}
    return {}, {root: dict(sorted(keys.items())) for root, keys in sorted(roots.items())}


COMPARISONS = {"elixirConf": Comparison(elixir_conf, document)}
