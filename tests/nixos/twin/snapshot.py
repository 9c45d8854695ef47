"""What a system is: prints it as JSON. Store paths stay as they are: both sides have to have the same ones."""

import json
import os
import re
import subprocess
import sys

# Counters, times and identities; and where a unit's file is, whose content counts.
VOLATILE = re.compile(
    r"Timestamp|PID|InvocationID|FragmentPath|DropInPaths|SourcePath|CPUUsage|Memory(Current|Peak|Available|Swap|ZSwap)"
    r"|TasksCurrent|IO(Read|Write)|IP(Ingress|Egress)|NRestarts|ControlGroup|NextElapse|LastTrigger|Result|StateChange"
    r"|^(GID|UID)$|ExecMain|StatusErrno|StatusText|NConnections|NAccepted|NRefused|EffectiveMemory|EffectiveTasks|Job|Names"
    r"|ConditionResult|AssertResult|FileDescriptorStore|DebugInvocation|TransientUnit|UnitFilePreset|ActiveEnter|MonitorPID"
    r"|AvailableMemory|WatchdogLast|Trigger$|Names|LoadError"
)
PASSING = ("dynix-", "run-", "dev-", "sys-", "session-", "user-", "user@", "nixos-rebuild", "systemd-tmpfiles-clean", "init.scope")
OF_A_SWITCH = {"static", "nixos", ".clean", ".pwd.lock", "machine-id", ".updated", "resolv.conf", "mtab"}


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def alike(text):
    """Of the system's path and what is made of it, the packages count: the list that it is made of may name one twice."""
    return re.sub(r"/nix/store/[0-9a-z]{32}-(dbus-1|system-path)", r"/nix/store/\1", text)


def content(path):
    """Of a unit's file, where it has one."""
    return open(path, encoding="utf-8").read() if path and os.path.isfile(path) else ""


def units():
    names = sorted({line.split()[0] for line in run("systemctl", "list-units", "--all", "--plain", "--no-legend").splitlines() if line.strip()})
    names = [name for name in names if not name.startswith(PASSING) and not name.endswith((".device", ".scope"))]
    found = {}
    for block in run("systemctl", "show", *names).split("\n\n"):
        properties = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        name = properties.get("Id")
        if not name or properties.get("LoadState") == "not-found" and properties.get("ActiveState") == "inactive":
            continue
        kept = {}
        for key, value in properties.items():
            if VOLATILE.search(key):
                continue
            if key.startswith("Exec"):
                value = re.sub(r" ; (ignore_errors|start_time)=.*", "", value)
            if key in ("After", "Before", "Wants", "WantedBy", "Requires", "RequiredBy", "ConflictedBy", "Conflicts", "TriggeredBy", "Triggers", "Upholds", "UpheldBy", "RequiresMountsFor", "WantsMountsFor"):
                value = " ".join(sorted(one for one in value.split() if not one.startswith(PASSING)))
            kept[key] = alike(value)
        kept["text"] = alike("".join(map(content, [properties.get("FragmentPath", ""), *properties.get("DropInPaths", "").split()])))
        found[name] = kept
    return found


def below_link(path):
    """What stands in a directory that a link leads to: a file by its content."""
    if os.path.isfile(path) and os.stat(path).st_size < 1 << 20:
        return alike(open(path, "rb").read().decode("latin-1"))
    return alike(os.path.realpath(path))


def files(top):
    found = {}
    for directory, directories, names in os.walk(top):
        directories[:] = sorted(name for name in directories if directory != top or name not in OF_A_SWITCH)
        for name in sorted(directories + names):
            path = f"{directory}/{name}"
            below = path[len(top) + 1 :]
            # dynix's own plan stays the one of the system that runs.
            if below in OF_A_SWITCH or below in ("systemd/system", "systemd/user") or below.startswith("dynix/"):
                continue
            if os.path.isdir(path) and not os.path.islink(path):
                # NixOS leaves those behind that it made.
                if any(names for _, _, names in os.walk(path)):
                    found[below + "/"] = oct(os.stat(path).st_mode)
                continue
            status = os.lstat(path)
            if os.path.isdir(path):
                found[below] = {name: below_link(f"{path}/{name}") for name in sorted(os.listdir(path))}
                continue
            try:
                content = open(path, "rb").read().decode("latin-1")
            except OSError as error:
                content = f"{type(error).__name__} {os.readlink(path) if os.path.islink(path) else ''}"
            if below in ("passwd", "group", "shadow", "subuid", "subgid"):
                # In no order of their own.
                content = "".join(sorted(content.splitlines(keepends=True)))
            found[below] = [oct(status.st_mode), status.st_uid, status.st_gid, alike(content)]
    return found


def unit_directory(path):
    """By name: where a link leads, or the text."""
    found = {}
    for directory, _, names in os.walk(os.path.realpath(path)):
        for name in names:
            one = f"{directory}/{name}"
            below = os.path.relpath(one, os.path.realpath(path))
            if os.path.isfile(one):
                found[below] = alike(open(one, "rb").read().decode("latin-1"))
            else:
                # Nowhere, within the directory: that has a path of its own.
                found[below] = os.path.realpath(one).removeprefix(os.path.realpath(path))
    return found


def processes():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = open(f"/proc/{pid}/cmdline").read().replace("\0", " ").strip()
            group = open(f"/proc/{pid}/cgroup").read().strip().split("/")[-1]
            variables = sorted(open(f"/proc/{pid}/environ").read().split("\0"))
            owner = os.stat(f"/proc/{pid}").st_uid
        except OSError:
            continue
        if not group.endswith(".service") or group.startswith(PASSING) or group in ("console-shell.service", "backdoor.service"):
            continue
        variables = [one for one in variables if not re.match(r"INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_EXEC_PID|MEMORY_PRESSURE|LISTEN_PID|WATCHDOG_PID|MANAGERPID|NOTIFY_SOCKET", one)]
        found.append([group, owner, command, variables])
    return sorted(found)


def kernel():
    found = {}
    for name in (
        "kernel/hostname",
        "net/core/somaxconn",
        "net/ipv4/conf/all/rp_filter",
        "net/ipv4/ip_forward",
        "net/ipv4/tcp_keepalive_time",
        "net/ipv6/conf/all/forwarding",
    ):
        try:
            found[name] = open(f"/proc/sys/{name}").read()
        except OSError as error:
            found[name] = type(error).__name__
    return found


def rules(text):
    """The rules of each chain, of iptables-save or nft. The order of chains, and chains that let all pass, are what is left of
    what there was before."""
    table, chain, found = "", "", {}
    for line in text.splitlines():
        words = re.sub(r"\[\d+:\d+\]", "", line).split()
        if line.startswith("*") or line.startswith("table "):
            table = line.strip("*{ ")
        elif line.startswith(":"):
            found[f"{table} {words[0].strip(':')}"] = words[1:]
        elif line.startswith("-A "):
            found[f"{table} {words[1]}"].append(" ".join(words[2:]))
        elif re.match(r"\t\w.*{$", line):
            chain = f"{table} {line.strip()}"
            found[chain] = []
        elif line.startswith("\t\t"):
            found[chain].append(" ".join(words))
    return {chain: lines for chain, lines in found.items() if lines != ["ACCEPT"] and not (len(lines) == 1 and lines[0].endswith("policy accept;"))}


def network():
    """Rules, addresses, routes and interfaces, without counters, numbers and what is drawn by chance."""
    found = [run("sh", "-c", f"{program} 2>&1 || true") for program in ("iptables-save", "ip6tables-save", "nft -s list ruleset")]
    # An interface's number, and its address made of its random MAC.
    addresses = [re.sub(r"^\d+: ", "", line) for line in run("ip", "-o", "address").splitlines() if " fe80:" not in line]
    links = [re.sub(r"^\d+: |\\.*", "", line) for line in run("ip", "-o", "link").splitlines()]
    routes = run("ip", "route").splitlines() + run("ip", "-6", "route").splitlines()
    return {
        "rules": [rules(text) for text in found],
        "addresses": sorted(re.sub(r"valid_lft.*", "", line) for line in addresses),
        "links": sorted(links),
        "routes": sorted(line for line in routes if not line.startswith("fe80:")),
    }


def made():
    """What tmpfiles and the activation make."""
    found = {}
    for path in (
        "/home/alice",
        "/home/bob",
        "/run/activated",
        "/run/copy",
        "/run/demo.sock",
        "/run/demo/x",
        "/run/link",
        "/run/made/id",
        "/run/more",
        "/run/more.d",
        "/var/lib/demo",
        "/var/lib/more",
    ):
        if os.path.lexists(path):
            status = os.lstat(path)
            found[path] = [oct(status.st_mode), status.st_uid, status.st_gid]
    return found


json.dump(
    {
        "units": units(),
        "etc": files("/etc"),
        "system units": unit_directory("/etc/systemd/system"),
        "user units": unit_directory("/etc/systemd/user"),
        "processes": processes(),
        "kernel": kernel(),
        "network": network(),
        "made": made(),
    },
    sys.stdout,
)
