"""Figures as Markdown between the markers of docs/performance.md, and as graphs in docs/graphs.

Takes what `benches/run` measured, by part; what a part has not measured stays as it was.
"""

import re
import statistics

from . import graph
from .system import REPOSITORY

DOCUMENT = REPOSITORY / "docs/performance.md"
GRAPHS = REPOSITORY / "docs/graphs"
_MS, _RECORDS = "ms", "records in the log"


def write(results):
    """All sections that can be written."""
    sections, graphs = {}, {}
    for part, maker in MAKERS.items():
        if part not in results:
            continue
        under, found = results[part]["under"], results[part]["found"]
        made, drawn = maker(found)
        line = (
            f"{under['date']}, {under['commit']}, {under['processors']} x {under['processor']}, "
            f"load {under['load']} before it began (`benches/run {part}`):\n\n"
        )
        for name, text in made.items():
            picture = f"\n![The same as a graph](graphs/{name}.svg)\n" if name in drawn else ""
            sections[name] = line + text + picture
        graphs |= drawn
    text = DOCUMENT.read_text()
    for name, section in sections.items():
        begin, end = f"<!-- measured: {name} -->", f"<!-- end: {name} -->"
        if begin not in text:
            raise RuntimeError(f"docs/performance.md has no place for {name}: {begin}")
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        text = pattern.sub(lambda _: f"{begin}\n{section.rstrip()}\n\n{end}", text)
    DOCUMENT.write_text(text)
    GRAPHS.mkdir(exist_ok=True)
    for name, drawing in graphs.items():
        (GRAPHS / f"{name}.svg").write_text(drawing)


def table(head, rows):
    """A Markdown table; numbers as people read them."""
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _cell(value):
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def _size(value):
    return f"{value / 1e6:.1f} MB" if value >= 1e6 else f"{value / 1e3:.1f} kB"


def _rfd(found):
    sections, graphs = {}, {}
    if "options" in found:
        rows = [[what, seconds * 1e3, took, by, f"{seconds * 1e3 / took:,.0f}"] for what, by, seconds, took in found["options"]]
        sections["options"] = table(["what", "Nix, ms", "dynix, ms", "with", "ratio"], rows)
        bars = [(f"Nix: {what}", seconds * 1e3) for what, _, seconds, _ in found["options"]]
        changes = [took for _, by, _, took in found["options"] if "append" in by]
        bars += [("dynix: the slowest change", max(changes))]
        graphs["options"] = graph.bars("What is waited for, before the restart", bars, _MS, logarithmic=True)
    rows = []
    for records, nix, nothing, again in found["overrides"]:
        failed = isinstance(nix, str)
        ratio = "" if failed else f"{nix * 1e3 / nothing:,.0f}"
        rows.append([records, nix if failed else nix * 1e3, nothing, again, ratio])
    head = ["records", "Nix, ms", "dynix from nothing, ms", "dynix again, ms", "ratio"]
    sections["overrides"] = table(head, rows)
    series = [
        ("Nix", [(records, nix * 1e3) for records, nix, _, _ in found["overrides"] if not isinstance(nix, str)]),
        ("dynix, from nothing", [(records, nothing) for records, _, nothing, _ in found["overrides"]]),
        ("dynix, again", [(records, again) for records, _, _, again in found["overrides"]]),
    ]
    series = [one for one in series if one[1]]
    graphs["overrides"] = graph.lines("Overrides evaluated", series, _RECORDS, _MS, logarithmic=True)
    return sections, graphs


def _medians(rounds, key):
    return statistics.median(one[key] for one in rounds)


def _parts(rounds):
    """The median of each part; one that comes more than once counts as a whole."""
    sums = []
    for one in rounds:
        mine = {}
        for name, took in one["parts"]:
            mine[name] = mine.get(name, 0) + took
        sums.append(mine)
    names = list(dict.fromkeys(name for mine in sums for name in mine))
    return [(name, statistics.median(mine.get(name, 0) for mine in sums)) for name in names]


_WAYS = {
    "dynix": "`dynix append --apply`",
    "sed": "(c) `sed -i`, `systemctl restart`",
    "RFD": "(a) `nix-instantiate --eval --json`, `json2toml` where it is TOML, link, `systemctl restart`",
    "toplevel": "(b) evaluating `system.build.toplevel`, `systemctl restart`",
}


# Of the graph: what comes before the unit runs on the new value.
_GROUPS = {
    "process start": "process start",
    "command line": "process start",
    "plan": "plan",
    "value": "plan",
    "fold": "log and fold",
    "append to the log": "log and fold",
    "locks": "log and fold",
    "type": "check and render",
    "values and types": "check and render",
    "render": "check and render",
    "stage and check": "files",
    "swap": "files",
    "D-Bus: units": "D-Bus",
    "D-Bus: jobs": "D-Bus",
    "the units' own restart": "the unit's own restart",
}


def _machine(found):
    sections, graphs = {}, {}
    rows, stacks, split = [], [], {}
    for service in ("distccd", "dnscrypt-proxy"):
        if "change" not in found:
            break
        ways = found["change"][service]
        before = _medians(ways["dynix"], "before")
        for way, name in _WAYS.items():
            if way not in ways:
                continue
            mine = _medians(ways[way], "before")
            ratio = "" if way == "dynix" else f"{mine / before:,.1f}"
            rows.append([service, name, mine, _medians(ways[way], "running"), _medians(ways[way], "total"), ratio, len(ways[way])])
        split[service] = dict(_parts(ways["dynix"]))
        groups = {}
        for part, took in _parts(ways["dynix"]):
            if part in _GROUPS:
                groups[_GROUPS[part]] = groups.get(_GROUPS[part], 0) + took
        stacks.append((service, list(groups.items())))
    if rows:
        head = ["service", "way", "before the restart, ms", "until the unit runs, ms", "until the command ends, ms", "before the restart, to dynix", "rounds"]
        sections["change"] = table(head, rows)
        names = list(dict.fromkeys(name for parts in split.values() for name in parts))
        sections["parts"] = table(["part", *split], [[name, *(parts.get(name, 0.0) for parts in split.values())] for name in names])
        graphs["change"] = graph.stacks("From append to the unit running on the new value", stacks, _MS)
    if "many" in found:
        many, stopped = found["many"]["rounds"], found["many"]["stopped"]
        rows, series = [], {}
        for setting, name in (("settings.value", "a file"), ("nice", "a drop-in")):
            for count in sorted({one["count"] for one in many}):
                rounds = [one for one in many if one["count"] == count and one["setting"] == setting]
                if not rounds:
                    continue
                apply, floor = _medians(rounds, "apply"), _medians(rounds, "systemctl")
                restarted = {one["restarted"] for one in rounds}
                reloads = {one["reloaded"] for one in rounds}
                rows.append([count, name, apply, floor, apply - floor, "/".join(map(str, sorted(restarted))), "1" if reloads == {True} else "0"])
                series.setdefault(f"dynix apply, {name}", []).append((count, apply))
                if setting == "nice":
                    series.setdefault("systemctl restart", []).append((count, floor))
        head = ["units", "what changed", "`dynix apply`, ms", "`systemctl restart` of the same, ms", "difference, ms", "units restarted", "daemon-reloads"]
        sections["many"] = table(head, rows) + (f"\nIt ended here: {stopped}\n" if stopped else "")
        graphs["many"] = graph.lines("Units restarted in one apply", list(series.items()), "units", _MS, logarithmic=True)
    if "activation" in found:
        rows = [[name, statistics.median(times), min(times), len(times)] for name, times in found["activation"].items()]
        sections["activation"] = table(["activation", "median, ms", "fastest, ms", "times"], rows)
    return sections, graphs


def _scale(found):
    sections, graphs = {}, {}
    rows = [[what, f"{_cell(figure)} {unit}", f"{budget} {unit}" if budget else ""] for what, figure, unit, budget in found["whole"]]
    sections["whole"] = table(["what", "measured", "budget"], rows)

    def section(name, title, across, columns, budget=None, size=None, logarithmic=False):
        rows = found[name]
        keys = [key for key in rows[0] if key != "size"]
        shown = [[(size or _cell)(row["size"]), *(_size(row[key]) if key == "plan" else row[key] for key in keys)] for row in rows]
        sections[name] = table([across, *(columns.get(key, f"`{key}`, ms") for key in keys)], shown)
        drawn = [key for key in keys if key not in ("memory", "plan")]
        series = [(columns.get(key, key).split(",")[0], [(row["size"], row[key]) for row in rows]) for key in drawn]
        graphs[name] = graph.lines(title, series, across, _MS, budget, logarithmic)

    section(
        "logs", "The length of the log", _RECORDS,
        {"from nothing": "fold from nothing, ms", "memory": "memory of that fold, MB"}, (400, "fold: at most"), logarithmic=True,
    )  # fmt: skip
    section("services", "Services in the plan", "services", {"plan": "plan.json"}, logarithmic=True)
    section("settings", "The size of the settings", "size", {"memory": "memory, MB"}, size=_size, logarithmic=True)
    section("changed", "Services changed in one apply, files only", "services", {}, logarithmic=True)
    return sections, graphs


def _formats(found):
    rows = [[name.replace("/-", "").replace("/", ", "), rate] for name, rate in sorted(found.items(), key=lambda one: -one[1])]
    half = (len(rows) + 1) // 2
    pairs = [[*left, *(rows[half + index] if half + index < len(rows) else ["", ""])] for index, left in enumerate(rows[:half])]
    bars = [(name, rate) for name, rate in rows]
    return {"formats": table(["format", "MB/s", "format", "MB/s"], pairs)}, {"formats": graph.bars("Text written in a second of processor time", bars, "MB/s")}


def _counts(found):
    rows = [[f"`{name}`" if name.startswith("-") or " " not in name else name, counts["program"], counts["all"], counts["faults"]] for name, counts in found["millions"].items()]
    made = table(["command", "dynix itself, millions", "with loader and libraries", "page faults"], rows)
    return {"counts": made + f"\nBinary: {found['size'] / 1e6:.1f} MB; rustc {found['rustc']}, {found['libc']}.\n"}, {}


MAKERS = {"counts": _counts, "rfd": _rfd, "machine": _machine, "scale": _scale, "formats": _formats}
