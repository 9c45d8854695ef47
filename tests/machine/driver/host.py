"""What the host has to have, and how nothing of a run is left on it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

# Exit status for "cannot run here", as automake and meson use it.
CANNOT = 77

# Private to a run: nspawn's own bookkeeping, and our machines.
SCRATCH = Path("/run/systemd/nspawn")

_PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
}
_NAMESPACES = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
_RUN = "DYNIX_MACHINE_RUN"


def obstacle() -> str | None:
    """Why machines can't be run here; None where they can."""
    if sys.platform != "linux":
        return f"needs Linux, this is {sys.platform}"
    if os.geteuid() != 0:
        return "needs root"
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        packages = sorted({_PROGRAMS[program] for program in missing})
        return f"needs {', '.join(missing)} (Debian: apt-get install {' '.join(packages)})"
    tried = subprocess.run([*_NAMESPACES, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        return f"needs to make namespaces: {tried.stderr.strip()}"
    return None


def isolate() -> int | None:
    """Runs this program again in mount and process namespaces of its own, and gives its exit status.

    None inside of them. They end with their first process, whatever ended that, and the kernel takes with them every
    process, mount and file of the run. Each link of the chain (this process, unshare, the first process inside) is
    killed when the one before it ends.
    """
    if _RUN in os.environ:
        SCRATCH.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(SCRATCH)], check=True)
        return None
    environment = os.environ | {_RUN: f"dynix-machine-{os.getpid()}"}
    sys.stdout.flush()
    inside = subprocess.Popen(["setpriv", "--pdeathsig=KILL", *_NAMESPACES, sys.executable, *sys.argv], env=environment)

    def end(number: int, _frame: FrameType | None) -> None:
        inside.kill()
        print(f"tests/machine/run: ended by {signal.Signals(number).name}", file=sys.stderr)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    status = inside.wait()
    for place in _hierarchies():
        for group in place.glob("dynix-machine-*"):
            # Also those of a run whose first process was killed.
            run = int(group.name.split("-")[2])
            if run == os.getpid() or not Path(f"/proc/{run}").exists():
                _remove(group)
    return status if status >= 0 else 128 - status


def make_cgroups(name: str) -> list[Path]:
    """Control groups for one machine, so that two machines at once don't share theirs; to be joined by nspawn."""
    groups = [place / f"{os.environ[_RUN]}-{name}" for place in _hierarchies()]
    for group in groups:
        group.mkdir()
    return groups


def _hierarchies() -> list[Path]:
    """Where this process is in the hierarchies that systemd uses: its own one, and the unified one."""
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own[controllers] = path
    places = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ", 1)
        kind, _, options = after.split(" ", 2)
        point = Path(before.split()[4])
        if kind == "cgroup2" and "" in own:
            places.append(point / own[""].lstrip("/"))
        elif kind == "cgroup" and "name=systemd" in options.split(",") and "name=systemd" in own:
            places.append(point / own["name=systemd"].lstrip("/"))
    return [place for place in places if place.is_dir()]


def _remove(group: Path) -> None:
    """Its processes are being killed; that may take a moment."""
    for _ in range(100):
        try:
            for path, _, _ in os.walk(group, topdown=False):
                os.rmdir(path)
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)
