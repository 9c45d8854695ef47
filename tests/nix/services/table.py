"""docs/services.md: what `measure` found, as a table."""

import re

HEAD = """# Services

<!-- Written by tests/nix/services/measure --write; the notes are in tests/nix/services/cases. -->

The table has {count} services of nixpkgs with structured settings. Each was evaluated with its module as of 2026, with a realistic
configuration, and made dynamic with `dynamicism.for.NAME.enable = true;`. The files that the units name were made with the tools
that nixpkgs runs. `dynix generate` then looked for the settings file among them and proved it.

**{working} of {count} work ({share} %): {line} with that one line, {option} with the option's path as well, because it is not
services.NAME.settings, .configuration or .config{more}.**
For {given}, `modules/dynamicism/` states what the file contains besides the settings.

The modules were transcribed by hand from one snapshot of nixpkgs. The options' types and the use of their values are unchanged.
Descriptions, examples, aliases of old names and, for many, the sandboxing lines of units were left out. For knot, sshwifty,
bifrost, ergochat and qdrant more was left out (scalar options, large default values). evdevremapkeys, bifrost, cliproxyapi, dufs
and evremap are from other commits, autosuspend from one of about 2024. A whole tree of today was not available for the
measurement. So the modules were evaluated with the module system of nixpkgs 26.11 in a NixOS 20.09 (which was made to know
`notify-reload`, and does not check the directives of units). On a whole tree,
`DYNIX_NIXPKGS=... tests/nix/services/measure --write` should work without all of that (tests/nix/services/nixpkgs.nix); that was
not tried.

*Where* is the part of the unit that leads to the file. It is empty if the program knows the place under /etc by itself. *Attach*
is how the unit gets the dynamic file ([description.md](description.md#files)): a bind mount over the path that the unit reads, a
credential, variables that override the unit's own, or its command line (`environment`).
*Proof* is `bytes` if dynix writes exactly the same bytes, and `data` if it writes the same data in another layout.
greetd and teleport start sessions of users, which a bind cuts off from the mounts of the system. You have to accept that
(`units.UNIT.privateMounts`, [description.md](description.md#what-a-bind-takes)).
*Reload* is what the unit offers. dynix uses it if `units.UNIT.onChange = "reload"` says that a reload is enough.
For some services, the validator that the module itself runs (`modules/dynamicism/checks.nix`) checks new values, if it accepts
the static ones: {checked}.
For alertmanager, dnsmasq and nats this was seen in the test machine (`tests/machine/run validators`). The measurement here has no
programs.
{flows}
| service | option | format | where | attach | proof | dynamic user | reload |{column}
| --- | --- | --- | --- | --- | --- | --- | --- |{line_below}
"""

FLOWS = """*Also* is what else in the system depends on the settings (`dynix prove`). If such a value changes, dynix says what else a rebuild
would change. *Values beside it* are lost in a rebuild, because a whole set is a default there
([soundness.md](soundness.md#where-a-default-is-a-set)), or can't be told apart.
"""
NO_FLOWS = """What else in the system depends on the settings was not measured here (`--flows`).
"""

REST = """
## What does not work, and what is needed

| service | reason | what is needed |
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
