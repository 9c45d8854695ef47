# harmonia: a TOML file, named by an environment variable.
#
# Where nixpkgs has moved the option to services.harmonia.cache.settings, the old name is an alias of it.
{ config, lib, ... }:
{
  dynamicism.shipped.harmonia = {
    options = [ "services.harmonia.settings" ];
    files."harmonia.toml" = { };
    units."harmonia.service" = { };
    pinned = lib.optional (config.systemd.sockets ? harmonia) {
      path = "services.harmonia.settings.bind";
      reason = "harmonia.socket listens there, and only a rebuild moves it";
    };
  };
}
