"""Graphs as SVG, for docs/graphs: light to load, and readable on a white and on a dark page.

Takes plain numbers, gives the text of a file. Nothing is drawn that a table does not say as well.
"""

import math
from html import escape

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 44, 46
COLOURS = ["#0b7fab", "#c2571a", "#5a8f29", "#9c4f9e", "#8a7a1f", "#c03a52", "#4b6bd6", "#3f8f86"]

_STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-size: 14px; font-weight: 600 }
.dim { fill: #57606a }
.grid { stroke: #8c959f; stroke-opacity: .3 }
.budget { stroke: #cf222e; stroke-dasharray: 5 4; fill: none }
.line { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .dim { fill: #9198a1 } }
"""


def _document(title, parts, height=HEIGHT):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    body = "\n".join(parts)
    shown = f'<text class="title" x="{LEFT}" y="22">{escape(title)}</text>'
    return f"{head}\n<title>{escape(title)}</title>\n<style>\n{_STYLE}</style>\n{shown}\n{body}\n</svg>\n"


def number(value):
    """As people read it: 1,000,000 and 0.25."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _powers(low, high):
    return [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def _ticks(high):
    """Steps of 1, 2 or 5 from 0 up to `high`, or the next above it."""
    step = 10.0 ** math.floor(math.log10(high / 4))
    step = next(step * factor for factor in (1, 2, 5, 10) if step * factor * 5 >= high)
    return [step * index for index in range(math.ceil(high / step) + 1)]


def lines(title, series, across, up, budget=None, logarithmic=False):
    """Lines over a logarithmic axis. `series` has a name and its points each; `budget` a value and what it is for."""
    points = [point for _, line in series for point in line]
    steps = _powers(min(x for x, _ in points), max(x for x, _ in points))
    most = max([y for _, y in points] + ([budget[0]] if budget else []))
    rungs = _powers(min(y for _, y in points), most) if logarithmic else _ticks(most)
    inner, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(value, marks, log):
        first, last = (math.log10(marks[0]), math.log10(marks[-1])) if log else (marks[0], marks[-1])
        return ((math.log10(value) if log else value) - first) / ((last - first) or 1)

    def at_x(value):
        return LEFT + inner * place(value, steps, True)

    def at_y(value):
        return TOP + tall * (1 - place(value, rungs, logarithmic))

    parts = []
    for rung in rungs:
        y = at_y(rung)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{LEFT + inner}"/>')
        parts.append(f'<text class="dim" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number(rung)}</text>')
    for step in steps:
        x = at_x(step)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{TOP + tall}"/>')
        parts.append(f'<text class="dim" x="{x:.1f}" y="{TOP + tall + 18}" text-anchor="middle">{number(step)}</text>')
    parts.append(f'<text class="dim" x="{LEFT + inner / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>')
    parts.append(f'<text class="dim" x="{LEFT - 8}" y="{TOP - 8}" text-anchor="end">{escape(up)}</text>')
    labels = []
    if budget:
        y = at_y(budget[0])
        parts.append(f'<path class="budget" d="M{LEFT} {y:.1f}H{LEFT + inner}"/>')
        labels.append([y, budget[1], "#cf222e"])
    for (name, line), colour in zip(series, COLOURS):
        path = "L".join(f"{at_x(x):.1f} {at_y(y):.1f}" for x, y in line)
        parts.append(f'<path class="line" stroke="{colour}" d="M{path}"/>')
        parts.extend(f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3" fill="{colour}"/>' for x, y in line)
        labels.append([at_y(line[-1][1]), name, colour])
    # Labels stand beside the ends of their lines, none on another.
    labels.sort()
    for above, label in zip(labels, labels[1:]):
        label[0] = max(label[0], above[0] + 15)
    over = max(0.0, labels[-1][0] - (TOP + tall + 14))
    for y, name, colour in labels:
        parts.append(f'<text x="{LEFT + inner + 10}" y="{y - over + 4:.1f}" style="fill:{colour}">{escape(name)}</text>')
    return _document(title, parts)


def bars(title, rows, unit, logarithmic=False):
    """A bar for each name and value, longest scale first read from the left."""
    left, height = 230, 24
    inner = WIDTH - left - 90
    most = max(value for _, value in rows)
    low = min(value for _, value in rows)
    floor = 10.0 ** math.floor(math.log10(low)) / 2 if logarithmic else 0

    def length(value):
        if logarithmic:
            return inner * math.log(value / floor) / math.log(most / floor)
        return inner * value / most

    parts = []
    for index, (name, value) in enumerate(rows):
        y = TOP + index * height
        parts.append(f'<text x="{left - 10}" y="{y + 14}" text-anchor="end">{escape(name)}</text>')
        colour = COLOURS[0] if name.startswith("dynix") else "#8c959f"
        parts.append(f'<rect x="{left}" y="{y + 2}" width="{length(value):.1f}" height="{height - 8}" rx="2" fill="{colour}"/>')
        parts.append(f'<text class="dim" x="{left + length(value) + 6:.1f}" y="{y + 14}">{number(value)} {unit}</text>')
    scale = ", logarithmic" if logarithmic else ""
    bottom = TOP + len(rows) * height
    parts.append(f'<text class="dim" x="{left}" y="{bottom + 14}">{unit}{scale}</text>')
    return _document(title, parts, bottom + 24)


def stacks(title, rows, unit):
    """A bar for each name, made of named parts in the same order everywhere: a list of (name, [(part, value), ...])."""
    left, height = 130, 40
    inner = WIDTH - left - 80
    most = max(sum(value for _, value in parts) for _, parts in rows)
    names = list(dict.fromkeys(part for _, parts in rows for part, _ in parts))
    colour = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}
    drawn = []
    for index, (name, parts) in enumerate(rows):
        y, x = TOP + index * height, float(left)
        drawn.append(f'<text x="{left - 10}" y="{y + 18}" text-anchor="end">{escape(name)}</text>')
        for part, value in parts:
            width = inner * value / most
            drawn.append(f'<rect x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="{height - 18}" fill="{colour[part]}"><title>{escape(part)}: {number(value)} {unit}</title></rect>')
            x += width
        drawn.append(f'<text class="dim" x="{x + 6:.1f}" y="{y + 19}">{number(sum(value for _, value in parts))} {unit}</text>')
    y = TOP + len(rows) * height + 8
    x = LEFT
    for name in names:
        width = 24 + 7 * len(name)
        if x + width > WIDTH - 10:
            x, y = LEFT, y + 20
        drawn.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour[name]}"/>')
        drawn.append(f'<text x="{x + 17}" y="{y + 10}">{escape(name)}</text>')
        x += width
    return _document(title, drawn, y + 26)
