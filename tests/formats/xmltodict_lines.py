"""xmltodict as pkgs.formats.xml calls it: lines of {"input", "full_document"} in, lines of {"text"} or {"error"} out."""

import json
import sys

import xmltodict


def unparse(case):
    value = case["input"]
    if not isinstance(value, dict):
        return {"error": "value must be an attrset"}
    try:
        return {"text": xmltodict.unparse(value, full_document=case["full_document"], pretty=True, indent=" " * 2) + "\n"}
    except (ValueError, TypeError) as error:
        return {"error": str(error)}


for line in sys.stdin:
    print(json.dumps(unparse(json.loads(line))))
