"""Runs one test script: Python, with the names in scope that the NixOS test driver gives it."""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import TestCase

from .log import Log
from .machine import Machine, RequestedAssertionFailed, retry


class _AssertionTester(TestCase):
    failureException = RequestedAssertionFailed
    maxDiff = None


def run(script: Path, machines: list[Machine], log: Log) -> bool:
    """Whether it passed. What went wrong is said in the script's own lines."""

    def start_all() -> None:
        for machine in machines:
            machine.start()

    def join_all() -> None:
        for machine in machines:
            machine.wait_for_shutdown()

    @contextmanager
    def subtest(name: str) -> Iterator[None]:
        with log.nested(f"subtest: {name}"):
            try:
                yield
            except Exception as error:
                log.error(f'Test "{name}" failed with error: "{error}"')
                raise

    symbols = {
        "__name__": "__test_script__",
        **{machine.name.replace("-", "_"): machine for machine in machines},
        "machines": machines,
        "start_all": start_all,
        "join_all": join_all,
        "subtest": subtest,
        "retry": retry,
        "log": log,
        "os": os,
        "t": _AssertionTester(),
    }
    try:
        exec(compile(script.read_text(), str(script), "exec"), symbols)
    except Exception as error:
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(script)]
        log.depth = 0
        log.error("".join(traceback.format_list(ours) + traceback.format_exception_only(error)))
        return False
    return True
