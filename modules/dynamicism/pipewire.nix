# PipeWire: each entry of extraConfig is a file below /etc/pipewire, which is one directory of several packages, so it can't be
# found by its name in a unit. With systemWide the unit is the system's, else one of every user's service manager.
{ config, lib, ... }:
let
  cfg = config.services.pipewire;
  unit = name: if cfg.systemWide or false then "${name}.service" else "user/${name}.service";
  # pipewire-pulse has a unit of a user's manager in any case.
  unitOf = {
    pipewire = unit "pipewire";
    pipewire-pulse = "user/pipewire-pulse.service";
  };
  # Up to 24.05 each file was one of environment.etc.
  static =
    kind: name:
    let
      path = "pipewire/${kind}.conf.d/${name}.conf";
    in
    if config.environment.etc ? ${path} then
      config.environment.etc.${path}.source
    else
      "${config.environment.etc.pipewire.source}/${kind}.conf.d/${name}.conf";
  # Each entry is an option of its own: a new one would have no file.
  path = kind: name: [
    "services"
    "pipewire"
    "extraConfig"
    kind
    name
  ];
  kinds = lib.filter (kind: (cfg.extraConfig.${kind} or { }) != { }) [
    "pipewire"
    "pipewire-pulse"
  ];
in
{
  dynamicism.shipped.pipewire = {
    options = lib.concatMap (kind: map (path kind) (lib.attrNames cfg.extraConfig.${kind})) kinds;
    files = lib.listToAttrs (
      lib.concatMap (
        kind:
        map (
          name:
          lib.nameValuePair "${kind}-${name}.conf" {
            format = "json";
            value.option = lib.showOption (path kind name);
            static = static kind name;
            attach.bind = "/etc/pipewire/${kind}.conf.d/${name}.conf";
            units = [ unitOf.${kind} ];
          }
        ) (lib.attrNames cfg.extraConfig.${kind})
      ) kinds
    );
    exempt = [
      {
        kind = "etc";
        name = "pipewire";
        reason = "the one directory that it leads to has these files, and dynix binds them one by one";
      }
    ];
    units = lib.genAttrs (map (kind: unitOf.${kind}) kinds) (_: { });
  };
}
