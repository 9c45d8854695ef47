# distccd: flags, written into a start script.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.distccd;
  option = name: { option = "services.distccd.${name}"; };
  flag = flag: name: {
    attrs = {
      flag.literal = flag;
      value = option name;
    };
  };
  withStats = item: {
    when = {
      condition = option "stats.enable";
      "then" = item;
    };
  };
  opened = name: {
    path = "services.distccd.${name}";
    reason = "services.distccd.openFirewall opens the firewall for it, and only a rebuild moves the opening";
  };
in
{
  dynamicism.shipped.distccd = {
    options = map (name: "services.distccd.${name}") [
      "allowedClients"
      "jobTimeout"
      "logLevel"
      "maxJobs"
      "nice"
      "port"
      "stats.enable"
      "stats.port"
      "zeroconf"
    ];
    files.flags = {
      # The order is the script's.
      value.list = [
        { literal = "--no-detach"; }
        { literal = "--daemon"; }
        { literal = "--enable-tcp-insecure"; }
        (flag "--port" "port")
        (flag "--job-lifetime" "jobTimeout")
        (flag "--log-level" "logLevel")
        (flag "--jobs" "maxJobs")
        (flag "--nice" "nice")
        (flag "--stats" "stats.enable")
        (withStats (flag "--stats-port" "stats.port"))
        (flag "--zeroconf" "zeroconf")
        (flag "--allow" "allowedClients")
      ];
      static = config.systemd.services.distccd.serviceConfig.ExecStart;
      attach.environment = {
        variable = "DISTCCD_FLAGS";
        command = [ "${cfg.package}/bin/distccd" ];
        environment.PATH = "${pkgs.distccMasquerade}/bin";
      };
    };
    units."distccd.service" = { };
    # With "complete", the opening follows the ports.
    pinned = lib.optionals ((cfg.openFirewall or false) && config.dynamicism.verify != "complete") (
      map opened [
        "port"
        "stats.enable"
        "stats.port"
      ]
    );
  };
}
