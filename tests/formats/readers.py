"""Independent readers: whether a text says the value that it was written for.

A reader takes a case and its text, and gives True or False; or None for a case of which it says nothing. What nixpkgs
documents as lost (attributes that are null, decimals beyond the sixth, white space around a value) is taken off first.
"""

import configparser
import json
import plistlib
import shutil
import subprocess
import tempfile


class NoReader(Exception):
    """A reader that is not there."""


def program(*names):
    for name in names:
        if found := shutil.which(name):
            return found
    raise NoReader(" or ".join(names) + " is not installed")


def word(value):
    """`mkValueStringDefault`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def fixed(value):
    """The value with the floats of `toString`."""
    if isinstance(value, dict):
        return {name: fixed(one) for name, one in value.items()}
    if isinstance(value, list):
        return [fixed(one) for one in value]
    return float(f"{value:.6f}") if isinstance(value, float) else value


def without_null(value):
    if isinstance(value, dict):
        return {name: without_null(one) for name, one in value.items() if one is not None}
    return [without_null(one) for one in value] if isinstance(value, list) else value


def plain_json(case, text):
    return json.loads(text) == case["input"]


def ini(case, text):
    """Python's configparser; of files without lists, as it has no repeated keys, and without conventions."""
    sections = case["input"]
    if case["parameters"] or any(isinstance(one, list) for keys in sections.values() for one in keys.values()):
        return None
    return read_ini(text) == expected_ini(sections)


def key_value(case, text):
    return ini(case | {"input": {"section": case["input"]}}, "[section]\n" + text)


def ini_with_global_section(case, text):
    sections = {"top": case["input"]["globalSection"]} | case["input"]["sections"]
    return None if "top" in case["input"]["sections"] else ini(case | {"input": sections}, "[top]\n" + text)


def read_ini(text):
    options = {"delimiters": ("=",), "comment_prefixes": ("#", ";"), "empty_lines_in_values": False, "default_section": "\0"}
    parser = configparser.RawConfigParser(**options)
    parser.optionxform = str
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    return {name: dict(parser[name]) for name in parser.sections()}


def expected_ini(sections):
    # mkSectionName's backslashes belong to the name.
    name = lambda text: text.replace("[", "\\[").replace("]", "\\]")
    return {name(section): {key.strip(): word(one).strip() for key, one in keys.items()} for section, keys in sections.items()}


def systemd(case, text):
    """The rules of systemd's config_parse (src/shared/conf-parser.c): comments, continued lines, sections, `key = value`.

    A line is split at newlines only; white space is stripped around keys and values.
    """
    blank = " \t\n\r"
    found, section, continued = [], None, ""
    for line in text.split("\n"):
        if line.lstrip(blank)[:1] in ("#", ";"):
            continue
        line = continued + line
        continued = ""
        if (len(line) - len(line.rstrip("\\"))) % 2:
            continued = line[:-1] + " "
            continue
        line = line.strip(blank)
        if not line:
            continue
        if line.startswith("["):
            if not line.endswith("]"):
                return False
            section = line[1:-1]
            continue
        key, equals, value = line.partition("=")
        if not equals or section is None:
            return False
        found.append((section, key.strip(blank), value.strip(blank)))
    name = lambda text: text.replace("[", "\\[").replace("]", "\\]")
    lines = lambda one: [line for line in (one if isinstance(one, list) else [one]) if line is not None]
    return found == [
        (name(section), key.strip(blank), word(line).strip(blank))
        for section, keys in case["input"].items()
        for key, one in keys.items()
        for line in lines(one)
    ]


def nix_conf(case, text):
    """The rules of Nix's applyConfig (libutil/configuration.cc); white space within values is not kept."""
    extra, _, extra_value = case["parameters"].get("extraOptions", "").partition(" = ")
    if extra in case["input"]:
        return None
    found = {}
    for line in text.split("\n"):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[0] in ("include", "!include") or len(words) < 2 or words[1] != "=" or words[0] in found:
            return False
        found[words[0]] = words[2:]
    plain = lambda one: word(one).partition("#")[0].split() if one is not None else []
    listed = lambda one: plain(" ".join(dict.fromkeys(one))) if isinstance(one, list) else plain(one)
    expected = {name: listed(one) for name, one in case["input"].items()}
    if extra:
        expected[extra] = [extra_value]
    return found == expected


def hcl1(case, text):
    """JSON, with every attribute set below the top in a list."""
    listed = lambda value: (
        [{name: listed(one) for name, one in value.items()}]
        if isinstance(value, dict)
        else [listed(one) for one in value]
        if isinstance(value, list)
        else value
    )
    return json.loads(text) == {name: listed(one) for name, one in case["input"].items()}


def git(case, text):
    """git itself. Names of sections and variables have no case there."""
    with tempfile.NamedTemporaryFile("w", newline="") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([program("git"), "config", "-f", file.name, "--list", "-z"], capture_output=True)
    if done.returncode:
        return False
    found = [entry.partition("\n")[::2] for entry in done.stdout.decode().split("\0")[:-1]]
    expected = []

    def add(path, value):
        if isinstance(value, dict):
            for name, one in value.items():
                add([*path, name], one)
            return
        section, *middle, key = path
        name = ".".join([section.lower(), *([".".join(middle)] if middle else []), key.lower()])
        expected.extend((name, word(one)) for one in (value if isinstance(value, list) else [value]))

    add([], case["input"])
    return sorted(found) == sorted(expected)


def plist(case, text):
    try:
        found = plistlib.loads(text.encode())
    except Exception:
        return False
    kept = lambda value: (
        {name: kept(one) for name, one in value.items() if one is not None and name != "_module"}
        if isinstance(value, dict)
        else [kept(one) for one in value if one is not None]
        if isinstance(value, list)
        else value
    )
    return same(found, fixed(kept(case["input"])))


def same(one, other):
    """Equal, types included: in Python, 1 is True."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def php(case, text):
    """PHP, whose arrays are lists and attribute sets in one, and whose names are numbers where they look so."""
    with tempfile.NamedTemporaryFile("w", newline="", suffix=".php") as file:
        file.write(text)
        file.flush()
        code = "$found = include $argv[1]; if (array_key_exists('config', get_defined_vars())) $found = $config;"
        code += "echo json_encode($found, JSON_PRESERVE_ZERO_FRACTION | JSON_FORCE_OBJECT);"
        command = [program("php"), "-d", "serialize_precision=-1", "-r", code, "--", file.name]
        done = subprocess.run(command, capture_output=True)
    if done.returncode:
        return False
    as_object = lambda value: (
        {name: as_object(one) for name, one in value.items()}
        if isinstance(value, dict)
        else {str(index): as_object(one) for index, one in enumerate(value)}
        if isinstance(value, list)
        else value
    )
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return False
    return same(found, as_object(fixed(case["input"])))


LUA = r"""
local function show(v)
  if type(v) == "table" then
    local parts = {}
    for k, one in pairs(v) do
      parts[#parts + 1] = (type(k) == "number" and ("#%d"):format(k) or show(k)) .. "=" .. show(one)
    end
    table.sort(parts)
    return "{" .. table.concat(parts, ",") .. "}"
  elseif type(v) == "string" then
    return '"' .. v:gsub(".", function(c) return ("%02x"):format(c:byte()) end) .. '"'
  elseif math.type(v) == "float" then
    return ("%.17g"):format(v)
  end
  return tostring(v)
end
local file = assert(io.open(arg[1], "rb"))
local text = file:read("a")
-- Bindings such as `a.b = 1` expect a program that has the `a`.
local environment = setmetatable({}, { __index = function(t, k) if arg[2] == "bindings" then t[k] = {} return t[k] end end })
local chunk, problem = load((arg[2] == "value" and "return " or "") .. text, "text", "t", environment)
if not chunk then io.stderr:write(problem) os.exit(1) end
local value = chunk()
io.write(show(arg[2] == "bindings" and environment or value))
"""


def lua(case, text):
    """Lua 5.4. A table has no nulls, but a list keeps its places."""
    how = "value"
    if case["parameters"].get("asBindings"):
        how = "bindings"
    elif text.startswith("return"):
        how = "returned"
    with tempfile.NamedTemporaryFile("w", newline="") as file, tempfile.NamedTemporaryFile("w", suffix=".lua") as code:
        file.write(text)
        file.flush()
        code.write(LUA)
        code.flush()
        done = subprocess.run([program("lua5.4", "lua"), code.name, file.name, how], capture_output=True)

    def show(value):
        if isinstance(value, (dict, list)):
            items = value.items() if isinstance(value, dict) else enumerate(value, 1)
            shown = (("#%d" % name if isinstance(name, int) else show(name)) + "=" + show(one) for name, one in items if one is not None)
            return "{" + ",".join(sorted(shown, key=str.encode)) + "}"
        if isinstance(value, str):
            return '"' + value.encode().hex() + '"'
        if isinstance(value, bool):
            return "true" if value else "false"
        return "%.17g" % value if isinstance(value, float) else "nil" if value is None else str(value)

    value = case["input"]
    if how == "bindings":
        nested = {}
        for name, one in value.items():
            *above, last = name.split(".")
            inner = nested
            for part in above:
                inner = inner.setdefault(part, {})
            inner[last] = one
        value = nested
    return not done.returncode and done.stdout.decode() == show(value)
