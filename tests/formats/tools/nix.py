"""Nix: lib.generators, builtins.toJSON, and the few lines of pkgs/pkgs-lib/formats; see generators.nix."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import readers

from . import HERE, Comparison, Missing


def in_nix_root(directory, command, stdin=b""):
    """Runs `command` in NIX_ROOT with /proc, and with `directory` at /cases."""
    root = os.environ.get("NIX_ROOT")
    if not root or not Path(root, "usr/bin/nix-instantiate").exists():
        raise Missing("NIX_ROOT is not a directory with nix-instantiate and jq")
    script = (
        'mkdir -p "$0/cases" && mount -t proc proc "$0/proc" && mount --bind "$1" "$0/cases" && '
        'root=$0 && shift && exec chroot "$root" "$@"'
    )
    command = ["unshare", "--mount", "sh", "-ec", script, root, directory, *command]
    done = subprocess.run(command, input=stdin, capture_output=True)
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
        expression = "import /cases/generators.nix { lib = import /cases/lib; cases = /cases/cases.json; }"
        command = ["env", "NIX_STATE_DIR=/tmp/nix", "HOME=/tmp"]
        command += ["nix-instantiate", "--store", "dummy://", "--eval", "--strict", "--json", "--expr", expression]
        texts = json.loads(in_nix_root(directory, command))
        return [{"error": "refused"} if text is None else {"text": text} for text in texts]


def atom(documents, lists=None):
    """A scalar; or also a list, of at least `lists` scalars."""
    if lists is not None and documents.random.random() < 0.3:
        return [documents.scalar() for _ in range(documents.random.randint(lists, 4))]
    return documents.scalar()


def lines_parameters(documents, format):
    """Those of ini, iniWithGlobalSection and keyValue; and what `atom` takes for lists."""
    if documents.random.random() < 0.3:
        return {}, None
    pick, maybe = documents.random.choice, lambda: documents.random.random() < 0.5
    parameters = {}
    lists = pick(["no", "duplicates", "joined"])
    if lists == "duplicates":
        parameters["listsAsDuplicateKeys"] = True
    elif lists == "joined":
        parameters["listToValue"] = pick([",", " ", ", ", ""])
    if maybe():
        parameters["separator"] = pick(["=", " = ", ": ", " ", ":"])
    if maybe():
        parameters["booleans"] = pick(["true/false", "True/False", "yes/no", "on/off", "1/0", "key/comment"])
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
    return parameters, {"no": None, "duplicates": 0, "joined": 1}[lists]


def sections(documents, lists):
    return documents.attrs(0, value=lambda: section(documents, lists))


def section(documents, lists):
    return documents.attrs(0, value=lambda: atom(documents, lists))


def ini(documents):
    parameters, lists = lines_parameters(documents, "ini")
    return parameters, sections(documents, lists)


def ini_with_global_section(documents):
    parameters, lists = lines_parameters(documents, "iniWithGlobalSection")
    return parameters, {"globalSection": section(documents, lists), "sections": sections(documents, lists)}


def key_value(documents):
    parameters, lists = lines_parameters(documents, "keyValue")
    return parameters, section(documents, lists)


def systemd(documents):
    return {}, sections(documents, 0)


def git_ini(documents):
    def deep():
        return atom(documents, 0) if documents.random.random() < 0.7 else documents.attrs(0, value=deep)

    return {}, documents.attrs(0, value=lambda: documents.attrs(0, value=deep))


def plist(documents):
    return documents.random.choice([{}, {"escape": False}]), documents.value(4)


def lua(documents):
    if documents.random.random() < 0.3:
        return {"asBindings": True}, lua_bindings(documents)
    return documents.random.choice([{}, {"multiline": False}]), documents.value(4)


def lua_bindings(documents):
    return {f"a{at}.b_{at}": documents.value(2) for at in range(documents.size())}


def php(documents):
    return documents.random.choice([{}, {"finalVariable": "config"}]), documents.value(4)


def nix_conf(documents):
    def setting():
        repeated = [documents.text() for _ in range(documents.size())] * documents.random.choice([1, 2])
        return documents.random.choice([documents.scalar(), repeated])

    value = {
        ("extra-" if documents.random.random() < 0.3 else "") + name: one
        for name, one in documents.attrs(0, value=setting).items()
    }
    value = dict(sorted(value.items(), key=lambda item: item[0].encode()))
    return documents.random.choice([{}, {"extraOptions": "a = b"}]), value


COMPARISONS = {
    "ini": Comparison(nix, ini, readers.ini),
    "iniWithGlobalSection": Comparison(nix, ini_with_global_section, readers.ini_with_global_section),
    "keyValue": Comparison(nix, key_value, readers.key_value),
    "systemd": Comparison(nix, systemd, readers.systemd),
    "gitIni": Comparison(nix, git_ini, readers.git),
    "plist": Comparison(nix, plist, readers.plist),
    "lua/toLua": Comparison(nix, lua, readers.lua),
    "php": Comparison(nix, php, readers.php),
    "nixConf/formats": Comparison(nix, nix_conf, readers.nix_conf),
}
