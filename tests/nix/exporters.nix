# Exporters of Prometheus: what their modules put into their commands.
{ system, imported }:
let
  exporter =
    settings: more:
    (system [
      imported
      more
      {
        services.prometheus.exporters.node = {
          enable = true;
        }
        // settings;
        dynamicism.for.prometheus-node-exporter.enable = true;
      }
    ]).config.dynamicism.description.services.prometheus-node-exporter;
in
{
  quoted = exporter {
    extraFlags = [
      "--a='b c' --d"
      "--e=^/(f|g)($|/)"
    ];
  } { };
  opened = exporter { openFirewall = true; } { };
  completed = exporter { openFirewall = true; } { dynamicism.verify = "complete"; };
  expanded = exporter { extraFlags = [ "--a=%n" ]; } { };
}
