#!/usr/bin/python3
"""A stand-in for gotosocial: same arguments, same YAML file, listens where the file says.

`debug config` prints what it read as JSON, as gotosocial does. `server start` answers at the addresses by which
gotosocial says that it is up, and shows the settings that it started with at /stand-in/settings.
"""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

parser = argparse.ArgumentParser()
parser.add_argument("--config-path", required=True)
parser.add_argument("command", choices=["server", "debug"])
parser.add_argument("verb", choices=["start", "config"])
arguments = parser.parse_args()

with open(arguments.config_path, encoding="utf-8") as file:
    SETTINGS = yaml.safe_load(file)

if (arguments.command, arguments.verb) == ("debug", "config"):
    print(json.dumps(SETTINGS))
    raise SystemExit

ANSWERS = {
    "/livez": "",
    "/readyz": "",
    "/api/v1/instance": json.dumps({"uri": SETTINGS["host"], "version": "stand-in"}),
    "/stand-in/settings": json.dumps(SETTINGS),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        answer = ANSWERS.get(self.path)
        self.send_response(404 if answer is None else 200)
        self.end_headers()
        self.wfile.write((answer or "").encode())


ThreadingHTTPServer((SETTINGS["bind-address"], SETTINGS["port"]), Handler).serve_forever()
