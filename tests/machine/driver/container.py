"""One systemd-nspawn container on an overlay of the root file system.

Its lower layer is never written, its upper one is a tmpfs: a machine is made in milliseconds and leaves nothing behind
(host.py).
"""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from . import host

# Where NixOS keeps the system that is booted.
SYSTEM = "/nix/var/nix/profiles/system"

# What nspawn ends with when its container rebooted: with --keep-unit, starting it again is left to whoever started it.
_REBOOT = 133
_NUMBERS = itertools.count(1)
# By its path: a command sees the machine's PATH, in which the host's programs need not be.
_NSENTER = [shutil.which("nsenter") or "nsenter", "--all"]
_JOIN = 'while [ "$1" != -- ]; do echo $$ > "$1"; shift; done; shift; exec "$@"'
_ENVIRONMENT = {
    # As on NixOS; what Debian has comes after it.
    "PATH": "/run/wrappers/bin:/run/current-system/sw/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "LANG": "C.UTF-8",
}


class Container:
    """A root directory that can be prepared, booted, entered and thrown away."""

    def __init__(self, *layers: Path) -> None:
        """`layers`: the root file system, of several directories the first one on top."""
        self._name = f"machine-{next(_NUMBERS)}"
        self._directory = host.SCRATCH / self._name
        self._directory.mkdir()
        self._cgroups = host.make_cgroups(self._name)
        self._process: subprocess.Popen[bytes] | None = None
        self._mounts: list[Path] = []
        self.hostname = "machine"
        # A network namespace that is there already; None for one that has only the loopback interface.
        self.network: Path | None = None
        # Of every command that is run in it.
        self.environment = dict(_ENVIRONMENT)
        self.console = self._directory / "console"
        self._mount(self._directory, "-t", "tmpfs", "tmpfs")
        for place in ["upper", "work", "root"]:
            (self._directory / place).mkdir()
        self.root = self._directory / "root"
        lower = ":".join(map(str, layers))
        options = f"lowerdir={lower},upperdir={self._directory}/upper,workdir={self._directory}/work"
        self._mount(self.root, "-t", "overlay", "-o", options, "overlay")
        self.console.touch()

    def _mount(self, target: Path, *arguments: str) -> None:
        subprocess.run(["mount", *arguments, str(target)], check=True)
        self._mounts.append(target)

    def bind(self, source: Path, target: str, writable: bool = False) -> None:
        """Shows a file or directory of the host in the machine."""
        place = self.root / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            place.mkdir(exist_ok=True)
        else:
            place.touch()
        self._mount(place, "--bind", "-o", "rw" if writable else "ro", str(source))

    def hold(self, target: str) -> None:
        """A directory of the machine that is no overlay."""
        place = self._directory / "held" / target.lstrip("/")
        place.mkdir(parents=True)
        self.bind(place, target, writable=True)

    def run_unbooted(self, command: list[str]) -> str:
        """Runs a program in the root directory with no system up, as a build does; what it printed."""
        words = [*self._nspawn(), "--quiet", *command]
        finished = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if finished.returncode != 0:
            said = finished.stdout + finished.stderr
            raise RuntimeError(f"{' '.join(command)} ended with {finished.returncode}:\n{said}")
        return finished.stdout

    def boot(self) -> None:
        """Starts the machine; the system's own `init` is its process 1, as on NixOS."""
        with self.console.open("ab") as console:
            self._process = subprocess.Popen(
                [*self._nspawn(), "--kill-signal=SIGRTMIN+3", f"{SYSTEM}/init"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )

    def _nspawn(self) -> list[str]:
        """The words before those of the program that shall run; nspawn joins the machine's control groups first."""
        groups = [str(group / "cgroup.procs") for group in self._cgroups]
        return [
            *["sh", "-c", _JOIN, "join", *groups, "--"],
            "systemd-nspawn",
            f"--directory={self.root}",
            f"--machine={self._name}",
            f"--hostname={self.hostname}",
            # The host's systemd, where there is one, has no part in it.
            "--register=no",
            "--keep-unit",
            "--private-network" if self.network is None else f"--network-namespace-path={self.network}",
            "--console=pipe",
        ]

    def is_running(self) -> bool:
        """Whether it is up, or on its way there: one that rebooted is started again."""
        if self._process is not None and (self._process.poll() == _REBOOT or self._was_too_early()):
            self.boot()
        return self._process is not None and self._process.poll() is None

    def _was_too_early(self) -> bool:
        """Whether it was started while the one that was killed before it still held its directory."""
        assert self._process is not None
        return self._process.poll() == 1 and self.console.read_text(errors="replace").rstrip().endswith("is currently busy.")

    def init(self) -> int | None:
        """The machine's process 1, by its number on the host; None while there is none."""
        if not self.is_running():
            return None
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        try:
            numbers = children.read_text().split()
        except OSError:
            return None
        return int(numbers[0]) if numbers else None

    def enter(
        self, init: int, command: list[str], given: bytes = b"", timeout: float | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs a program in all of the machine's namespaces, with `given` as its input.

        Its standard error joins the driver's log, between the lines of the steps that it belongs to.
        """
        sys.stdout.flush()
        return subprocess.run(
            [*_NSENTER, "--target", str(init), *command],
            env=self.environment,
            input=given,
            stdout=subprocess.PIPE,
            stderr=sys.stdout.fileno(),
            timeout=timeout,
            check=False,
        )

    def interact(self, init: int) -> None:
        """A shell in the machine."""
        terminal = {"TERM": os.environ.get("TERM", "dumb")}
        subprocess.run([*_NSENTER, "--target", str(init), "bash", "-i"], env=self.environment | terminal, check=False)

    def signal_init(self, number: signal.Signals) -> None:
        if (init := self.init()) is not None:
            os.kill(init, number)

    def wait(self, timeout: float | None = None) -> None:
        """Until it has powered off."""
        if self._process is not None:
            self._process.wait(timeout)
            self._process = None

    def kill(self) -> None:
        """Pulls the plug."""
        if self._process is None:
            return
        # Process 1 does not end with nspawn. All of the machine's processes end with process 1, but one after the other,
        # which takes tenths of a second on a busy machine: in a power failure nobody sees that another one is gone.
        if (init := self.init()) is not None:
            os.kill(init, signal.SIGSTOP)
            for process in [*_descendants(init), init]:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            while _is_alive(init):
                time.sleep(0.005)
        self._process.kill()
        self._process.wait()
        self._process = None

    def discard(self) -> None:
        """Ends it and removes its files; what is still in use goes with the run's namespaces."""
        self.kill()
        for target in reversed(self._mounts):
            subprocess.run(["umount", "--lazy", str(target)], check=False)
        self._mounts.clear()
        self._directory.rmdir()


def _descendants(parent: int) -> list[int]:
    """All processes below one, which does not run."""
    found = []
    above = [parent]
    while above:
        try:
            children = Path(f"/proc/{above[0]}/task/{above[0]}/children").read_text().split()
        except OSError:
            children = []
        found += map(int, children)
        above = above[1:] + list(map(int, children))
    return found


def _is_alive(process: int) -> bool:
    """Whether it is there, and more than a number that nobody has asked for yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
