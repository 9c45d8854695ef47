"""Every .nix file parses and is formatted."""

import shutil

from .common import Absent, FIXTURES, command, nix, nix_files


def check_syntax():
    """every .nix file parses"""
    files = nix_files()
    nix.run("--parse", *files)
    return f"{len(files)} files"


def check_format():
    """every .nix file is formatted (nixfmt, RFC 166)"""
    formatter = shutil.which("nixfmt")
    if formatter is None:
        raise Absent("no nixfmt (cargo install nixfmt_rs)")
    files = [file for file in nix_files() if not file.is_relative_to(FIXTURES)]
    command([formatter, "--check", *files])
    return f"{len(files)} files"
