def strip(target) -> None:
    """Takes from a machine all that could evaluate: what is left is the system itself."""
    target.succeed("rm -rf /etc/nixos", "umount /dynix /nixpkgs /tree")


def let_in(deployer, target) -> None:
    """Lets root of one machine run commands on the other, which it calls `target`, over ssh."""
    target.wait_for_open_port(22)
    deployer.succeed("mkdir -p -m 700 /root/.ssh", "ssh-keygen -q -t ed25519 -N \"\" -f /root/.ssh/id_ed25519")
    key = deployer.succeed("cat /root/.ssh/id_ed25519.pub").strip()
    target.succeed(f"mkdir -p -m 700 /root/.ssh && echo '{key}' > /root/.ssh/authorized_keys")
    deployer.succeed("printf 'Host target\\n  StrictHostKeyChecking accept-new\\n' > /root/.ssh/config")
    # Whoever connected before it may have found it making its keys.
    deployer.wait_until_succeeds("ssh -o ConnectTimeout=2 target true", timeout=60)


