# Prometheus: one file of several options, without what is null in four of them. Rules are files of their own, which only the
# build knows.
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
  hasRules = !(cfg.enableAgentMode or false) && (cfg.rules != [ ] || cfg.ruleFiles != [ ]);
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
        rule_files.literal = [ ];
        scrape_configs = written "scrapeConfigs";
      };
      drop = [ ];
      within = "top";
    };
    units."prometheus.service" = { };
  };
  assertions = lib.mkIf (config.dynamicism.for.prometheus.enable or false) [
    {
      assertion = cfg.configText == null && !hasRules;
      message = ''
        dynamicism.for.prometheus: services.prometheus.rules and ruleFiles become files that only the build knows, and
        configText is text. Add the options to dynamicism.options instead: they are put into effect by an evaluation.
      '';
    }
  ];
}
