# Prometheus: one file of several options, without what is null in four of them. Rules are files of their own, whose paths
# only the build knows.
{ config, lib, ... }:
let
  cfg = config.services.prometheus;
  option = name: { option = "services.prometheus.${name}"; };
  # In the order of `find`: the file is named on the command line, or linked under /etc to be reloaded.
  written = name: {
    prune = {
      from = option name;
      drop = [ "null" ];
      within = "all";
    };
  };
in
{
  dynamicism.shipped.prometheus = {
    options = map (name: "services.prometheus.${name}") [
      "alertmanagers"
      "globalConfig"
      "remoteRead"
      "remoteWrite"
      "scrapeConfigs"
    ];
    value.prune = {
      from.attrs = {
        alerting.attrs.alertmanagers = option "alertmanagers";
        global = written "globalConfig";
        remote_read = written "remoteRead";
        remote_write = written "remoteWrite";
        rule_files.built = [ "rule_files" ];
        scrape_configs = written "scrapeConfigs";
      };
      drop = [ ];
      within = "top";
    };
    units."prometheus.service" = { };
  };
  assertions = lib.mkIf (config.dynamicism.for.prometheus.enable or false) [
    {
      assertion = cfg.configText == null;
      message = ''
        dynamicism.for.prometheus: services.prometheus.configText is text, in place of the options. Add it to
        dynamicism.options instead: it is put into effect by an evaluation.
      '';
    }
  ];
}
