"""Time and memory of whole processes."""

import statistics
import subprocess
import time

from .system import ENVIRONMENT


def milliseconds(command, prepare=None, runs=25, unread=2):
    """Median wall time of a command in ms; `prepare(n)` gives what the nth run has in place of VALUE, untimed."""
    times = []
    for run in range(runs + unread):
        value = str(prepare(run) if prepare else "")
        words = [value if word == "VALUE" else str(word) for word in command]
        began = time.perf_counter()
        done = subprocess.run(words, capture_output=True, text=True, env=ENVIRONMENT, check=False)
        took = time.perf_counter() - began
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(words)} exited with {done.returncode}: {done.stderr[-2000:]}")
        times.append(took * 1e3)
    # The first ones read the program from its file.
    return statistics.median(times[unread:])


def megabytes(command):
    """Peak of resident memory.

    Asked from perl, not from here: what a process has before its exec counts too, and Python alone has more than dynix.
    """
    script = r"""
        open(STDERR, ">", "/dev/null"); open(my $out, ">&", STDOUT); open(STDOUT, ">", "/dev/null");
        system(@ARGV) == 0 or die;
        my $usage = "\0" x 144;
        syscall(98, -1, $usage) == 0 or die;  # getrusage(RUSAGE_CHILDREN) on x86_64
        print $out ((unpack("q*", $usage))[4]);
    """
    words = ["perl", "-e", script, *map(str, command)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=ENVIRONMENT)
    return int(done.stdout) / 1024
