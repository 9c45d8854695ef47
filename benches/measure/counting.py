"""Instructions of whole commands, counted by callgrind.

What else would vary is pinned: the environment, the place of memory (setarch -R), the names of directories.
"""

import subprocess

from . import system


def count(command, out):
    """Millions of instructions: those of the program itself, and all with the loader and libraries."""
    words = ["setarch", "-R", "valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *command]
    done = subprocess.run(words, capture_output=True, text=True, env=system.ENVIRONMENT, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} exited with {done.returncode}: {done.stderr[-2000:]}")
    objects = by_object(out.read_text())
    program = sum(cost for name, cost in objects.items() if name.endswith("/dynix"))
    return {"program": round(program / 1e6, 3), "all": round(sum(objects.values()) / 1e6, 3)}


def by_object(text):
    """Own cost of each object of a callgrind profile (its format is in the manual of callgrind)."""
    names, costs, current, skip = {}, {}, "", False
    for line in text.splitlines():
        if line.startswith("ob="):
            number, _, name = line[3:].partition(" ")
            current = names.setdefault(number, name) if name else names[number]
        elif line.startswith("cob="):
            number, _, name = line[4:].partition(" ")
            if name:
                names[number] = name
        elif line.startswith("calls="):
            # The next line has the cost of what was called.
            skip = True
        elif line[:1].isdigit() or line[:1] in ("+", "-", "*"):
            if not skip:
                costs[current] = costs.get(current, 0) + int(line.split()[1])
            skip = False
    return costs


def commands(dynix):
    """The counts of the commands that people run, each on a tree of 20 services (or as many as its name says)."""
    counts = {}
    with system.scratch("counts") as base:

        def counted(name, tree, *words):
            counts[name] = count([*tree.words, *words], base / "callgrind.out")

        few = system.Tree(base / "few", system.harmonias(20), dynix)
        few.log(1)
        counts["--version"] = count([str(dynix), "--version"], base / "callgrind.out")
        few.run("status")
        # Once uncounted: the first of all makes directories.
        few.run("append", "--apply", "services.service0.settings.workers", "11")
        counted("append", few, "append", "services.service0.settings.workers", "12")
        counted("append --apply", few, "append", "--apply", "services.service0.settings.workers", "13")
        counted("apply, nothing to do", few, "apply")
        counted("get", few, "get", "services.service0.settings.workers")
        long = system.Tree(base / "long", system.harmonias(20), dynix)
        long.log(100_000)
        counted("fold of 100,000 from nothing", long, "get", "services.service0.settings.workers")
        long.run("append", "services.service0.settings.workers", "11")
        counted("append to 100,000", long, "append", "services.service0.settings.workers", "12")
        many = system.Tree(base / "many", system.harmonias(1000), dynix)
        counted("activate, nothing overridden", many, "activate")
        many.run("append", "--apply", "services.service0.settings.workers", "11")
        counted("append, 1,000 services", many, "append", "services.service0.settings.workers", "12")
        counted("apply, 1 of 1,000 services", many, "apply")
    return counts
