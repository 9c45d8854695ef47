"""Trees that dynix works on with --root: plans, logs, and commands on them."""

import json
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
HEADER = "{ overrides, config, lib, pkgs, ... }: overrides\n"
# Nothing of who runs it: a longer environment is more to read at every start.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


class Absent(Exception):
    """What a measurement needs is not on this machine."""


def release():
    """The release build, which alone is worth measuring."""
    program = Path(os.environ.get("DYNIX", REPOSITORY / "target/release/dynix"))
    if not program.exists():
        raise Absent(f"there is no {program}: cargo build --release")
    return program


@contextmanager
def scratch(name):
    """A directory on a tmpfs, of the same name every time."""
    place = _memory() / f"dynix-{name}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _memory():
    """Where files are in memory and only root makes names, as in /run: below a directory for everybody, such as /dev/shm,
    dynix looks at every directory each time."""
    kinds = {words[1]: words[2] for words in (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())}
    for place in ("/run", "/dev"):
        if kinds.get(place) in ("tmpfs", "devtmpfs") and os.access(place, os.W_OK):
            return Path(place)
    return Path(tempfile.gettempdir())


class Tree:
    """A root directory with a plan, generated and proven as any."""

    def __init__(self, root, services, dynix, static=None):
        self.root, self.words = root, [str(dynix), "--root", str(root)]
        root.mkdir(parents=True)
        (root / "description.json").write_text(json.dumps({"version": 1, "services": services}))
        generate = [dynix, "generate", "--description", root / "description.json", "--out", root / "etc/dynix"]
        generate += ["--static-root", static or REPOSITORY / "descriptions"]
        said = subprocess.run(generate, capture_output=True, text=True, env=ENVIRONMENT, check=False)
        if said.returncode != 0:
            raise RuntimeError(said.stderr)

    def run(self, *words, check=True):
        """Runs dynix on it; its standard error is shown only where it fails."""
        done = subprocess.run([*self.words, *words], capture_output=True, text=True, env=ENVIRONMENT, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"dynix {' '.join(words)} exited with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def log(self, records):
        """Writes a log of `records` records, as dynix writes them, over 50 settings of 20 services."""
        path = self.root / "etc/nixos/dynamic.nix"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as log:
            log.write(HEADER)
            log.writelines(
                f'{{ id = {number}; time = "2026-11-21T10:00:00Z"; by = "root"; '
                f"set.services.service{number % 20}.settings.key{number % 50} = {number}; }}\n"
                for number in range(1, records + 1)
            )
        return path

    def forget(self):
        """Without what dynix notes beside the log."""
        shutil.rmtree(self.root / "var/cache", ignore_errors=True)
        shutil.rmtree(self.root / "var/lib/dynix", ignore_errors=True)


def harmonias(count):
    """Descriptions of `count` services like harmonia."""
    template = json.loads((REPOSITORY / "descriptions/harmonia.json").read_text())["services"]["harmonia"]
    text = json.dumps(template)
    names = [f"service{number}" for number in range(count)]
    return {
        name: json.loads(text.replace("services.harmonia", f"services.{name}").replace("harmonia.service", f"{name}.service"))
        for name in names
    }
