# A machine that another one deploys to, over ssh: it has nothing to evaluate or to build with, and no /etc/nixos.
{
  nodes.deployer =
    { pkgs, ... }:
    {
      environment.systemPackages = [ pkgs.openssh ];
    };
  nodes.target =
    { lib, ... }:
    {
      imports = [ ./subject.nix ];
      services.openssh.enable = true;
      nix.nixPath = lib.mkForce [ ];
    };

  testScript = builtins.readFile ./deploying.py + ''
    import json

    CONFIGURATION = """
    { config, lib, pkgs, ... }:
    {
      imports = [ <nixpkgs/machine.nix> /dynix/modules/dynamicism /dynix/tests/nixos/subject.nix ];
      networking.hostName = "target";
      services.openssh.enable = true;
      nix.nixPath = lib.mkForce [ ];
      services.subject.settings.word = "WORD";
      MORE
    }
    """
    append = "dynix append services.subject.settings.level"


    def settings() -> dict:
        target.wait_for_unit("subject.service")
        return json.loads(target.wait_until_succeeds("cat /run/subject/settings.json"))


    def system() -> str:
        return target.succeed("readlink --canonicalize /run/current-system").strip()


    def cursor() -> str:
        return target.succeed("journalctl --lines=1 --quiet --show-cursor | sed -n 's/^-- cursor: //p'").strip()


    def starts(since: str) -> int:
        journal = f"journalctl --after-cursor='{since}' --unit=subject.service --output=cat --quiet"
        return target.succeed(f"{journal} --grep='^Started ' || true").count("Started ")


    def configure(word: str, more: str = "") -> None:
        text = CONFIGURATION.replace("WORD", word).replace("MORE", more)
        deployer.succeed(f"cat > /root/target.nix <<'END'\n{text}\nEND")


    def deploy(action: str) -> str:
        """nixos-rebuild of the target, from the deployer; the path of the system, which the target did not have."""
        built = deployer.succeed(
            "nix-build --no-out-link '<nixpkgs/nixos>' --attr system -I nixos-config=/root/target.nix", timeout=300
        ).strip()
        target.fail(f"test -e {built}")
        rebuild = f"nixos-rebuild {action} --fast --target-host root@target -I nixos-config=/root/target.nix"
        print(deployer.succeed(f"{rebuild} 2>&1", timeout=300))
        target.succeed(f"test -e {built}")
        return built


    def on_target(command: str) -> str:
        return deployer.succeed(f"ssh target '{command}'", timeout=120)


    def reboot() -> None:
        target.shutdown()
        target.start()
        target.wait_for_open_port(22)
        target.wait_for_unit("multi-user.target")
        # A boot on another system begins on what is known to work there, and tries the rest when it is up.
        target.wait_until_fails("test -e /run/systemd/system/dynix-after-boot.service", timeout=60)


    def nothing_failed() -> None:
        t.assertEqual(target.succeed("systemctl list-units --failed --plain --no-legend"), "")


    start_all()
    for one in machines:
        one.wait_for_unit("multi-user.target")

    if deployer.execute("test -e /dynix/modules && nix-instantiate --eval --expr '<nixpkgs/machine.nix>'")[0] != 0:
        print("SKIPPED: the deploying machine has no nixpkgs to evaluate")
    else:
        strip(target)
        target.fail("ls /dynix/modules", "nix-instantiate --eval --expr '<nixpkgs/lib>'")

        let_in(deployer, target)
        t.assertEqual(on_target("hostname"), "target\n")

        with subtest("values are changed from elsewhere, and survive a reboot"):
            on_target(f"{append} 5 --apply --wait")
            t.assertEqual(settings(), {"level": 5, "word": "built"})
            reboot()
            t.assertEqual(settings(), {"level": 5, "word": "built"})
            target.succeed("umount /dynix /nixpkgs /tree")

        with subtest("a deployment brings what was built, and starts the unit once"):
            configure("deployed")
            since = cursor()
            built = deploy("switch")
            t.assertEqual(system(), built)
            t.assertEqual(settings(), {"level": 1, "word": "deployed"})
            t.assertEqual(starts(since), 1)
            assert '"rollback"' in on_target("dynix log --json")
            nothing_failed()

        with subtest("one that is to reapply starts it once, on both"):
            on_target(f"{append} 6 --apply --wait")
            configure("again", 'dynamicism.onSwitch = "reapply";')
            since = cursor()
            deploy("switch")
            t.assertEqual(settings(), {"level": 6, "word": "again"})
            t.assertEqual(starts(since), 1)
            nothing_failed()

        with subtest("one for the next boot touches nothing until then"):
            configure("next")
            since = cursor()
            built = deploy("boot")
            t.assertEqual(settings(), {"level": 6, "word": "again"})
            t.assertEqual(starts(since), 0)
            reboot()
            t.assertEqual(system(), built)
            t.assertEqual(settings(), {"level": 6, "word": "next"})
            nothing_failed()

        with subtest("a change that is not confirmed, because whoever made it does not reach the machine any more, goes back"):
            on_target(f"{append} 7 --apply --confirm 6s")
            target.block()
            deployer.fail("ssh -o ConnectTimeout=2 target dynix confirm")
            t.assertEqual(settings()["level"], 7)
            target.wait_until_succeeds("grep -q '\"level\": *6' /run/subject/settings.json", timeout=60)
            target.unblock()
            t.assertEqual(settings(), {"level": 6, "word": "next"})
            deployer.wait_until_succeeds("ssh -o ConnectTimeout=2 target true", timeout=60)

        with subtest("and one that is, stays"):
            on_target(f"{append} 8 --apply --confirm 30s")
            on_target("dynix confirm")
            t.assertEqual(settings(), {"level": 8, "word": "next"})
            nothing_failed()
  '';
}
