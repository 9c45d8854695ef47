# A host that follows a Git repository: the agent under its unit, the daemon with the bounds of the source.
{
  nodes.machine =
    { pkgs, ... }:
    {
      imports = [ ./subject.nix ];
      environment.systemPackages = [ pkgs.git ];
      dynamicism.sources.fleet = {
        git.remotes.origin = {
          url = "/srv/fleet";
          period = 0.5;
        };
        allow."services.subject.settings".methods = [ "append" ];
      };
    };

  testScript = builtins.readFile ./subject.py + ''
    def commit(files: dict[str, str], message: str) -> None:
        for name, text in files.items():
            machine.succeed(f"mkdir -p $(dirname /srv/fleet/{name}); printf '%s' '{text}' > /srv/fleet/{name}")
        machine.succeed(f"cd /srv/fleet && git add --all && git commit --quiet --message '{message}'")


    def comes(expected: dict) -> None:
        retry(lambda _: settings() == expected, timeout_seconds=60)


    machine.wait_for_unit("dynix-agent.service")
    machine.succeed(
        "git config --global user.name alice; git config --global user.email alice@example.org",
        "git init --quiet --initial-branch=main /srv/fleet",
    )

    with subtest("what is committed for all hosts and for this one comes into effect, by whom it was committed"):
        commit({"all.nix": "{ services.subject.settings.level = 5; }", "hosts/machine.nix": "{ services.subject.settings.word = \"committed\"; }"}, "first")
        comes({"level": 5, "word": "committed"})
        assert "alice" in machine.succeed("dynix log"), machine.succeed("dynix log")
        assert "fleet" in machine.succeed("dynix sources")

    with subtest("what is out of its bounds is refused, and the commit before it holds"):
        commit({"all.nix": "{ services.subject.settings.level = 6; dynamicism.keep = 3; }"}, "too much")
        machine.wait_until_succeeds("journalctl --unit=dynix-agent | grep -E 'keep'", timeout=60)
        t.assertEqual(settings(), {"level": 5, "word": "committed"})

    with subtest("a switch keeps what the source says, and ends what the host says"):
        machine.succeed("dynix append services.subject.settings.level 9 --apply")
        t.assertEqual(settings()["level"], 9)
        machine.succeed("/run/current-system/bin/switch-to-configuration test")
        comes({"level": 5, "word": "committed"})

    with subtest("a reboot has it before the agent has said anything, and the agent goes on from there"):
        machine.wait_until_succeeds("! dynix status | grep 'watched for'", timeout=60)
        machine.shutdown()
        machine.start()
        machine.wait_for_unit("subject.service")
        t.assertEqual(settings(), {"level": 5, "word": "committed"})
        machine.wait_for_unit("dynix-agent.service")
        commit({"all.nix": "{ services.subject.settings.level = 7; }"}, "mended")
        comes({"level": 7, "word": "committed"})
  '';
}
