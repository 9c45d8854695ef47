#!/usr/bin/env python3
"""Gives harmonia as many workers as it has work, and takes them away again.

A load balancer in the small, as a program that adapts a service: it counts the connections of harmonia's port, and
doubles or halves the workers as they come and go. The daemon of dynix does the rest; what this user may do is said by
dynamicism.daemon.allow (configuration.nix beside this file). Nothing is needed but Python's standard library.
"""

import argparse
import json
import socket
import sys
import time
from pathlib import Path

SOCKET = "/run/dynix/dynix.sock"
INTERFACE = "io.dynix.Settings"
WORKERS = "services.harmonia.settings.workers"
ESTABLISHED = "01"  # linux/tcp_states.h


class VarlinkError(Exception):
    """An error that the daemon gives: its name, and what it says."""

    def __init__(self, name: str, parameters: dict) -> None:
        super().__init__(f"{name}: {parameters.get('reason', parameters)}")
        self.name = name.removeprefix(f"{INTERFACE}.")
        self.parameters = parameters


class Daemon:
    """A connection to the daemon; each message is JSON with a NUL behind it."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path
        self._stream = None

    def call(self, method: str, **parameters) -> dict:
        """Calls a method. The daemon ends when nobody needs it, so a connection that it closed is made anew."""
        message = json.dumps({"method": f"{INTERFACE}.{method}", "parameters": parameters}).encode() + b"\0"
        reply = self._exchange(message) or self._exchange(message)
        if reply is None:
            raise ConnectionError("the daemon does not answer")
        if "error" in reply:
            raise VarlinkError(reply["error"], reply.get("parameters") or {})
        return reply["parameters"]

    def _exchange(self, message: bytes) -> dict | None:
        try:
            if self._stream is None:
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.connect(self._path)
                self._stream = connection.makefile("rwb")
            self._stream.write(message)
            self._stream.flush()
            reply = bytearray()
            while (byte := self._stream.read(1)) not in (b"\0", b""):
                reply += byte
            if byte == b"\0":
                return json.loads(reply)
        except OSError:
            pass
        self._stream = None
        return None


def connections(port: int) -> int:
    """How many connections to a local port there are (proc_pid_net(5))."""
    count = 0
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            _, local, _, state, *_ = line.split()
            count += state == ESTABLISHED and int(local.rsplit(":", 1)[1], 16) == port
    return count


def wanted(workers: int, load: int, least: int, most: int) -> int:
    """Twice as many workers where each has more than two connections, half as many where half would do with one each."""
    if load > 2 * workers:
        return min(2 * workers, most)
    if load <= workers // 2:
        return max(workers // 2, least)
    return workers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=5000, help="harmonia's port (%(default)s)")
    parser.add_argument("--most", type=int, default=64, help="most workers (%(default)s)")
    parser.add_argument("--period", type=float, default=5, help="seconds between looks (%(default)s)")
    parser.add_argument("--patience", type=int, default=2, help="looks that have to agree (%(default)s)")
    parser.add_argument("--pause", type=float, default=15, help="seconds that a change has to show (%(default)s)")
    arguments = parser.parse_args()
    daemon = Daemon()
    agreeing = 0
    while True:
        time.sleep(arguments.period)
        try:
            now = daemon.call("Get", path=WORKERS)
            workers, built = now["value"], now["static"]
            load = connections(arguments.port)
            target = wanted(workers, load, built, arguments.most)
            agreeing = agreeing + 1 if target != workers else 0
            if agreeing < arguments.patience:
                continue
            agreeing = 0
            print(f"{load} connections: {workers} -> {target} workers", flush=True)
            if target == built:
                daemon.call("Unset", path=WORKERS, apply=True)
            else:
                daemon.call("Append", path=WORKERS, value=target, apply=True)
            # Its connections ended with the restart; who needs them comes back.
            time.sleep(arguments.pause)
        except VarlinkError as error:
            # What is refused now may be allowed later; what went back is worth a word.
            print(error, file=sys.stderr, flush=True)
            time.sleep(error.parameters.get("retryUSec", 0) / 1_000_000)
        except ConnectionError as error:
            print(error, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
