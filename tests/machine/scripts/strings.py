"""A string is data: whatever syntax it looks like, it arrives as exactly that string, through every kind of file."""

import json
import shlex

STRINGS = [
    # Nix
    '${builtins.readFile "/etc/passwd"}',
    "''${x}'' + ''\n'' \\${y} $${z} ''\\n",
    '"; } // { id = 99; set.a = 1; } # "',
    # shells
    "$(touch /pwned) `touch /pwned` ; touch /pwned & | > /pwned < /etc/passwd",
    "a'b\"c\\d\\\\e\\n\\x41 $HOME ${HOME} $$ ! # ~ * ? [a] {b,c}",
    # systemd
    "%n %h %% %i $MAINPID ${WORDS_FLAGS} $WORDS_FLAGS \\x20 \\040",
    "line\n[Service]\nExecStart=/bin/false\n\ttab\rreturn\\\ncontinued",
    "# comment\n; comment",
    # JSON, YAML, TOML, INI
    "yes",
    "null",
    "0x10",
    "1e3",
    "2026-11-21",
    "- a: b, [c], {d: e} # f",
    "key: |\n  block\n",
    '"""\n\'\'\'\n"""',
    # words
    "",
    " ",
    "  two  blanks  ",
    "--end",
    "-",
    # Unicode
    "äöü ß € 漢字 \U0001f600 \u200b\u202e\u2028 \u00a0",
    "\u0001\u001b[31mred\u007f\u0085",
    # long
    "x" * 20000,
]


def pid(unit: str) -> str:
    return machine.get_unit_property(unit, "MainPID")


def subject() -> str:
    answer = machine.wait_until_succeeds("timeout 5 cat < /dev/tcp/127.0.0.1/7000", timeout=20)
    return json.loads(answer)["text"]


def gotosocial() -> str:
    answer = machine.wait_until_succeeds("curl --silent --fail http://localhost:8080/stand-in/settings", timeout=20)
    return json.loads(answer)["application-name"]


def words() -> list[str]:
    """The arguments as JSON, because a line is no frame for them."""
    path = f"/proc/{pid('words.service')}/cmdline"
    program = f"import json; print(json.dumps(open('{path}', 'rb').read().decode().split('\\0')))"
    return json.loads(machine.succeed(f"python3 -c {shlex.quote(program)}"))


start_all()
for unit in ["subject.service", "gotosocial.service", "words.service"]:
    machine.wait_for_unit(unit)

for number, text in enumerate(STRINGS, 1):
    with subtest(f"string {number}: {text[:40]!r}"):
        value = shlex.quote(text)
        machine.succeed(f"dynix append --string -- services.subject.settings.text {value}")
        machine.succeed(f"dynix append --string -- services.gotosocial.settings.application-name {value}")
        machine.succeed(f"dynix append --string -- services.words.text {value}")
        machine.succeed("apply-dynamic-configuration")
        t.assertEqual(subject(), text)
        t.assertEqual(gotosocial(), text)
        t.assertEqual(words()[-4:], ["--text", text, "--end", ""])
        t.assertEqual(json.loads(machine.succeed("dynix get --json services.subject.settings.text"))["value"], text)

with subtest("none of them was run, and the log is still one that Nix reads"):
    machine.fail("test -e /pwned")
    collect = "let collect = n: { __functor = _: record: collect (n + 1); inherit n; }; in"
    records = "import /etc/nixos/dynamic.nix { overrides = collect 0; config = 0; lib = 0; pkgs = 0; }"
    count = machine.succeed(f"nix-instantiate --eval --expr {shlex.quote(f'{collect} ({records}).n')}")
    t.assertEqual(int(count), 3 * len(STRINGS))

with subtest("names are data, too"):
    for text in ["a.b", '${x}"\\', "[Service]", "yes", "ünï", "with"]:
        name = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
        path = f'services.gotosocial.settings."{name}"'
        machine.succeed(f"dynix append {shlex.quote(path)} here --apply")
        answer = machine.wait_until_succeeds("curl --silent --fail http://localhost:8080/stand-in/settings", timeout=20)
        t.assertEqual(json.loads(answer)[text], "here")
