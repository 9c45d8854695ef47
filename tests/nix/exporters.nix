# Exporters of Prometheus: what their modules put into their commands.
{ system, imported }:
let
  exporter =
    settings:
    (system [
      imported
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
  };
  opened = exporter { openFirewall = true; };
  expanded = exporter { extraFlags = [ "--a=%n" ]; };
}
