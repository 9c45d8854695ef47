"""The handle that test scripts hold: the methods of the NixOS test driver's `Machine`, with the same meaning.

After nixos/lib/test-driver/src/test_driver/machine in nixpkgs. What needs a screen, a keyboard or QEMU is not here. One
difference in time only: what is polled every second there is polled ten times a second here.
"""

import io
import re
import shlex
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from .container import Container
from .log import Log
from .network import Network

_POLL = 0.1


class RequestedAssertionFailed(Exception):
    """What a script asked for is not so. Named as in the NixOS test driver."""


def retry(function: Callable[[bool], bool], timeout_seconds: int = 900, timeout: int | None = None) -> None:
    """Calls `function` until it gives True; with True as its argument for the last time."""
    limit = timeout_seconds if timeout is None else timeout
    began = time.monotonic()
    while time.monotonic() - began < limit:
        if function(False):
            return
        time.sleep(_POLL)
    if not function(True):
        elapsed = time.monotonic() - began
        raise RequestedAssertionFailed(f"action timed out after {elapsed:.2f} seconds (timeout={limit})")


class Machine:
    """One machine."""

    def __init__(
        self, container: Container, log: Log, out: Path, name: str = "machine", network: Network | None = None
    ) -> None:
        self.name = name
        self._network = network
        self._container = container
        self._log = log
        self._out = out
        self._init: int | None = None
        self._rebooting_from: int | None = None

    def __repr__(self) -> str:
        return f"<Machine '{self.name}'>"

    # Its life

    @property
    def booted(self) -> bool:
        return self._container.is_running()

    @property
    def connected(self) -> bool:
        return self._init is not None

    def is_up(self) -> bool:
        return self.booted and self.connected

    def start(self, allow_reboot: bool = False) -> None:
        """`allow_reboot` is there for QEMU's sake: a container may always reboot."""
        if not self.booted:
            self.log("starting container")
            self._container.boot()

    def connect(self) -> None:
        if self._init is not None:
            return
        with self.nested("waiting for the container to finish booting"):
            self.start()
            retry(self._is_ready, 60)

    def _is_ready(self, _last: bool) -> bool:
        if not self._container.is_running():
            raise RequestedAssertionFailed("the container ended while it was booting")
        init = self._container.init()
        if init is None or init == self._rebooting_from or not _is_systemd(init):
            return False
        asked = self._container.enter(init, ["systemctl", "is-system-running"])
        if asked.stdout.decode().strip() not in ("starting", "running", "degraded", "maintenance"):
            return False
        self._init = init
        self._rebooting_from = None
        return True

    def shutdown(self) -> None:
        if self.booted:
            self.execute("systemctl poweroff --no-block", check_return=False)
            self.wait_for_shutdown()

    def wait_for_shutdown(self) -> None:
        with self.nested("waiting for the container to power off"):
            self._container.wait(timeout=120)
            self._init = None

    def crash(self) -> None:
        """A power failure. What was written is there at the next start; what was under /run is not."""
        self.log("forced crash")
        self._container.kill()
        self._init = None

    def reboot(self) -> None:
        """Ctrl+Alt+Delete, which reaches systemd as SIGINT (systemd(1), SIGNALS)."""
        self.connect()
        self._rebooting_from, self._init = self._init, None
        self._container.signal_init(signal.SIGINT)

    # Its network

    def block(self) -> None:
        """Pulls its cable."""
        assert self._network is not None, "it has no network"
        self._network.plug(self.name, False)

    def unblock(self) -> None:
        assert self._network is not None, "it has no network"
        self._network.plug(self.name, True)

    # Its log

    def log(self, text: str) -> None:
        self._log.say(text, self.name)

    def nested(self, text: str) -> AbstractContextManager[None]:
        return self._log.nested(text, self.name)

    # Commands

    def execute(
        self, command: str, check_return: bool = True, check_output: bool = True, timeout: int | None = 900
    ) -> tuple[int, str]:
        """Runs a shell command with `set -euo pipefail`; its exit status and standard output."""
        self.connect()
        assert self._init is not None
        # What was logged just now may be on its way still.
        settled = "journalctl --sync 2> /dev/null || true; " if "journalctl" in command else ""
        shell = ["bash", "-c", f"set -euo pipefail; {settled}{command}"]
        limited = shell if timeout is None else ["timeout", str(timeout), *shell]
        if not check_output:
            detached = f"{shlex.join(limited)} >/dev/null 2>&1 &"
            self._container.enter(self._init, ["bash", "-c", detached])
            return (-2, "")
        finished = self._container.enter(self._init, limited)
        return (finished.returncode if check_return else -1, finished.stdout.decode(errors="replace"))

    def succeed(self, *commands: str, timeout: int | None = None) -> str:
        output = ""
        for command in commands:
            with self.nested(f"must succeed: {command}"):
                status, text = self.execute(command, timeout=timeout)
                if status != 0:
                    self.log(f"output: {text}")
                    raise RequestedAssertionFailed(f"command `{command}` failed (exit code {status})")
                output += text
        return output

    def fail(self, *commands: str, timeout: int | None = None) -> str:
        output = ""
        for command in commands:
            with self.nested(f"must fail: {command}"):
                status, text = self.execute(command, timeout=timeout)
                if status == 0:
                    raise RequestedAssertionFailed(f"command `{command}` unexpectedly succeeded")
                output += text
        return output

    def wait_until_succeeds(self, command: str, timeout: int = 900) -> str:
        output = ""

        def check(last: bool) -> bool:
            nonlocal output
            status, output = self.execute(command, timeout=timeout)
            if last and status != 0:
                self.log(f"output: {output}")
            return status == 0

        with self.nested(f"waiting for success: {command}"):
            retry(check, timeout)
        return output

    def wait_until_fails(self, command: str, timeout: int = 900) -> str:
        output = ""

        def check(_last: bool) -> bool:
            nonlocal output
            status, output = self.execute(command, timeout=timeout)
            return status != 0

        with self.nested(f"waiting for failure: {command}"):
            retry(check, timeout)
        return output

    def sleep(self, secs: int) -> None:
        self.succeed(f"sleep {secs}")

    # Units

    def systemctl(self, q: str, user: str | None = None) -> tuple[int, str]:
        if user is not None:
            raise NotImplementedError("test machines have no user managers")
        return self.execute(f"systemctl {q}")

    def start_job(self, jobname: str, user: str | None = None) -> tuple[int, str]:
        return self.systemctl(f"start {jobname}", user)

    def stop_job(self, jobname: str, user: str | None = None) -> tuple[int, str]:
        return self.systemctl(f"stop {jobname}", user)

    def wait_for_job(self, jobname: str) -> None:
        self.wait_for_unit(jobname)

    def wait_for_unit(self, unit: str, user: str | None = None, timeout: int = 900) -> None:
        """Waits until it is active; one that failed, or that is inactive with no job to start it, is an error."""

        def check(_last: bool) -> bool:
            state = self.get_unit_property(unit, "ActiveState", user)
            if state == "failed":
                raise RequestedAssertionFailed(f'unit "{unit}" reached state "{state}"')
            if state == "inactive":
                _, jobs = self.systemctl("list-jobs --full 2>&1", user)
                if "No jobs" in jobs and self.get_unit_property(unit, "ActiveState", user) == state:
                    raise RequestedAssertionFailed(f'unit "{unit}" is inactive and there are no pending jobs')
            return state == "active"

        with self.nested(f"waiting for unit {unit}"):
            retry(check, timeout)

    def get_unit_info(self, unit: str, user: str | None = None) -> dict[str, str]:
        status, lines = self.systemctl(f'--no-pager show "{unit}"', user)
        if status != 0:
            raise RequestedAssertionFailed(f'retrieving info for unit "{unit}" failed with exit code {status}')
        return dict(line.split("=", 1) for line in lines.splitlines() if re.match("[^=]+=", line))

    def get_unit_property(self, unit: str, property: str, user: str | None = None) -> str:
        status, lines = self.systemctl(f'--no-pager show "{unit}" --property="{property}"', user)
        if status != 0:
            raise RequestedAssertionFailed(
                f'retrieving systemctl property "{property}" for unit "{unit}" failed with exit code {status}'
            )
        name, equals, value = lines.rstrip("\n").partition("=")
        assert (name, equals) == (property, "="), f'systemctl show --property "{property}" "{unit}" gave: {lines}'
        return value

    def require_unit_state(self, unit: str, require_state: str = "active") -> None:
        with self.nested(f"checking if unit '{unit}' has reached state '{require_state}'"):
            state = self.get_unit_property(unit, "ActiveState")
            if state != require_state:
                raise RequestedAssertionFailed(
                    f"Expected unit '{unit}' to to be in state '{require_state}' but it is in state '{state}'"
                )

    # Files and sockets

    def wait_for_file(self, filename: str, timeout: int = 900) -> None:
        with self.nested(f"waiting for file '{filename}'"):
            retry(lambda _last: self.execute(f"test -e {filename}")[0] == 0, timeout)

    def _accepts(self, addr: str, port: int) -> bool:
        return self.execute(f"timeout 5 bash -c '</dev/tcp/{addr}/{port}' 2>/dev/null")[0] == 0

    def wait_for_open_port(self, port: int, addr: str = "localhost", timeout: int = 900) -> None:
        with self.nested(f"waiting for TCP port {port} on {addr}"):
            retry(lambda _last: self._accepts(addr, port), timeout)

    def wait_for_closed_port(self, port: int, addr: str = "localhost", timeout: int = 900) -> None:
        with self.nested(f"waiting for TCP port {port} on {addr} to be closed"):
            retry(lambda _last: not self._accepts(addr, port), timeout)

    def wait_for_open_unix_socket(self, addr: str, is_datagram: bool = False, timeout: int = 900) -> None:
        kind = "SOCK_DGRAM" if is_datagram else "SOCK_STREAM"
        program = f"import socket; socket.socket(socket.AF_UNIX, socket.{kind}).connect({addr!r})"
        with self.nested(f"waiting for UNIX-domain socket on '{addr}'"):
            retry(lambda _last: self.execute(f"python3 -c {shlex.quote(program)} 2>/dev/null")[0] == 0, timeout)

    def wait_for_console_text(self, regex: str, timeout: int | None = None) -> None:
        def found(_last: bool) -> bool:
            return re.search(regex, self._container.console.read_text(errors="replace")) is not None

        with self.nested(f"waiting for {regex} to appear on console"):
            retry(found, 900 if timeout is None else timeout)

    def copy_from_host(self, source: str, target: str) -> None:
        """Copies a file or directory of the host to `target`, which is its new name."""
        self.connect()
        assert self._init is not None
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(source, arcname=Path(target).name)
        self.succeed(f"mkdir -p {shlex.quote(str(Path(target).parent))}")
        command = ["tar", "--extract", "--no-same-owner", f"--directory={Path(target).parent}"]
        if self._container.enter(self._init, command, given=archive.getvalue()).returncode != 0:
            raise RequestedAssertionFailed(f"cannot copy {source} to {target}")

    copy_from_host_via_shell = copy_from_host

    def copy_from_machine(self, source: str, target_dir: str = "") -> None:
        """Copies a file or directory of the machine into the run's output directory."""
        self.connect()
        assert self._init is not None
        path = Path(source)
        target = self._out / target_dir
        target.mkdir(parents=True, exist_ok=True)
        command = ["tar", "--create", f"--directory={path.parent}", path.name]
        copied = self._container.enter(self._init, command)
        if copied.returncode != 0:
            raise RequestedAssertionFailed(f"cannot copy {source}")
        with tarfile.open(fileobj=io.BytesIO(copied.stdout)) as tar:
            tar.extractall(target, filter="data")

    copy_from_vm = copy_from_machine

    # For the driver

    def last_words(self) -> str:
        """The console's end and the journal, for somebody who has to find out why a test failed."""
        console = self._container.console.read_text(errors="replace")[-4000:]
        text = f"--- console\n{console}"
        init = self._container.init()
        if init is not None:
            command = ["journalctl", "--no-pager", "--output=short-precise", "--lines=300"]
            try:
                journal = self._container.enter(init, command, timeout=20)
                text += f"\n--- journal\n{journal.stdout.decode(errors='replace')}"
            except subprocess.TimeoutExpired:
                text += "\n--- journal: it can't be read\n"
        return text

    def interact(self) -> None:
        """A shell in the machine, for somebody at a terminal."""
        self.connect()
        assert self._init is not None
        self._container.interact(self._init)


def _is_systemd(pid: int) -> bool:
    """Whether it is process 1 of its namespace, and past the activation that runs before systemd."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    numbers = re.search(r"^NSpid:\s*(.*)$", status, re.MULTILINE)
    return numbers is not None and numbers[1].split()[1:] == ["1"] and status.startswith("Name:\tsystemd\n")
