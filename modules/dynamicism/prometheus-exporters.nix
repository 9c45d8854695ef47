# The node exporter of Prometheus: collectors and further flags are words of its command line.
{ config, lib, ... }:
let
  cfg = config.services.prometheus.exporters.node;
  unit = config.systemd.services.prometheus-node-exporter;
  option = name: { option = "services.prometheus.exporters.node.${name}"; };
  # What systemd makes of the command: words, over several lines.
  words = lib.filter (word: lib.isString word && word != "" && word != "\\") (
    builtins.split "[[:space:]]+" unit.serviceConfig.ExecStart
  );
  # One word for each element, with the text before it.
  each = prefix: name: {
    attrs = {
      flag.literal = prefix;
      separator.literal = "";
      value = option name;
    };
  };
in
{
  dynamicism.shipped.prometheus-node-exporter = {
    options = map (name: "services.prometheus.exporters.node.${name}") [
      "disabledCollectors"
      "enabledCollectors"
      "extraFlags"
    ];
    files.flags = {
      value.list = [
        (each "--collector." "enabledCollectors")
        (each "--no-collector." "disabledCollectors")
        { literal = "--web.listen-address"; }
        { literal = "${cfg.listenAddress}:${toString cfg.port}"; }
        (each "" "extraFlags")
      ];
      static = "/etc/systemd/system/prometheus-node-exporter.service";
      attach.environment = {
        variable = "NODE_EXPORTER_FLAGS";
        command = [ (lib.head words) ];
        built = words;
      };
    };
    units."prometheus-node-exporter.service" = { };
  };
}
