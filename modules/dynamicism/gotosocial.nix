# GoToSocial: a YAML file, named on the command line.
{ config, lib, ... }:
let
  cfg = config.services.gotosocial;
  capabilities = lib.subtractLists [ "CAP_NET_BIND_SERVICE" ] (
    lib.toList (config.systemd.services.gotosocial.serviceConfig.AmbientCapabilities or [ ])
  );
  port = "services.gotosocial.settings.port";
in
{
  dynamicism.shipped.gotosocial = {
    options = [ "services.gotosocial.settings" ];
    files."config.yml" = { };
    units."gotosocial.service" = { };
    narrowed = [
      {
        path = port;
        type = lib.types.port;
      }
    ];
    dropIns."gotosocial.service" = ''
      [Service]
      # The NixOS module gives the capability for a port below 1024; an empty assignment takes it away again.
      ${
        lib.optionalString (capabilities != [ ]) ''
          AmbientCapabilities=
          AmbientCapabilities=${toString capabilities}
        ''
      }AmbientCapabilities={% if ${port} < 1024 %}CAP_NET_BIND_SERVICE{% endif %}
    '';
    exempt = [
      {
        kind = "package";
        name = "gotosocial-admin";
        reason = "the command names the built configuration file";
      }
    ];
    # With "complete", the opening follows the port.
    pinned = lib.optional ((cfg.openFirewall or false) && config.dynamicism.verify != "complete") {
      path = port;
      reason = "services.gotosocial.openFirewall opens the firewall for this port, and only a rebuild moves the opening";
    };
  };
}
