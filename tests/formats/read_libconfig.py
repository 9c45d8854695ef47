#!/usr/bin/env python3
"""Lines of {"text"} give lines of {"value"} or {"error"}: what the C library libconfig reads."""

import ctypes
import ctypes.util
import json
import sys

LIBRARY = ctypes.CDLL(ctypes.util.find_library("config") or "libconfig.so.11")
POINTER, INTEGER = ctypes.c_void_p, ctypes.c_int


class Setting(ctypes.Structure):
    """The start of config_setting_t, for which libconfig.h has macros."""

    _fields_ = [("name", ctypes.c_char_p), ("type", ctypes.c_short)]


def function(name, result, *arguments):
    found = getattr(LIBRARY, name)
    found.restype, found.argtypes = result, arguments
    return found


init = function("config_init", None, POINTER)
destroy = function("config_destroy", None, POINTER)
read_string = function("config_read_string", INTEGER, POINTER, ctypes.c_char_p)
length = function("config_setting_length", INTEGER, POINTER)
element = function("config_setting_get_elem", POINTER, POINTER, ctypes.c_uint)
GROUP, INT, INT64, FLOAT, STRING, BOOL = 1, 2, 3, 4, 5, 6
SCALARS = {
    INT: function("config_setting_get_int", INTEGER, POINTER),
    INT64: function("config_setting_get_int64", ctypes.c_longlong, POINTER),
    FLOAT: function("config_setting_get_float", ctypes.c_double, POINTER),
    STRING: lambda setting: get_string(setting).decode(),
    BOOL: lambda setting: bool(get_bool(setting)),
}
get_string = function("config_setting_get_string", ctypes.c_char_p, POINTER)
get_bool = function("config_setting_get_bool", INTEGER, POINTER)


def value(pointer):
    setting = ctypes.cast(pointer, ctypes.POINTER(Setting)).contents
    if setting.type in SCALARS:
        return SCALARS[setting.type](pointer)
    items = [element(pointer, index) for index in range(length(pointer))]
    if setting.type == GROUP:
        return {ctypes.cast(item, ctypes.POINTER(Setting)).contents.name.decode(): value(item) for item in items}
    return [value(item) for item in items]


for line in sys.stdin:
    # Larger than config_t, whose first member is the root.
    config = ctypes.create_string_buffer(4096)
    init(config)
    if read_string(config, json.loads(line)["text"].encode()):
        print(json.dumps({"value": value(ctypes.cast(config, ctypes.POINTER(POINTER))[0])}))
    else:
        print(json.dumps({"error": "syntax error"}))
    destroy(config)
