# Services whose settings have other names than most.
{ lib, ... }:
{
  dynamicism.shipped = lib.mapAttrs (_: option: { options = [ option ]; }) {
    clamav = "services.clamav.daemon.settings";
    kanidm = "services.kanidm.server.settings";
    minecraft-server = "services.minecraft-server.serverProperties";
    telegraf = "services.telegraf.extraConfig";
    victoriametrics = "services.victoriametrics.prometheusConfig";
  };
}
