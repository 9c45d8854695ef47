#!/usr/bin/env python3
"""Compares the native serialisers with the real tools on random documents, byte for byte.

    tests/formats/compare.py [--documents N] [--seed N] [FORMAT[/DIALECT] ...]

The tools are those that nixpkgs runs. Some come from PyPI and are installed below target/ on the first run: remarshal
0.17.1 (PyYAML, tomlkit 0.12) and 1.3.0 (ruamel.yaml, tomlkit 0.14), black 24.10.0 and 26.1.0. The others have to be there:

    NIX_ROOT       a directory to chroot into that has nix-instantiate and jq 1.7 or later, such as
                   mmdebstrap --variant=minbase --include=jq,nix-bin trixie DIRECTORY; needs root
    NIXPKGS_LIB    the lib directory of a nixpkgs
    TOOLS_ROOT     a directory to chroot into that has Elixir, and the libraries that read files back, such as
                   mmdebstrap --variant=essential trixie DIRECTORY --include=libconfig11,python3 \
                       --include=libtypesafe-config-java,default-jdk-headless,elixir
    HOCON_GENERATOR, HOCON_GENERATOR_LINES, LIBCONFIG_GENERATOR
                   the programs that nixpkgs builds from pkgs/pkgs-lib/formats; for hocon/lines a revision that puts a
                   line break after the includes
    PATH           has xmllint, for xml
    EDN_FORMAT     pkgs/pkgs-lib/formats/edn/default.nix of a nixpkgs that has it, for edn
    ZPRINT         a command that runs zprint 1.3.0, for edn/zprint
    JSON2CDN_JAR   json2cdn.jar of nixpkgs' json2cdn, for cdn; and java
    STYLUA         the directory of the npm package @johnnymorganz/stylua, for lua/stylua

A tool that is not there is named, and its formats are SKIPPED. Exit status 1 if any document differs, or if the
tool itself, or an independent reader (readers.py), does not read back a document of which format::misreadings says
nothing. Readers that have to be installed: git, lua5.4, php-cli. The dialect
toml-rs needs no tool: the suite compares it with the toml crate itself.
"""

import argparse
import json
import subprocess
import sys

from documents import Documents
from readers import NoReader
from tools import ROOT, Missing, comparisons

BATCH = 500


def rendered(cases):
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    command = ["cargo", "run", "-q", "--example", "render_lines"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(done.stderr)
    return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def case_of(name, parameters, value):
    format, _, dialect = name.partition("/")
    case = {"format": format, "parameters": parameters, "input": value}
    return case | ({"dialect": dialect} if dialect else {})


def compare(name, comparison, count, seed, show):
    documents = Documents(f"{name} {seed}")
    reader = comparison.reader
    equal, refused, read, misread, different, silent = 0, 0, 0, 0, [], []
    for start in range(0, count, BATCH):
        cases = [case_of(name, *comparison.document(documents)) for _ in range(min(BATCH, count - start))]
        for one, ours, theirs in zip(cases, rendered(cases), comparison.run(cases), strict=True):
            if "text" in theirs and ours.get("text") == theirs["text"]:
                equal += 1
                reads_back = theirs.get("reads_back")
                if reader and reads_back is None:
                    reads_back = reader(one, theirs["text"])
                read += reads_back is not None
                if reads_back is False:
                    misread += 1
                    if not ours["misreading"]:
                        silent.append((one, ours, theirs))
            elif "error" in ours and "error" in theirs:
                refused += 1
            else:
                different.append((one, ours, theirs))
    verdict = "equal" if not different else "DIFFERENT"
    print(f"{name}: {equal} of {count} equal, {refused} refused by both, {len(different)} different: {verdict}")
    if not read:
        print("  NOT READ BACK: there is no reader")
    else:
        print(f"  {read} read by a reader: {misread} say something else, {len(silent)} of them without a warning of ours")
    shown = different + silent
    for case, ours, theirs in sorted(shown, key=lambda shown: len(json.dumps(shown[0])))[:show]:
        print(f"  case   {json.dumps(case, ensure_ascii=False)}\n  ours   {ours}\n  theirs {theirs}")
    sys.stdout.flush()
    return not shown


def main():
    known = comparisons()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("formats", nargs="*", choices=[*known, []], metavar="FORMAT[/DIALECT]")
    parser.add_argument("--documents", type=int, default=2000, help="for each format and dialect (default 2000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=3, help="how many differences to show, shortest first")
    arguments = parser.parse_args()
    good = True
    for name in arguments.formats or known:
        try:
            good &= compare(name, known[name], arguments.documents, arguments.seed, arguments.show)
        except NoReader as missing:
            print(f"{name}: SKIPPED, NOT COMPARED: there is no reader: {missing}", flush=True)
        except Missing as missing:
            print(f"{name}: SKIPPED, NOT COMPARED: {missing}", flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
