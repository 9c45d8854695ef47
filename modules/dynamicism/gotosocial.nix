# GoToSocial: a YAML file, named on the command line.
{ config, lib, ... }:
let
  cfg = config.services.gotosocial;
  capabilities = lib.subtractLists [ "CAP_NET_BIND_SERVICE" ] (
    lib.toList (config.systemd.services.gotosocial.serviceConfig.AmbientCapabilities or [ ])
  );
in
{
  dynamicism.for.gotosocial = {
    options = [ "services.gotosocial.settings" ];
    files."config.yml" = { };
    units."gotosocial.service" = { };
    # As the NixOS module does for the built port.
    dropIns."gotosocial.service" = ''
      [Service]
      AmbientCapabilities=
      ${
        lib.optionalString (capabilities != [ ]) "AmbientCapabilities=${toString capabilities}\n"
      }{% if services.gotosocial.settings.port < 1024 -%}
      AmbientCapabilities=CAP_NET_BIND_SERVICE
      {% endif -%}
    '';
    pinned = lib.optional (cfg.openFirewall or false) {
      path = "services.gotosocial.settings.port";
      reason = "services.gotosocial.openFirewall opens the firewall for this port, and only a rebuild moves the opening";
    };
  };
}
