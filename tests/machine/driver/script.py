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


def run(script: Path, machine: Machine, log: Log) -> bool:
    """Whether it passed. What went wrong is said in the script's own lines."""

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
        "machine": machine,
        "machines": [machine],
        "start_all": machine.start,
        "join_all": machine.wait_for_shutdown,
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
