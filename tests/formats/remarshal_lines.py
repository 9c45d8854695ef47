"""remarshal as a filter: lines of {"to", "input"} on stdin, lines of {"text", "reads_back"} or {"error"} on stdout.

Runs in the Python that has the remarshal to compare with: 0.17 (a module) or 1.x (a package)."""

import json
import sys

import remarshal

try:
    from remarshal.main import decode, encode, format_options

    def render(to, value):
        return encode(to, value, options=format_options(to))

except ImportError:
    from remarshal import decode, encode

    def render(to, value):
        yaml = {"default_style": None, "indent": 2, "width": 80}
        return encode(to, value, json_indent=None, ordered=True, stringify=False, yaml_options=yaml)


def reads_back(to, text, value):
    try:
        return decode(to, text) == value
    except Exception:
        return False


for line in sys.stdin:
    case = json.loads(line)
    try:
        text = render(case["to"], case["input"])
        result = {"text": text.decode(), "reads_back": reads_back(case["to"], text, case["input"])}
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(result), flush=True)
