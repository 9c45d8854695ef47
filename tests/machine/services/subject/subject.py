#!/usr/bin/python3
"""Reads a JSON file and behaves as it says; shows the file's content to whoever connects to port 7000.

good: serves. crash: ends at once. crash-later: says that it is ready, and ends after that. hang: never says that it is
ready. deaf: says that it is ready, and does not listen. stubborn: serves, and does not stop when it is asked to. slow:
serves after 1.5 s. curt: serves, and ends with exit status 143 when it is asked to stop.
"""

import json
import os
import signal
import socket
import sys
import threading
import time


def say_ready():
    """sd_notify(3)"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        address = os.environ["NOTIFY_SOCKET"]
        notify.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)


with open(sys.argv[1], encoding="utf-8") as file:
    settings = json.load(file)

match settings["behaviour"]:
    case "good":
        pass
    case "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    case "slow":
        time.sleep(1.5)
    case "curt":
        signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    case "crash":
        sys.exit("subject: told to crash")
    case "crash-later":
        say_ready()
        time.sleep(0.05)
        sys.exit("subject: told to crash later")
    case "hang":
        threading.Event().wait()
    case "deaf":
        say_ready()
        threading.Event().wait()
    case other:
        sys.exit(f"subject: told to do {other}")

server = socket.create_server(("127.0.0.1", 7000))
say_ready()
while True:
    connection, _ = server.accept()
    with connection:
        try:
            connection.sendall(json.dumps(settings).encode())
        except OSError as error:
            print(f"subject: {error}", file=sys.stderr)
