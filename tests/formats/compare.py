#!/usr/bin/env python3
"""Compares the native serialisers with the real tools on random documents, byte for byte.

    tests/formats/compare.py [--documents N] [--seed N] [FORMAT[/DIALECT] ...]

The tools are those that nixpkgs runs. Two of them come from PyPI and are installed below target/ on the first run:
remarshal 0.17.1 (PyYAML, tomlkit 0.12) and remarshal 1.3.0 (ruamel.yaml, tomlkit 0.14). The others have to be there:

    NIX_ROOT       a directory to chroot into that has nix-instantiate and jq 1.7 or later, such as
                   mmdebstrap --variant=minbase --include=jq,nix-bin trixie DIRECTORY; needs root
    NIXPKGS_LIB    the lib directory of a nixpkgs
    STYLUA         the directory of the npm package @johnnymorganz/stylua, for lua/stylua

A tool that is not there is named, and its formats are SKIPPED. Exit status 1 if any document differs, or if the tool
itself does not read back a document of which format::misreadings says nothing. The dialect
toml-rs needs no tool: the suite compares it with the toml crate itself.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BATCH = 500


class Missing(Exception):
    """A tool that is not there."""


# --- the tools -------------------------------------------------------------------------------------------------------


def remarshal(version, to, cases):
    home = TARGET / "formats" / f"remarshal-{version}"
    python = home / "bin" / "python"
    if not python.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", home], check=True)
            subprocess.run([python, "-m", "pip", "install", "-q", f"remarshal=={version}"], check=True)
        except subprocess.CalledProcessError as error:
            shutil.rmtree(home, ignore_errors=True)
            raise Missing(f"remarshal {version}: {error}") from error
    lines = "".join(json.dumps({"to": to, "input": case["input"]}) + "\n" for case in cases)
    done = subprocess.run([python, HERE / "remarshal_lines.py"], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def in_nix_root(directory, command, stdin=b""):
    """Runs `command` in NIX_ROOT with /proc, and with `directory` at /work."""
    root = os.environ.get("NIX_ROOT")
    if not root or not Path(root, "usr/bin/nix-instantiate").exists():
        raise Missing("NIX_ROOT is not a directory with nix-instantiate and jq")
    script = (
        'mkdir -p "$0/work" && mount -t proc proc "$0/proc" && mount --bind "$1" "$0/work" && '
        'root=$0 && shift && exec chroot "$root" "$@"'
    )
    done = subprocess.run(["unshare", "--mount", "sh", "-ec", script, root, directory, *command], input=stdin, capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    return done.stdout


def nix(cases):
    """lib.generators, or builtins.toJSON."""
    lib = os.environ.get("NIXPKGS_LIB")
    if not lib or not Path(lib, "generators.nix").exists():
        raise Missing("NIXPKGS_LIB is not the lib directory of a nixpkgs")
    with tempfile.TemporaryDirectory() as directory:
        shutil.copytree(lib, Path(directory, "lib"))
        shutil.copy(HERE / "generators.nix", directory)
        Path(directory, "cases.json").write_text(json.dumps(cases))
        expression = "import /work/generators.nix { lib = import /work/lib; cases = /work/cases.json; }"
        command = ["env", "NIX_STATE_DIR=/tmp/nix", "HOME=/tmp"]
        command += ["nix-instantiate", "--store", "dummy://", "--eval", "--strict", "--json", "--expr", expression]
        return [{"text": text} for text in json.loads(in_nix_root(directory, command))]


def jq(cases):
    """`jq .` over what Nix's toJSON gives, as pkgs.formats.json does."""
    texts = "".join(f"\x1e{case['text']}\n" for case in nix(cases))
    with tempfile.TemporaryDirectory() as directory:
        out = in_nix_root(directory, ["jq", "--seq", "."], texts.encode()).decode()
    # --seq has a record separator before each document, on either side; in strings it would be escaped.
    return [{"text": text} for text in out.split("\x1e")[1:]]


def stylua(cases):
    """stylua over toLua, as pkgs.formats.lua does."""
    package = os.environ.get("STYLUA")
    if not package or not shutil.which("node"):
        raise Missing("STYLUA is not the directory of the npm package @johnnymorganz/stylua, or there is no node")
    to_lua = ("asBindings", "multiline")
    plain = [case | {"parameters": {k: v for k, v in case["parameters"].items() if k in to_lua}} for case in cases]
    lines = ""
    for case, lua in zip(cases, nix(plain), strict=True):
        code = ("" if case["parameters"].get("asBindings") else "return ") + lua["text"]
        wanted = {"columnWidth": 100, "indentWidth": 2, "indentUsingTabs": False} | case["parameters"] | {"code": code}
        lines += json.dumps(wanted) + "\n"
    command = ["node", HERE / "stylua_lines.cjs", package]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def java_properties(cases):
    """jq and iconv, as in pkgs/pkgs-lib/formats/java-properties; here with a libiconv that has JAVA, Python's own."""
    common = r'gsub("\\\\"; "\\\\") | gsub("\\n"; "\\n\\\n") | gsub("#"; "\\#") | gsub("!"; "\\!") | gsub("\\t"; "\\t") | gsub("\r"; "\\r")'
    code = rf'''to_entries | .[] | "\(.key | {common} | gsub(" "; "\\ ") | gsub("="; "\\=")) = \(
        .value | {common} | gsub("^ "; "\\ ") | gsub("\\n "; "\n\\ "))"'''
    results = []
    for case in cases:
        # The option's type coerces all values to strings.
        value = {name: plain_text(one) for name, one in case["input"].items()}
        with tempfile.TemporaryDirectory() as directory:
            text = in_nix_root(directory, ["jq", "-r", code], json.dumps(value).encode()).decode()
        units = "".join(c if c.isascii() else "".join(f"\\u{unit:04x}" for unit in utf16(c)) for c in text)
        comment = case["parameters"].get("comment", "Generated with Nix")
        header = subprocess.run(
            ["sh", "-c", 'echo "$0" | while read -r ln; do echo "# $ln"; done; echo', comment], capture_output=True, text=True
        ).stdout
        results.append({"text": header + units})
    return results


def utf16(char):
    data = char.encode("utf-16-be")
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def plain_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6f}" if isinstance(value, float) else str(value)


TOOLS = {
    "toml/tomlkit": lambda cases: remarshal("1.3.0", "toml", cases),
    "toml/tomlkit-0.17": lambda cases: remarshal("0.17.1", "toml", cases),
    "yaml_1_1/pyyaml": lambda cases: remarshal("0.17.1", "yaml", cases),
    "yaml_1_1/ruamel": lambda cases: remarshal("1.3.0", "yaml-1.1", cases),
    "yaml_1_2/ruamel": lambda cases: remarshal("1.3.0", "yaml-1.2", cases),
    "yaml_1_2/ruamel-headerless": lambda cases: remarshal("1.3.0", "yaml", cases),
    "json": jq,
    "hcl1": jq,
    "ini": nix,
    "iniWithGlobalSection": nix,
    "keyValue": nix,
    "systemd": nix,
    "gitIni": nix,
    "plist": nix,
    "lua/toLua": nix,
    "lua/stylua": stylua,
    "php": nix,
    "nixConf/formats": nix,
    "javaProperties": java_properties,
}

# --- the documents ---------------------------------------------------------------------------------------------------

STRINGS = """
~ null Null NULL true True TRUE false yes Yes YES no No NO on On ON off OFF y Y n N t f nULL tRue .inf -.inf +.inf .Inf
.nan .NaN inf nan NaN 0 -0 +0 00 007 017 018 0o17 0o18 0x1F 0xg 0b101 0b2 1_000 _1 1_ +1 -1 1. .5 -.5 +.5 ._ 1.5 1e3 1E3
1e+3 1e-3 1.e5 1.5e5 1.5e+5 .5e5 .5e+5 -_ +_ - + . .. ... --- 12:30 12:30:45 12:60 190:20:30 1:2:3.4 12:30.5 0:0 08:30
2020-01-01 2020-1-1 2020-01-01T10:00:00Z 2020-01-01t1:00:00.5-05:30 2020-01-0110:00:00 << = ! & * !x &x *x !! ? : - a
?x :x -x %x @x `x` # #x x# | |x > >x [x] {x} [ ] { } , a,b a:b a: :a "q" 'q' ' " it's "" '' \\ C:\\path\\x \\n $x ${HOME} $(x) %d
é ünïcødé 日本語 😀 \ufeff \u200b \ufffd \U0010fffe \ue000 \x01 \x1b \x7f \x80 \x9f
/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-x/bin http://[::1]:8080/?a=b&c=d user@host:~/x --flag=x
""".split()
STRINGS += [
    "\t", "\r", "\u00a0", "\x85", "\u2028", "\u2029", "a\x85b", "a\u2028", "", " ", "  ", " lead", "trail ", "a b", "a  b", "a: b", "a :b", "a #b", "a# b", "- a", "? a", ": a", "---a", "--- a", "... a",
    "a\tb", "\ta", "a\t", "a\nb", "a\n", "\na", "\n", "\n\n", "a\n\nb", "a\n b", "a \nb", "a\n\n", " \n", "\n ", "\r\n", "a\r\nb",
    "key = value", "[s]\nk=v", "; semi", "a\\", "a\\\\", "x" * 79, "x" * 81, "x" * 200, "é" * 90, "end:", "end#",
    '"""', "'''", '""""', "a\"'b", "a\"'\"\"b", "'''\"\"\"", "a\"\nb'", "a\\\nb", "a\"\"\"\nb", "tab\t\"q\"", "trail\"\n\"",
]  # fmt: skip
ALPHABET = "abcxyz019 .,:;-_=+/\\'\"#!?&*%@$^~`<>|()[]{}\n\té日😀\u2028\x85\x01\x7f"
FLOATS = [0.0, -0.0, 0.5, 1.0, -2.5, 3.141, 100.0, 1e14, 1e15, 1e16, 1e17, 1e20, 1e100, 1.5e300, 1e-4, 1e-5, 1.25e-5, 1e-6, 1e-7]
FLOATS += [5e-324, 1.7976931348623157e308, 123456789.125, 0.1, 1 / 3, 2.5e-10, 9007199254740993.0, 12345678901234567890.0]
INTEGERS = [0, 1, -1, 10, 8080, -300, 2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]


class Documents:
    """Random values that are hostile on purpose."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self):
        kind = self.random.random()
        if kind < 0.55:
            return self.random.choice(STRINGS)
        if kind < 0.75:
            return "".join(self.random.choices(ALPHABET, k=self.random.randint(1, 12)))
        if kind < 0.9:
            words = self.random.choices(["word", "a", "it's", '"q"', "é", "-", "b:", "#c", "x" * 30, "/a/b", "1", ""], k=self.random.randint(2, 60))
            return " ".join(words)
        if kind < 0.95:
            return "".join(self.random.choices(ALPHABET, k=self.random.randint(60, 300)))
        return "\n".join(self.random.choices(STRINGS, k=self.random.randint(2, 5)))

    def name(self):
        kind = self.random.random()
        if kind < 0.5:
            return self.random.choice(["a", "b", "key", "log-level", "max_jobs", "Z9", "x1", "workers", "settings"])
        if kind < 0.97:
            return self.random.choice(STRINGS)
        return self.text()[:150]

    def scalar(self, nulls=True):
        kind = self.random.random()
        if kind < 0.6:
            return self.text()
        if kind < 0.75:
            return self.random.choice(INTEGERS) if self.random.random() < 0.5 else self.random.randint(-(2**63), 2**63 - 1)
        if kind < 0.85:
            return self.random.choice(FLOATS) if self.random.random() < 0.7 else self.random.uniform(-1e6, 1e6)
        if kind < 0.95 or not nulls:
            return self.random.random() < 0.5
        return None

    def value(self, depth, nulls=True):
        kind = self.random.random()
        if depth <= 0 or kind < 0.5:
            return self.scalar(nulls)
        if kind < 0.72:
            return [self.value(depth - 1, nulls) for _ in range(self.size())]
        if kind < 0.77:
            return [self.attrs(depth - 1, nulls) for _ in range(self.size())]
        return self.attrs(depth - 1, nulls)

    def size(self):
        return self.random.choice([0, 1, 1, 2, 2, 3, 5, 7])

    def attrs(self, depth, nulls=True, value=None):
        value = value or (lambda: self.value(depth, nulls))
        # Nix gives attributes in the order of their names' bytes.
        attrs = {self.name(): value() for _ in range(self.size())}
        return dict(sorted(attrs.items(), key=lambda item: item[0].encode()))

    def atom(self, parameters):
        lists = parameters.get("listsAsDuplicateKeys") or parameters.get("listToValue") is not None
        if lists and self.random.random() < 0.3:
            least = 1 if parameters.get("listToValue") is not None else 0
            return [self.scalar() for _ in range(self.random.randint(least, 4))]
        return self.scalar()

    def parameters(self, format):
        pick, maybe = self.random.choice, lambda: self.random.random() < 0.5
        parameters = {}
        lists = pick(["no", "duplicates", "joined"])
        if lists == "duplicates":
            parameters["listsAsDuplicateKeys"] = True
        elif lists == "joined":
            parameters["listToValue"] = pick([",", " ", ", ", ""])
        if maybe():
            parameters["separator"] = pick(["=", " = ", ": ", " ", ":"])
        if maybe():
            parameters["booleans"] = pick(["true/false", "True/False", "yes/no", "on/off", "1/0"])
        if maybe():
            parameters["nulls"] = pick(["null", "empty", "comment"] + ["omit"] * (lists != "duplicates"))
        if maybe():
            parameters["strings"] = pick(["plain", "double-quoted", "single-quoted", "json", "shell"])
        if maybe():
            parameters["floats"] = pick(["fixed", "json"])
        if maybe():
            parameters["escapeKeys"] = maybe()
        if format == "keyValue" and maybe():
            parameters["indent"] = pick(["", "  ", "\t"])
        if format != "keyValue" and maybe():
            parameters["sectionNames"] = pick(["escaped", "plain"])
        return parameters

    def stylua(self, dialect):
        choices = [{}, {"columnWidth": 60}, {"indentWidth": 4}, {"indentUsingTabs": True}]
        return self.random.choice(choices) if dialect == "stylua" else {}

    def case(self, format, dialect):
        parameters, section = {}, lambda: self.attrs(0, value=lambda: self.atom(parameters))
        if format in ("ini", "iniWithGlobalSection", "keyValue"):
            parameters = self.parameters(format)
        if format == "systemd":
            parameters = {"listsAsDuplicateKeys": True}
        if format in ("ini", "systemd"):
            value = self.attrs(0, value=section)
        elif format == "iniWithGlobalSection":
            value = {"globalSection": section(), "sections": self.attrs(0, value=section)}
        elif format == "keyValue":
            value = section()
        elif format == "gitIni":
            atom = lambda: self.atom({"listsAsDuplicateKeys": True})
            deep = lambda: atom() if self.random.random() < 0.7 else self.attrs(0, value=deep)
            value = self.attrs(0, value=lambda: self.attrs(0, value=deep))
        elif format == "nixConf":
            names = lambda: self.random.choice([self.scalar(), [self.text() for _ in range(self.size())] * self.random.choice([1, 2])])
            value = self.attrs(0, value=names)
            value = {("extra-" * (self.random.random() < 0.3) + name): one for name, one in value.items()}
            value = dict(sorted(value.items(), key=lambda item: item[0].encode()))
            parameters = self.random.choice([{}, {"extraOptions": "a = b"}])
        elif format == "javaProperties":
            value = self.attrs(0, value=lambda: self.scalar(nulls=False))
            parameters = self.random.choice([{}, {"comment": "  two\nlines  "}])
        elif format == "lua" and self.random.random() < 0.3:
            value = {f"a{at}.b_{at}": self.value(2) for at in range(self.size())}
            parameters = {"asBindings": True} | self.stylua(dialect)
        elif format == "lua":
            value = self.value(4)
            parameters = self.stylua(dialect) if dialect == "stylua" else self.random.choice([{}, {"multiline": False}])
        elif format == "plist":
            value = self.value(4)
            parameters = self.random.choice([{}, {"escape": False}])
        elif format == "php":
            value = self.value(4)
            parameters = self.random.choice([{}, {"finalVariable": "config"}])
        elif format == "hcl1":
            value = self.attrs(4)
        elif format == "toml":
            value = self.attrs(self.random.randint(1, 5), nulls=False)
        elif self.random.random() < 0.1:
            value = self.value(2)
        else:
            value = self.attrs(self.random.randint(1, 5))
        parameters = {} if format == "systemd" else parameters
        case = {"format": format, "parameters": parameters, "input": value}
        return case | ({"dialect": dialect} if dialect else {})


# --- the comparison --------------------------------------------------------------------------------------------------


def rendered(cases):
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    command = ["cargo", "run", "-q", "--example", "render_lines"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(done.stderr)
    return [json.loads(line) for line in done.stdout.split("\n")[:-1]]


def compare(name, count, seed, show):
    format, _, dialect = name.partition("/")
    documents = Documents(f"{name} {seed}")
    equal, refused, misread, different, silent = 0, 0, 0, [], []
    for start in range(0, count, BATCH):
        cases = [documents.case(format, dialect) for _ in range(min(BATCH, count - start))]
        for case, ours, theirs in zip(cases, rendered(cases), TOOLS[name](cases), strict=True):
            if "text" in theirs and ours.get("text") == theirs["text"]:
                equal += 1
                if not theirs.get("reads_back", True):
                    misread += 1
                    if not ours["misreading"]:
                        silent.append((case, ours, theirs))
            elif "error" in ours and "error" in theirs:
                refused += 1
            else:
                different.append((case, ours, theirs))
    verdict = "equal" if not different else "DIFFERENT"
    print(f"{name}: {equal} of {count} equal, {refused} refused by both, {len(different)} different: {verdict}")
    if misread:
        print(f"  {misread} do not read back with the tool itself, {len(silent)} of them without a warning of ours")
    shown = different + silent
    for case, ours, theirs in sorted(shown, key=lambda one: len(json.dumps(one[0])))[:show]:
        print(f"  case   {json.dumps(case, ensure_ascii=False)}\n  ours   {ours}\n  theirs {theirs}")
    sys.stdout.flush()
    return not shown


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("formats", nargs="*", choices=[*TOOLS, []], metavar="FORMAT[/DIALECT]")
    parser.add_argument("--documents", type=int, default=2000, help="for each format and dialect (default 2000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=3, help="how many differences to show, shortest first")
    arguments = parser.parse_args()
    good = True
    for name in arguments.formats or TOOLS:
        try:
            good &= compare(name, arguments.documents, arguments.seed, arguments.show)
        except Missing as missing:
            print(f"{name}: SKIPPED, NOT COMPARED: {missing}", flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
