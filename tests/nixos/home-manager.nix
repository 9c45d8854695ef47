# A user whose home is home-manager's: the real one builds generations and activates them (`home-manager switch` without its
# front end). It needs the tree that DYNIX_HOME_MANAGER names, which tests/nixos/run shows the machine.
{
  nodes.machine =
    { config, pkgs, ... }:
    {
      # What home-manager's activation runs: packages of Debian are only made before the machine is there.
      environment.systemPackages = [
        pkgs.diffutils
        pkgs.findutils
        pkgs.gettext
        pkgs.jq
        pkgs.ncurses
      ];
      users.users.alice = {
        isNormalUser = true;
        uid = 1000;
      };
      # The user's service manager, without PAM, which the containers do not have.
      systemd.services.alice = {
        wantedBy = [ "multi-user.target" ];
        environment.XDG_RUNTIME_DIR = "/run/user/1000";
        serviceConfig = {
          User = "alice";
          Type = "notify";
          Delegate = true;
          RuntimeDirectory = "user/1000";
          ExecStart = "${config.systemd.package}/lib/systemd/systemd --user";
          KillMode = "mixed";
          Slice = "user.slice";
        };
      };
    };

  testScript = builtins.readFile ./home-manager.py;
}
