"""Instructions of whole commands, counted by callgrind, and page faults, counted by the kernel.

What else would vary is pinned: the environment, the place of memory (setarch -R), the names of directories.
"""

import os
import statistics
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


def usage(command):
    """Page faults of a command, and the microseconds of processor time that it takes.

    Of a process that was spawned, not forked: a forked one pays for the memory of this one before its exec.
    """
    null = os.open(os.devnull, os.O_RDWR)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, null, stream) for stream in (0, 1, 2)]
        process = os.posix_spawnp(command[0], command, system.ENVIRONMENT, file_actions=actions)
    finally:
        os.close(null)
    _, status, used = os.wait4(process, 0)
    if status != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_minflt, (used.ru_utime + used.ru_stime) * 1e6


def faults(command, runs=9):
    """The usual number of page faults, once the files are in memory."""
    return int(statistics.median([usage(command)[0] for _ in range(runs)][1:]))


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
            command = [*tree.words, *words]
            counts[name] = count(command, base / "callgrind.out") | {"faults": faults(command)}

        few = system.Tree(base / "few", system.harmonias(20), dynix)
        few.log(1)
        version = [str(dynix), "--version"]
        counts["--version"] = count(version, base / "callgrind.out") | {"faults": faults(version)}
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
        for services, name in ((1, "1 service"), (2000, "2,000 services")):
            tree = system.Tree(base / f"of-{services}", system.harmonias(services), dynix)
            tree.run("append", "--apply", "services.service0.settings.workers", "11")
            counted(f"append, {name}", tree, "append", "services.service0.settings.workers", "12")
            tree.run("append", "--apply", "services.service0.settings.workers", "13")
            counted(f"apply, {name}", tree, "apply")
    return counts
