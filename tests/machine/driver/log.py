"""What the driver says: one line per step, with the time that it took, as the NixOS test driver says it."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Log:
    """Writes to standard output, line by line."""

    def __init__(self) -> None:
        self.depth = 0

    def say(self, text: str, machine: str | None = None) -> None:
        prefix = "  " * self.depth + (f"{machine}: " if machine else "")
        for line in text.splitlines() or [""]:
            print(prefix + line, flush=True)

    # The names that test scripts may use (`log.info(...)`).
    log = info = say

    def warning(self, text: str) -> None:
        self.say(f"warning: {text}")

    def error(self, text: str) -> None:
        self.say(f"error: {text}")

    @contextmanager
    def nested(self, text: str, machine: str | None = None) -> Iterator[None]:
        self.say(text, machine)
        began = time.monotonic()
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1
            self.say(f"(finished: {text.splitlines()[0]}, in {time.monotonic() - began:.2f} seconds)", machine)

    def loudly(self, text: str) -> None:
        """For what nobody may overlook: which part of a test is not the real thing."""
        bar = "=" * 100
        print(f"{bar}\n{text}\n{bar}", flush=True)


def complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
