# Prometheus's exporters: see ../cases.nix.
{ pkgs, ... }:
let
  exporter = name: settings: {
    "prometheus-${name}-exporter".services.prometheus.exporters.${name} = {
      enable = true;
    }
    // settings;
  };
in
exporter "blackbox" {
  configFile = pkgs.writeText "blackbox.yml" "modules: {}";
  extraFlags = [ "--log.level=debug" ];
}
// exporter "json" { configFile = pkgs.writeText "json.yml" "modules: {}"; }
// exporter "nginx" {
  scrapeUri = "http://127.0.0.1:8080/nginx_status";
  sslVerify = false;
}
// exporter "node" {
  enabledCollectors = [ "systemd" ];
  disabledCollectors = [ "timex" ];
  extraFlags = [
    "--collector.filesystem.mount-points-exclude=^/(dev|proc|run)($|/)"
    "--collector.textfile.directory='/var/lib/node exporter'"
  ];
}
// exporter "postgres" {
  dataSourceName = "user=postgres host=/run/postgresql";
  environmentFile = "/run/secrets/example";
}
// exporter "process" {
  settings.process_names = [
    {
      name = "{{.Comm}}";
      cmdline = [ ".+" ];
    }
  ];
}
// exporter "redis" { extraFlags = [ "-redis.addr=redis://127.0.0.1:6380" ]; }
// exporter "smartctl" {
  devices = [ "/dev/sda" ];
  maxInterval = "2m";
}
// exporter "snmp" {
  configuration.auths.public_v2 = {
    community = "public";
    version = 2;
  };
  logLevel = "warn";
}
// exporter "systemd" { port = 9559; }
// exporter "wireguard" {
  interfaces = [ "wg0" ];
  withRemoteIp = true;
}
// exporter "zfs" { pools = [ "tank" ]; }
