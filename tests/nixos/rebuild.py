# On a machine that has a nixpkgs and the sources of dynix (tests/nixos/run), nixos-rebuild works as on any other.
CONFIGURATION = """
{ config, lib, pkgs, ... }:
{
  imports = [ <nixpkgs/machine.nix> /dynix/modules/dynamicism /dynix/tests/nixos/subject.nix ];
  networking.hostName = "machine";
  MORE
}
"""


def can_rebuild() -> bool:
    """Whether there is something to rebuild from."""
    if machine.execute("test -e /dynix/modules && nix-instantiate --eval --expr '<nixpkgs/machine.nix>'")[0] == 0:
        return True
    print("SKIPPED: this machine has no nixpkgs to evaluate")
    return False


def configure(more: str) -> None:
    """Writes /etc/nixos/configuration.nix: the subject, and what is told."""
    text = CONFIGURATION.replace("MORE", more)
    machine.succeed(f"cat > /etc/nixos/configuration.nix <<'END'\n{text}\nEND")


def rebuild(action: str) -> str:
    """nixos-rebuild; what it said."""
    said = machine.succeed(f"nixos-rebuild --fast {action} 2>&1", timeout=300)
    print(said)
    return said


def cursor(on=None) -> str:
    """Where the journal is; of another machine where one is named."""
    return (on or machine).succeed("journalctl --lines=1 --quiet --show-cursor | sed -n 's/^-- cursor: //p'").strip()


def starts(since: str, unit: str = "subject.service", on=None) -> int:
    """How often a unit was started since then."""
    journal = f"journalctl --after-cursor='{since}' --unit={unit} --output=cat --quiet"
    return (on or machine).succeed(f"{journal} --grep='^Started ' || true").count("Started ")


def is_settled() -> None:
    """Waits until what is to be tried after a boot is tried, and nothing is watched any more."""
    machine.wait_for_unit("multi-user.target")
    machine.wait_until_fails("test -e /run/systemd/system/dynix-after-boot.service", timeout=60)
    machine.wait_until_fails(
        "systemctl list-units --plain --no-legend 'dynix-watch-*' 'dynix-after-boot*' | grep --quiet .", timeout=60
    )


def reboot() -> None:
    machine.shutdown()
    machine.start()
    is_settled()
