#!/usr/bin/python3
"""A stand-in for harmonia: same input (the TOML file that CONFIG_FILE names), same port, as many workers as it says.

Shows the settings that it started with at /stand-in/settings. Its worker threads carry the name that harmonia's web
server gives them.
"""

import ctypes
import json
import os
import socket
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

with open(os.environ["CONFIG_FILE"], "rb") as file:
    SETTINGS = tomllib.load(file)

ANSWERS = {
    "/nix-cache-info": "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n",
    "/stand-in/settings": json.dumps(SETTINGS),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        answer = ANSWERS.get(self.path)
        self.send_response(404 if answer is None else 200)
        self.end_headers()
        self.wfile.write((answer or "").encode())


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    # As many wait for their turn as with harmonia's web server.
    request_queue_size = 1024


def work():
    pr_set_name = 15
    ctypes.CDLL(None).prctl(pr_set_name, b"actix-server wo", 0, 0, 0)
    threading.Event().wait()


if SETTINGS["workers"] < 1:
    raise SystemExit(f"workers must be at least 1, not {SETTINGS['workers']}")
host, port = SETTINGS.get("bind", "[::]:5000").rsplit(":", 1)
server = Server((host.strip("[]"), int(port)), Handler)
for _ in range(SETTINGS["workers"]):
    threading.Thread(target=work, daemon=True).start()
server.serve_forever()
