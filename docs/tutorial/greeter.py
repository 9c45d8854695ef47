"""Greets whoever asks, as its configuration file says."""

import os
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer

with open(os.environ["GREETER_CONFIG"], "rb") as file:
    SETTINGS = tomllib.load(file)


class Greeter(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{SETTINGS['greeting']}\n".encode())


HTTPServer(("127.0.0.1", SETTINGS["port"]), Greeter).serve_forever()
