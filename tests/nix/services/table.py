"""docs/services.md: what `measure` found, as a table."""

import re

HEAD = """# Services

<!-- Written by tests/nix/services/measure --write; the notes are in tests/nix/services/cases. -->

{count} services of nixpkgs with structured settings, each evaluated with its module as it was in 2026, configured as
somebody would have it, and made dynamic with `dynamicism.for.NAME.enable = true;`. What the units name was made with the
tools that nixpkgs runs, and `dynix generate` looked for the file in it and proved it.

**{working} of {count} work ({share} %): {line} in that one line, {option} with the option's path beside it, because it is not
services.NAME.settings, .configuration or .config{more}.**
What the file has besides the settings is said in `modules/dynamicism/` for {given}.

The modules were transcribed by hand from one snapshot of nixpkgs: the options' types and what becomes of their values are
theirs. Descriptions, examples, aliases of old names and, for many, the sandboxing lines of units were left out; of knot,
sshwifty, bifrost, ergochat and qdrant more was (scalar options, large default values). evdevremapkeys, bifrost,
cliproxyapi, dufs and evremap are from other commits, autosuspend from one of about 2024. They were evaluated with the module
system of nixpkgs 26.11 in a NixOS 20.09 (which knows `notify-reload` for it, and checks no unit's directives), for a whole tree
of today could not be had where this was measured. On one, `DYNIX_NIXPKGS=... tests/nix/services/measure --write` should do
without all of that (tests/nix/services/nixpkgs.nix); that was not tried.

*Where* is what of the unit leads to the file; none, where the program knows the place under /etc by itself. *Attach* is how
the unit sees the dynamic one ([description.md](description.md#files)): a bind mount over the path that the unit reads, a
credential, variables on top of the unit's own, or its command line (`environment`).
*Proof* is `bytes` where dynix writes the very bytes, `data` where it writes the same data otherwise.
greetd and teleport start sessions of users, which a bind cuts off from the mounts of the system: that has to be accepted
(`units.UNIT.privateMounts`, [description.md](description.md#what-a-bind-takes)).
*Reload* is what the unit offers; it is used where `units.UNIT.onChange = "reload"` says that it is enough.
The validator that the module itself runs (`modules/dynamicism/checks.nix`) judges new values, if it accepts the static ones, of
{checked}.
For alertmanager, dnsmasq and nats that was seen in the test machine (`tests/machine/run validators`); here are no programs.
{flows}
| service | option | format | where | attach | proof | dynamic user | reload |{column}
| --- | --- | --- | --- | --- | --- | --- | --- |{line_below}
"""

FLOWS = """*Also* is what else of the system follows the settings (`dynix prove`): with another value there, dynix says what a
rebuild would change besides. *Values beside it* are lost in a rebuild, because all of a set is a default there
([soundness.md](soundness.md#where-a-default-is-a-set)), or can't be told apart.
"""
NO_FLOWS = """What else of the system follows the settings was not measured here (`--flows`).
"""

REST = """
## What does not work, and what it takes

| service | why | what it takes |
| --- | --- | --- |
"""


def unit_values(result, key):
    return [value for text in result.get("units", {}).values() for value in re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)]


def where(found):
    """A chain of what leads to a file, without hashes and the names of units."""
    found = re.sub(r"/nix/store/[0-9a-z]{32}-([-+._?=0-9A-Za-z]+)[^ ;,]*", r"`\1`", found)
    found = re.sub(r" of [-@.:_0-9A-Za-z]+\.service", "", found)
    return found.replace("; by its data", "").replace("|", "\\|")


def also(result):
    """What the settings flow into, but the service's own units and values."""
    flows = result["flows"]
    if "error" in flows:
        return f"not found out: {flows['error'][:100].replace('|', ' ')}"
    own = set(result.get("units", {}))
    names = [name for kind in ("unit", "etc", "user", "group", "package") for name in flows.get(kind, []) if name not in own]
    told = names[:4] + ([f"{len(names) - 4} more"] if len(names) > 4 else [])
    return ", ".join(told + (["values beside it"] if flows.get("within") or flows.get("value") else []))


def given(result):
    """Whether the modules say of what the file is made."""
    return result["description"].get("find", {}).get("value") is not None


def reload(result):
    if any("reload" in value for value in unit_values(result, "Type")):
        return "notify-reload"
    commands = unit_values(result, "ExecReload")
    return "" if not commands else "SIGHUP" if "HUP" in commands[0] else "command"


def row(result):
    [(file, proof)] = list(result["proof"].items())[:1]
    attach = result["plan"]["files"][file]["attach"]
    dialect = f" ({proof['dialect']})" if proof.get("dialect") else ""
    cells = [
        result["name"],
        next(iter(result["plan"]["options"])),
        proof["format"] + dialect,
        where(proof.get("found", "")),
        next(iter(attach)),
        proof["level"],
        "yes" if "true" in unit_values(result, "DynamicUser") else "",
        reload(result),
    ]
    cells += [also(result)] if "flows" in result else []
    return "| " + " | ".join(cells) + " |"


def refusal(result, takes):
    text = re.sub(r"/nix/store/[0-9a-z]{32}-", "", result["refused"])
    text = re.sub(r"^cannot generate from \S+: the (files of a service can't be found|description is refused): ", "", text)
    if "no file was found" in text:
        inlined = re.search(r"becomes (\S+) is a script that has the value in it as JSON", text)
        text = f"{inlined[1]} has the value in it as JSON" if inlined else "no file that its units lead to is the settings"
    return f"| {result['name']} | {text[:160].strip().replace('|', ' ')} | {takes.get(result['name'], '')} |"


def render(results, takes):
    working = [one for one in results if "proof" in one]
    plain = [one for one in working if not one["dynamic"]]
    option = [one for one in working if set(one["dynamic"]) == {"options"}]
    more = len(working) - len(plain) - len(option)
    head = HEAD.format(
        count=len(results),
        working=len(working),
        share=round(100 * len(working) / len(results)),
        line=len(plain),
        given=", ".join(one["name"] for one in working if given(one)),
        checked=", ".join(one["name"] for one in working if one["description"].get("check")),
        option=len(option),
        flows=FLOWS if any("flows" in one for one in working) else NO_FLOWS,
        column=" also |" if any("flows" in one for one in working) else "",
        line_below=" --- |" if any("flows" in one for one in working) else "",
        more=f", {more} with more" if more else "",
    )
    refused = [refusal(one, takes) for one in results if "proof" not in one]
    return head + "\n".join(map(row, working)) + "\n" + REST + "\n".join(refused) + "\n"
