# The daemon's options become a part of the description, and its units are among the system's.
{
  lib,
  system,
  imported,
  enabled,
  dynamic,
  plain,
}:
let
  withDaemon =
    settings:
    (system [
      imported
      enabled
      {
        dynamicism.daemon = {
          enable = true;
        }
        // settings;
      }
    ]).config;
  allowing = option: bounds: {
    allow.balancing = {
      users = [ "balancer" ];
      options.${option} = bounds;
    };
  };
  allowed = withDaemon (
    allowing "services.harmonia.settings.workers" {
      minimum = 1;
      maximum = 64;
      rate = "10/min";
    }
  );
  described = config: config.dynamicism.description.daemon;
  refused = settings: !(builtins.tryEval (builtins.toJSON (described (withDaemon settings)))).success;
in
{
  description = described allowed;
  # What only `dynix generate` can refuse.
  unknown = described (withDaemon (allowing "services.harmonia.setings.workers" { }));
  often = described (withDaemon (allowing "services.harmonia.settings.workers" { rate = "often"; }));
  wantedBy = allowed.systemd.sockets.dynix.wantedBy;
  inherit (allowed.systemd.services.dynix) restartIfChanged;
  toplevel = plain allowed.system.build.toplevel.drvPath;
  absent = !(dynamic.dynamicism.description ? daemon) && !(dynamic.systemd.sockets ? dynix);
  refused = lib.mapAttrs (_: refused) {
    method = allowing "services.harmonia.settings.workers" { methods = [ "delete" ]; };
    bound = allowing "services.harmonia.settings.workers" { minimum = "one"; };
    window = {
      window = 61;
    };
    idle = {
      idle = 0;
    };
    connections = {
      connectionsPerUser = 0;
    };
  };
}
