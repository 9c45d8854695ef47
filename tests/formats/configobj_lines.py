"""ConfigObj as pkgs.formats.configobj calls it: lines of values in, lines of {"text", "reads_back"} or {"error"} out."""

import io
import json
import os
import sys
import tempfile

from configobj import ConfigObj, ConfigObjError


def written(value):
    config = ConfigObj(interpolation=False, encoding="UTF8")
    config.update(value)
    out = io.BytesIO()
    config.write(out)
    return out.getvalue()


def read(data):
    """As a program reads its file, and without looking for %(names)s."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "config")
        with open(path, "wb") as file:
            file.write(data)
        try:
            return ConfigObj(path, interpolation=False, encoding="UTF8", raise_errors=True).dict()
        except ConfigObjError:
            return None


def texts(value):
    """What can come back: everything is text there."""
    if isinstance(value, dict):
        return {name: texts(one) for name, one in value.items()}
    return [str(one) for one in value] if isinstance(value, list) else str(value)


def case(value):
    try:
        data = written(value)
    except (ConfigObjError, TypeError, AttributeError, ValueError) as error:
        return {"error": str(error)}
    return {"text": data.decode(), "reads_back": read(data) == texts(value)}


for line in sys.stdin:
    print(json.dumps(case(json.loads(line))))
