#!/usr/bin/env python3
"""Gives an option a value through the daemon of dynix: client.py PATH JSON [SOCKET]. Says what changed, if anything did."""

import json
import socket
import sys


def call(daemon: socket.socket, method: str, **parameters) -> dict:
    """Calls a method of the daemon. A message is JSON with a NUL behind it, and each call has one reply."""
    message = {"method": f"io.dynix.Settings.{method}", "parameters": parameters}
    daemon.sendall(json.dumps(message).encode() + b"\0")
    reply = b""
    while not reply.endswith(b"\0"):
        part = daemon.recv(65536)
        if not part:
            raise ConnectionError("the daemon is gone")
        reply += part
    answer = json.loads(reply[:-1])
    if "error" in answer:
        sys.exit(f"{answer['error']}: {answer.get('parameters', {}).get('reason', answer.get('parameters'))}")
    return answer["parameters"]


path, value = sys.argv[1], json.loads(sys.argv[2])
with socket.socket(socket.AF_UNIX) as daemon:
    daemon.connect(sys.argv[3] if len(sys.argv) > 3 else "/run/dynix/dynix.sock")
    now = call(daemon, "Get", path=path)
    if now["inEffect"] == value and now["applied"]:
        print(f"{path} is {value} already")
    else:
        changes = [{"path": path, "value": value}]
        answer = call(daemon, "Set", changes=changes, apply=True, message="examples/client.py")["answer"]
        print(*(f"{one['path']}: {one.get('before')} -> {one.get('after')}" for one in answer["changed"]), sep="\n")
