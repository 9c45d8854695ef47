# harmonia with a load balancer in the small beside it, which may change the number of workers and nothing else.
{ pkgs, ... }:
{
  services.harmonia.enable = true;

  dynamicism.for.harmonia.enable = true;
  dynamicism.daemon = {
    enable = true;
    allow.balancing = {
      users = [ "balancer" ];
      options."services.harmonia.settings.workers" = {
        minimum = 1;
        maximum = 64;
        rate = "10/min";
      };
    };
  };

  users.users.balancer = {
    isSystemUser = true;
    group = "balancer";
  };
  users.groups.balancer = { };

  systemd.services.autoscale = {
    description = "As many workers as there is work";
    wantedBy = [ "multi-user.target" ];
    after = [ "harmonia.service" ];
    serviceConfig = {
      ExecStart = "${pkgs.python3.interpreter} ${./autoscale.py}";
      User = "balancer";
      Restart = "on-failure";
    };
  };
}
