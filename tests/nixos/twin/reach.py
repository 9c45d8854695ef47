#!/usr/bin/env python3
"""Writes docs/reach.md from the results of the twin test: reach.py RESULTS.json [ORIGIN] (see docs/machine-tests.md)."""

import csv
import json
import re
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent.parent.parent / "docs/reach.md"

HEAD = """# Reach

Written by `tests/nixos/twin/reach.py` from the results of the twin test; don't edit.

This page lists which options can be overridden by an evaluation ([evaluated.md](evaluated.md)), as the tests show it, class by
class. The test does four things for each change, on a real NixOS, and takes a snapshot after each: `dynix append ... --apply`;
`dynix reset`; `nixos-rebuild test` with the same definition; the return to the built system. A snapshot has all of /etc with
contents through links, all properties of all units except counters and times, the texts of units, command lines and environments
of services, users, the rules of the firewall, addresses, routes and interfaces, some kernel settings, and what tmpfiles made.
Store paths are compared as they are, except the system's path and what D-Bus makes of it. The servers are Debian's, or programs
that do nothing; their modules, units and files are NixOS's (`tests/nixos/container/servers.nix`).

- *equal*: dynix and the rebuild gave the same, and nothing was left after the return.
- *refused*: nothing was changed, and the reason is true.

The share of a class is its mean share of the definitions in 62 public configurations. A class without a case shows nothing.

| class | what it is | share | cases | equal | refused | other |
| --- | --- | --- | --- | --- | --- | --- |
"""


def _reason(said):
    """What dynix says of it: what Nix says may go on behind it, with addresses of its own."""
    lines = said.splitlines()
    reason = next((line for line in reversed(lines) if line.startswith("error: ")), lines[-1]).removeprefix("error: ")
    return re.sub(r": \S+://\S+", "", reason)


def main():
    results = json.loads(Path(sys.argv[1]).read_text())
    # Where they are from.
    origin = sys.argv[2] if len(sys.argv) > 2 else ""
    by_class = {}
    for one in results:
        outcome = one["outcome"] if not one.get("back") else f"{one['outcome']}, something left"
        by_class.setdefault(one["class"], []).append((outcome, one))
    lines, equal_share, shown_share = [], 0.0, 0.0
    known = list(csv.DictReader((HERE / "classes.csv").open()))
    for row in known:
        cases = by_class.get(row["class"], [])
        counts = Counter(outcome for outcome, _ in cases)
        other = sum(count for outcome, count in counts.items() if outcome not in ("equal", "refused"))
        share = float(row["share"])
        if cases and not other:
            shown_share += share
            equal_share += share if counts["equal"] else 0.0
        lines.append(f"| {row['class']} | {row['what']} | {share:.1%} | {len(cases)} | {counts['equal']} | {counts['refused']} | {other} |")
    total = Counter(outcome for cases in by_class.values() for outcome, _ in cases)
    said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(total.items()))
    end = [
        "",
        f"{sum(total.values())} changes: {said}. {origin}".strip(),
        "",
        f"Classes that have cases, all of which are equal or refused: {shown_share:.1%} of what is defined; those with a case that is "
        f"equal: {equal_share:.1%}.",
        "",
        "## Refused",
        "",
    ]
    for cases in by_class.values():
        for outcome, one in cases:
            if outcome == "refused":
                end.append(f"- `{one['what']}`: {_reason(one['said'])}")
    others = [one for cases in by_class.values() for outcome, one in cases if outcome not in ("equal", "refused")]
    if others:
        end += ["", "## Other", ""] + [f"- `{one['what']}`: {one['outcome']}: {(one.get('differences') or one.get('back') or [one['said']])[0][:200]}" for one in others]
    PAGE.write_text(HEAD + "\n".join(lines + end) + "\n")


main()
