"""The command line: which tests to run, with which dynix."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from . import host, rootfs, script, system
from .container import Container
from .log import Log, complain
from .machine import Machine
from .network import Network

Table = dict[str, Any]

_TESTS = Path(__file__).resolve().parent.parent
_REPOSITORY = _TESTS.parent.parent


def main() -> int:
    tests = tomllib.loads((_TESTS / "tests.toml").read_text())
    arguments = _parse(tests)
    if arguments.list:
        print("\n".join(tests))
        return 0
    if (obstacle := host.obstacle()) is not None:
        complain(f"cannot run machine tests: {obstacle}")
        return host.CANNOT
    if arguments.can:
        return 0
    log = Log()
    if arguments.rootfs:
        if (base := _obtain(log)) is None:
            return host.CANNOT
        print(base)
        return 0
    if not arguments.dynix.is_file():
        complain(f"there is no dynix at {arguments.dynix}; run cargo build, or name one with --dynix")
        return 2
    if (status := host.isolate()) is not None:
        return status
    limit(arguments.timeout)
    if (base := _obtain(log)) is None:
        return host.CANNOT
    failed = [name for name in arguments.tests or tests if not _run(name, tests[name], arguments, base, log)]
    if failed:
        log.say(f"FAILED: {' '.join(failed)}")
    return 1 if failed else 0


def _obtain(log: Log) -> Path | None:
    try:
        return rootfs.obtain(log)
    except rootfs.Unbuildable as error:
        complain(f"cannot run machine tests: cannot build the root file system: {error}")
        return None


def _parse(tests: Table) -> argparse.Namespace:
    target = Path(os.environ.get("CARGO_TARGET_DIR") or _REPOSITORY / "target")
    parser = argparse.ArgumentParser(
        prog="tests/machine/run",
        description="Runs NixOS test scripts in systemd-nspawn machines. docs/machine-tests.md says more.",
    )
    parser.add_argument("tests", nargs="*", metavar="TEST", help=f"all where none is named: {', '.join(tests)}")
    parser.add_argument("--dynix", type=Path, default=target / "debug/dynix", help="program under test (%(default)s)")
    parser.add_argument("--timeout", type=int, default=600, help="seconds for the whole run (%(default)s)")
    parser.add_argument("--shell", action="store_true", help="a shell in the machine instead of the script")
    parser.add_argument("--list", action="store_true", help="the names of all tests")
    parser.add_argument("--rootfs", action="store_true", help="only make the root file system, and print its path")
    parser.add_argument("--can", action="store_true", help=f"only tell whether it can; {host.CANNOT} where not")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.tests if name not in tests]:
        parser.error(f"there is no test {' '.join(unknown)}; there are {', '.join(tests)}")
    arguments.dynix = arguments.dynix.resolve()
    return arguments


def _program(name: str, dynix: Path) -> Path:
    """One of the host's, or of those that are built with dynix."""
    beside = dynix.parent / name
    place = str(beside) if beside.is_file() else shutil.which(name)
    if place is None:
        raise FileNotFoundError(f"there is no {name} beside {dynix} or in PATH; run cargo build, or install it")
    return Path(place)


def limit(timeout: int) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"not done within {timeout} s")

    signal.signal(signal.SIGALRM, end)
    signal.alarm(timeout)


def _run(name: str, test: Table, arguments: argparse.Namespace, base: Path, log: Log) -> bool:
    began = time.monotonic()
    services = [system.Service(one) for one in test["services"]]
    for service in services:
        if (stand_in := service.stand_in()) is not None:
            log.loudly(f"STAND-IN: {stand_in}")
    names = test.get("machines", ["machine"])
    programs = {one: _program(one, arguments.dynix) for one in test.get("programs", [])}
    out = Path(tempfile.gettempdir()) / "dynix-machine-out"
    with ExitStack() as stack:
        network = None
        if len(names) > 1:
            network = Network(names)
            stack.callback(network.discard)
        machines = []
        for node in names:
            container = Container(base)
            stack.callback(container.discard)
            users = system.add_users(container, test.get("users", []))
            homes = [user for user in users if user.name in test.get("homes", [])]
            system.install(container, services, test.get("description", {}), arguments.dynix, log, homes)
            for program, place in programs.items():
                container.bind(place, f"/usr/bin/{program}")
            container.environment |= test.get("environment", {})
            if network is not None:
                container.hostname, container.network = node, network.of(node)
                (container.root / "etc/hostname").write_text(f"{node}\n")
                with (container.root / "etc/hosts").open("a") as hosts:
                    hosts.write(network.hosts())
            machines.append(Machine(container, log, out, node, network))
        if arguments.shell:
            for machine in machines:
                machine.start()
            machines[0].interact()
            return True
        passed = script.run(_TESTS / test["script"], machines, log)
        for machine in machines if not passed else ():
            log.say(machine.last_words(), machine.name if len(machines) > 1 else None)
    log.say(f"{'passed' if passed else 'FAILED'}: {name} ({time.monotonic() - began:.1f} s)")
    sys.stdout.flush()
    return passed
