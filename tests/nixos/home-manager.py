import json
import shlex

HOME = """
let
  # After the overlay of the containers.
  hosts = (import <nixpkgs> { }).extend (
    final: prev: {
      # What the containers have not: catalogues of translations stay empty.
      gettext = prev.runCommand "gettext" { } ''
        mkdir -p $out/bin
        ln -s ${prev.gettext}/bin/* $out/bin
        ln -sf ${prev.writeShellScript "msgfmt" "while [ $1 != -o ]; do shift; done; : > $2"} $out/bin/msgfmt
      '';
      buildPackages = prev.buildPackages // { inherit (final) gettext; };
      # What an older nixpkgs has not.
      emptyDirectory = prev.emptyDirectory or (prev.runCommand "empty-directory" { } "mkdir $out");
      replaceVars = prev.replaceVars or (src: replacements: prev.substituteAll ({ inherit src; } // replacements));
    }
  );
  home = import /home-manager/modules {
    pkgs = hosts;
    minimal = true;
    check = false;
    configuration =
      { config, lib, pkgs, ... }:
      {
        imports = [ /dynix/modules/home-manager /dynix/tests/nix/home/module.nix ];
        _module.args.pkgs = lib.mkForce hosts;
        home = {
          username = "alice";
          homeDirectory = "/home/alice";
          stateVersion = "24.11";
          enableNixpkgsReleaseCheck = false;
        };
        manual.manpages.enable = false;
        xdg.mime.enable = false;
        news.display = "silent";
        # Units are then started by whoever switches.
        systemd.user.startServices = false;
        services.calendar = {
          enable = true;
          settings.server.port = PORT;
        };
        systemd.user.services.radicale.Service.ExecStart = lib.mkForce (
          toString (
            pkgs.writeShellScript "radicale" ''
              ${pkgs.coreutils}/bin/cat $1 > $XDG_RUNTIME_DIR/seen
              exec ${pkgs.coreutils}/bin/sleep infinity
            ''
          )
          + " ${config.xdg.configHome}/radicale/config"
        );
        MORE
      };
  };
in
home.activationPackage
"""
DYNIX = "dynamicism.for.calendar.enable = true;"
PORT = "services.calendar.settings.server.port"


def as_alice(command: str) -> str:
    script = f"export XDG_RUNTIME_DIR=/run/user/1000 HOME=/home/alice USER=alice NIX_REMOTE=daemon PATH=/home/alice/.nix-profile/bin:$PATH; {command}"
    return f"setpriv --reuid=1000 --regid=100 --clear-groups sh -c {shlex.quote(script)}"


def alice(command: str, timeout: int = 120) -> str:
    return machine.succeed(as_alice(f"{command} 2>&1"), timeout=timeout)


def build(port: int, more: str = DYNIX) -> str:
    """A generation of the home, which is not activated."""
    text = HOME.replace("PORT", str(port), 1).replace("MORE", more)
    machine.succeed(f"cat > /root/home.nix <<'END'\n{text}\nEND")
    # By root, who may read the nixpkgs of the container.
    return machine.succeed("nix-build --no-out-link /root/home.nix", timeout=600).splitlines()[-1]


def switch(generation: str) -> None:
    print(alice(f"{generation}/activate"))


def port() -> int:
    """What the running service read."""
    machine.wait_until_succeeds(as_alice("systemctl --user is-active radicale.service"), timeout=30)
    said = machine.wait_until_succeeds("grep port /run/user/1000/seen", timeout=20)
    return int(said.split("=")[1])


start_all()
machine.wait_for_unit("multi-user.target")

if machine.execute("test -e /home-manager/modules && test -e /dynix/modules")[0] != 0:
    print("SKIPPED: home-manager's own switch: DYNIX_HOME_MANAGER names no tree of it")
else:
    machine.wait_for_unit("alice.service")
    first = build(5232)

    with subtest("a generation is activated by home-manager, and its service starts on what was built"):
        switch(first)
        alice("systemctl --user start radicale.service")
        t.assertEqual(port(), 5232)

    with subtest("a user changes a value without root"):
        alice(f"dynix --user append {PORT} 6000 --apply")
        t.assertEqual(port(), 6000)

    with subtest("the same generation again changes nothing"):
        switch(first)
        t.assertEqual(port(), 6000)

    with subtest("a switch to another generation returns to what was built, and the log says so"):
        switch(build(5233))
        t.assertEqual(port(), 5233)
        t.assertIn("rollback", json.loads(alice("dynix --user log --json"))[-1])

    with subtest("one that is to reapply has both"):
        alice(f"dynix --user append {PORT} 6001 --apply")
        switch(build(5234, DYNIX + ' dynamicism.onSwitch = "reapply";'))
        t.assertEqual(port(), 6001)
        t.assertIn("5234", alice(f"dynix --user get {PORT} --json"))

    with subtest("a generation without dynix has what was built from the next start of a unit on"):
        switch(build(5235, ""))
        alice("systemctl --user restart radicale.service")
        t.assertEqual(port(), 5235)
