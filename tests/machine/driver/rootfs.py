"""The Debian root file system: built once by mmdebstrap, kept outside the repository, keyed by what it is made of."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from .log import Log

_RECIPE = Path(__file__).resolve().parent.parent / "rootfs.toml"


class Unbuildable(Exception):
    """The root file system can't be made here (no network, no mirror)."""


def cache() -> Path:
    """Where root file systems are kept."""
    if given := os.environ.get("DYNIX_MACHINE_CACHE"):
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dynix" / "machine"


def obtain(log: Log, recipe_file: Path = _RECIPE) -> Path:
    """The root file system's directory; never changed after it was made (machines use an overlay on it)."""
    recipe = tomllib.loads(recipe_file.read_text())
    builder = Path(__file__).read_bytes()
    key = hashlib.sha256(repr(sorted(recipe.items())).encode() + builder).hexdigest()[:16]
    directory = cache() / f"{recipe['suite']}-{key}"
    if directory.exists():
        return directory
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            with log.nested(f"building the root file system {directory} (once)"):
                _build(recipe, directory)
    return directory


def _build(recipe: dict[str, Any], directory: Path) -> None:
    partial = directory.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    unwanted = " ".join(recipe["unwanted"])
    command = [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(recipe['packages'])}",
        # Neither is read by any test.
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        f'--customize-hook=for unit in {unwanted}; do rm -f "$1"/etc/systemd/system/*.wants/$unit; done',
        recipe["suite"],
        str(partial),
    ]
    built = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if built.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        raise Unbuildable(f"mmdebstrap ended with {built.returncode}:\n{built.stdout[-3000:]}")
    partial.rename(directory)
