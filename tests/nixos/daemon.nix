# Programs change settings over the daemon's socket, as far as they are allowed.
{
  nodes.machine =
    { lib, pkgs, ... }:
    let
      people = {
        balancer = 1000;
        stranger = 1001;
        operators = 1002;
      };
    in
    {
      services.distccd.enable = true;
      services.harmonia.enable = true;
      # Newer modules add defaults; the test is about these two.
      services.harmonia.settings = lib.mkForce {
        workers = 4;
        max_connection_rate = 256;
      };

      dynamicism = {
        for.distccd.enable = true;
        for.harmonia.enable = true;
        metrics.textfile = "/var/lib/node-exporter";
        daemon = {
          enable = true;
          idle = 3;
          allow.operating = {
            groups = [ "operators" ];
            options."services.distccd.maxJobs" = { };
          };
          allow.balancing = {
            users = [ "balancer" ];
            options."services.harmonia.settings.workers" = {
              methods = [
                "append"
                "unset"
                "rollback"
                "reset"
                "apply"
              ];
              minimum = 1;
              maximum = 64;
              rate = "10/h";
            };
          };
        };
      };

      users.users = lib.mapAttrs (name: uid: {
        isNormalUser = true;
        inherit uid;
        group = name;
      }) people;
      users.groups = lib.mapAttrs (_: _: { }) people;

      systemd.tmpfiles.rules = [ "d /var/lib/node-exporter 0755 root root" ];
      # promtool
      environment.systemPackages = [ (pkgs.prometheus.cli or pkgs.prometheus) ];
    };

  testScript = builtins.readFile ../machine/scripts/daemon.py;
}
