"""The real tools, a file a family.

Each file has `COMPARISONS`: by the name of a format and its dialect (`toml/tomlkit`), what is compared. A new file is
found by itself.
"""

import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from documents import Documents

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


class Missing(Exception):
    """A tool that is not there."""


@dataclass(frozen=True)
class Comparison:
    """A dialect of a format beside its tool."""

    run: Callable[[list[dict]], list[dict]]
    """A result for each case: `text`, or `error` where the tool refuses; `reads_back` false where the tool itself reads
    something else from that text."""

    document: Callable[[Documents], tuple[dict, object]]
    """A random document: parameters and value."""

    reader: Callable[[dict, str], bool | None] | None = None
    """Whether an independent reader finds a case's value in its text; see readers.py."""


def python_with(*requirements):
    """A Python with packages from PyPI, installed below target/ on the first run."""
    home = TARGET / "formats" / "+".join(requirements).replace("==", "-")
    python = home / "bin" / "python"
    if not python.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", home], check=True)
            subprocess.run([python, "-m", "pip", "install", "-q", *requirements], check=True)
        except subprocess.CalledProcessError as error:
            shutil.rmtree(home, ignore_errors=True)
            raise Missing(f"{' '.join(requirements)}: {error}") from error
    return python


def comparisons():
    """All of them, by name."""
    found = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        found |= getattr(importlib.import_module(f"tools.{module.name}"), "COMPARISONS", {})
    return found
