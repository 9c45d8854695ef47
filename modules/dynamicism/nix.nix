# Nix: its file is read by the daemon when it starts, and by every other program of Nix.
{ config, lib, ... }:
{
  dynamicism.shipped.nix = {
    options = [ "nix.settings" ];
    files."nix.conf" = {
      format = {
        name = "nixConf";
        parameters = lib.optionalAttrs (config.nix.extraOptions != "") {
          inherit (config.nix) extraOptions;
        };
      };
      attach.etc = "/etc/nix/nix.conf";
    };
    # Builds go on: each has a process of its own, which a restart does not end (KillMode=process).
    units."nix-daemon.service" = { };
  };
}
