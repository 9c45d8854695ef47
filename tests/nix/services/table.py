"""docs/services.md: what `measure` found, as a table."""

import re
import textwrap

HEAD = """# Services

<!-- Written by tests/nix/services/measure --write from tests/nix/services/measured.json; the notes are in
tests/nix/services/cases. -->

The table has {count} services of nixpkgs with structured settings. Each was evaluated with its module as of 2026, with a realistic
configuration, and made dynamic with `dynamicism.for.NAME.enable = true;`. The files that the units name were made with the tools
that nixpkgs runs. `dynix generate` then looked for the settings file among them and proved it.

**{working} of {count} work ({share} %): {line} with that one line, {option} with the option's path as well, because it is not
services.NAME.settings, .configuration or .config{more}.**
For {given}, `modules/dynamicism/` states what the file contains besides the settings, or which file it is.

The modules were transcribed by hand from two snapshots of nixpkgs. The options' types and the use of their values are unchanged.
Descriptions, examples, aliases of old names and, for many, the sandboxing lines of units were left out. Of the services that
public configurations set most (tests/nix/services/cases/admins.nix and admins-2.nix), also options beside the settings were left
out, and of grafana, headscale, matrix-synapse and prometheus some of the options within the settings. For knot, sshwifty,
bifrost, ergochat and qdrant more was left out (scalar options, large default values). evdevremapkeys, bifrost, cliproxyapi, dufs
and evremap are from other commits, autosuspend from one of about 2024. The exporters, jenkins, pipewire, postgresql and
prometheus were read from single files of 2023 to 2026, and have fewer options; so do dovecot2 and fail2ban, whose unit is
worded anew. phpfpm is that of NixOS 20.09, which writes the same text. A whole tree of today was not available for the
measurement. So the modules were evaluated with the module system of nixpkgs 26.11 in a NixOS 20.09 (which was made to know
`notify-reload`, and does not check the directives of units). On a whole tree,
`DYNIX_NIXPKGS=... tests/nix/services/measure --write` should work without all of that (tests/nix/services/nixpkgs.nix); that was
not tried. Not all rows were measured with the same version of dynix: `measure --write NAME...` measures only some anew.

*Where* is the part of the unit that leads to the file. It is empty if the program knows the place under /etc by itself, or if
`modules/dynamicism/` names the file. *Attach*
is how the unit gets the dynamic file ([description.md](description.md#files)): a bind mount over the path that the unit reads,
the link under /etc, a credential, variables that override the unit's own, or its command line (`environment`).
*Proof* is `bytes` if dynix writes exactly the same bytes, and `data` if it writes the same data in another layout.
greetd and teleport start sessions of users, which a bind cuts off from the mounts of the system. You have to accept that
(`units.UNIT.privateMounts`, [description.md](description.md#what-a-bind-takes)).
*Reload* is what the unit offers. dynix uses it if `units.UNIT.onChange = "reload"` says that a reload is enough.
For some services, the validator that the module itself runs (`modules/dynamicism/checks.nix`) checks new values, if it accepts
the static ones: {checked}.
For alertmanager, dnsmasq and nats this was seen in the test machine (`tests/machine/run validators`). The measurement here has no
programs. New values of postgresql, prometheus-node-exporter, prometheus-process-exporter, redis, samba and unbound were seen in the daemons themselves
(`tests/machine/run servers`).
*Also* is what else in the system depends on the settings (`dynix prove`); it is empty for the services of admins.nix and
admins-2.nix, for which it was not measured, except jenkins, pipewire, postgresql and prometheus. If such a value changes,
dynix says what else a rebuild would change. *Values beside it* are lost in a rebuild, because a whole set is a default there
([soundness.md](soundness.md#where-a-default-is-a-set)), or can't be told apart.

| service | option | format | where | attach | proof | dynamic user | reload | also |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""

REST = """
## What does not work, and what is needed

| service | reason | what is needed |
| --- | --- | --- |
"""

MORE = """
### nextcloud

`services.nextcloud.settings` was not measured. Its module was read. The settings are a JSON file in the store
(`nextcloud-settings.json`), which `nextcloud-config.php` names. No unit names that one: systemd-tmpfiles links it to
`override.config.php` in the data directory, from where PHP reads it. dynix looks in units, their scripts and /etc, and not in the
rules of systemd-tmpfiles, so it finds no file and the build says so. Three things are in the way of reading those as well:

- `nextcloud-occ`, which administrators and timers run outside of the units, would still read the built settings. Nothing there is a
  link under /etc that could be swapped.
- A unit that sets up the instance has to be restarted for `trusted_domains`, which is in its script. It runs the upgrade.
- `log_type` decides which extensions PHP is built with.

The evaluated way is made for this ([evaluated.md](evaluated.md)): with `dynamicism.options = [ "services.nextcloud.settings" ]`, Nix
makes the new files, and the link follows through systemd-tmpfiles-resetup.service as after a rebuild. That was not tried with
Nextcloud itself.
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


def reload(result):
    if any("reload" in value for value in unit_values(result, "Type")):
        return "notify-reload"
    commands = unit_values(result, "ExecReload")
    return "" if not commands else "SIGHUP" if "HUP" in commands[0] else "command"


def record(result):
    """What the table has of a service, for measured.json."""
    if "proof" not in result:
        return {"refused": reason(result)}
    proofs, files = result["proof"], result["plan"]["files"]
    proof = next(iter(proofs.values()))
    formats = [one["format"] + (f" ({one['dialect']})" if one.get("dialect") else "") for one in proofs.values()]
    attached = [next(iter(files[file]["attach"])) for file in proofs]
    options = list(result["plan"]["options"])
    more = f" and {len(options) - 1} more" if len(options) > 1 else ""
    cells = {
        "option": options[0] + more,
        "format": ", ".join(dict.fromkeys(formats)),
        "where": where(proof.get("found", "")),
        "attach": ", ".join(dict.fromkeys(attached)),
        "proof": ", ".join(dict.fromkeys(one["level"] for one in proofs.values())),
        "dynamic user": "yes" if "true" in unit_values(result, "DynamicUser") else "",
        "reload": reload(result),
        "also": also(result) if "flows" in result else "",
    }
    described = result["description"]
    # The modules of dynix say what the file is made of, or name it.
    said = described.get("find", {}).get("value") is not None or "find" not in described
    return {"cells": cells} | ({"given": True} if said else {}) | ({"checked": True} if described.get("check") else {})


def reason(result):
    text = re.sub(r"/nix/store/[0-9a-z]{32}-", "", result["refused"])
    text = re.sub(r"^cannot generate from \S+: the (files of a service can't be found|description is refused): ", "", text)
    if "no file was found" in text:
        inlined = re.search(r"becomes (\S+) is a script that has the value in it as JSON", text)
        text = f"{inlined[1]} has the value in it as JSON" if inlined else "no file that its units lead to is the settings"
    return text[:160].strip().replace("|", " ")


def render(measured, takes, dynamic):
    """The page, from everything that was measured, and from what the cases say of each."""
    working = {name: one for name, one in measured.items() if "cells" in one}
    plain = [name for name in working if not dynamic[name]]
    option = [name for name in working if set(dynamic[name]) == {"options"}]
    more = len(working) - len(plain) - len(option)
    head = HEAD.format(
        count=len(measured),
        working=len(working),
        share=round(100 * len(working) / len(measured)),
        line=len(plain),
        given=", ".join(name for name, one in working.items() if one.get("given")),
        checked=", ".join(name for name, one in working.items() if one.get("checked")),
        option=len(option),
        more=f", {more} with more" if more else "",
    )
    head = "\n".join(
        textwrap.fill(line, 128, break_long_words=False, break_on_hyphens=False) if len(line) > 130 and line[0] != "|" else line
        for line in head.split("\n")
    )
    rows = [f"| {name} | " + " | ".join(one["cells"].values()) + " |" for name, one in working.items()]
    refused = [
        f"| {name} | {one['refused']} | {takes.get(name, '')} |" for name, one in measured.items() if "cells" not in one
    ]
    return head + "\n".join(rows) + "\n" + REST + "\n".join(refused) + "\n" + MORE
