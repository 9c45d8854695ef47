"""The network between the machines of one test: a bridge, and a cable from it to each machine.

Each machine has a network namespace with its end of the cable, eth1, from before its first start to the end of the test. So
it finds its network at each boot, as a machine does that is plugged in. The addresses are those that the NixOS test driver
gives to its machines.
"""

import subprocess
from pathlib import Path

from . import host

_BRIDGE = "switch"


class Network:
    """Begins with all machines plugged in."""

    def __init__(self, names: list[str]) -> None:
        self._directory = host.SCRATCH / "network"
        self._directory.mkdir()
        self.addresses = {name: f"192.168.1.{number}" for number, name in enumerate(sorted(names), 1)}
        self._namespaces: list[Path] = []
        switch = self._make(_BRIDGE)
        _ip(switch, "link", "add", _BRIDGE, "type", "bridge")
        _ip(switch, "link", "set", _BRIDGE, "up")
        for number, (name, address) in enumerate(self.addresses.items(), 1):
            namespace = self._make(f"of-{name}")
            # The name of an interface has 15 characters at most.
            socket = f"socket{number}"
            _ip(switch, "link", "add", socket, "type", "veth", "peer", "name", "eth1", "netns", str(namespace))
            _ip(switch, "link", "set", socket, "master", _BRIDGE, "up")
            _ip(namespace, "address", "add", f"{address}/24", "dev", "eth1")
            _ip(namespace, "link", "set", "eth1", "up")
            _ip(namespace, "link", "set", "lo", "up")

    def of(self, name: str) -> Path:
        """The network namespace of a machine."""
        return self._directory / f"of-{name}"

    def hosts(self) -> str:
        """What /etc/hosts says of the machines."""
        return "".join(f"{address} {name}\n" for name, address in self.addresses.items())

    def plug(self, name: str, plugged: bool) -> None:
        """Plugs a machine's cable in, or pulls it."""
        number = list(self.addresses).index(name) + 1
        _ip(self._directory / _BRIDGE, "link", "set", f"socket{number}", "up" if plugged else "down")

    def discard(self) -> None:
        for namespace in self._namespaces:
            subprocess.run(["umount", "--lazy", str(namespace)], check=False)
            namespace.unlink()
        self._directory.rmdir()

    def _make(self, name: str) -> Path:
        namespace = self._directory / name
        namespace.touch()
        subprocess.run(["unshare", f"--net={namespace}", "true"], check=True)
        self._namespaces.append(namespace)
        return namespace


def _ip(namespace: Path, *words: str) -> None:
    subprocess.run(["nsenter", f"--net={namespace}", "ip", *words], check=True)
