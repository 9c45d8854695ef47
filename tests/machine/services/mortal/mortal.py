#!/usr/bin/python3
"""Reads a JSON file, and lives for as long as it says; shows the file's content to whoever connects to the port.

lives: seconds, null for ever. status: its exit status then. needs: a file without which it does not start. dies: its exit
status on SIGTERM.
"""

import json
import signal
import socket
import sys
import time
from pathlib import Path

with open(sys.argv[1], encoding="utf-8") as file:
    settings = json.load(file)

if settings["needs"] and not Path(settings["needs"]).exists():
    sys.exit(f"mortal: {settings['needs']} is missing")
print(f"mortal: starts on {settings['text']}", file=sys.stderr)


def end(*_):
    sys.exit(settings["dies"])


signal.signal(signal.SIGTERM, end)
began = time.monotonic()
server = socket.create_server(("127.0.0.1", int(sys.argv[2])))
while settings["lives"] is None or time.monotonic() - began < settings["lives"]:
    server.settimeout(0.05)
    try:
        connection, _ = server.accept()
    except TimeoutError:
        continue
    with connection:
        connection.sendall(json.dumps(settings).encode())
print("mortal: its time is over", file=sys.stderr)
sys.exit(settings["status"])
