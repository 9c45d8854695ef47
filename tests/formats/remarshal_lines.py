"""remarshal as a filter: lines of {"to", "input"} on stdin, lines of {"text"} or {"error"} on stdout.

Runs in the Python that has the remarshal to compare with: 0.17 (a module) or 1.x (a package)."""

import json
import sys

import remarshal

try:
    from remarshal.main import encode, format_options

    def render(to, value):
        return encode(to, value, options=format_options(to))

except ImportError:
    from remarshal import encode

    def render(to, value):
        yaml = {"default_style": None, "indent": 2, "width": 80}
        return encode(to, value, json_indent=None, ordered=True, stringify=False, yaml_options=yaml)


for line in sys.stdin:
    case = json.loads(line)
    try:
        result = {"text": render(case["to"], case["input"]).decode()}
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(result), flush=True)
