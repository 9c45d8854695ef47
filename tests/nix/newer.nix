# What of newer systems dynix does nothing under: the messages that a build ends with.
{
  lib,
  nixos,
  system,
  imported,
  enabled,
}:
let
  declare =
    set: lib.optionalAttrs (!(nixos [ ]).options.system ? ${lib.head (lib.attrNames set)}) set;
  declared.options.system =
    declare { nixos-init.enable = lib.mkEnableOption "it"; }
    // declare {
      etc.overlay = {
        enable = lib.mkEnableOption "it";
        mutable = lib.mkOption { default = true; };
      };
    };
  with' =
    settings:
    (system [
      imported
      enabled
      declared
      settings
    ]).config;
  refused =
    settings:
    let
      failed = lib.filter (one: !one.assertion) (with' settings).assertions;
    in
    lib.filter (lib.hasPrefix "dynamicism") (map (one: one.message) failed);
  bashless.system.nixos-init.enable = true;
  read-only.system.etc.overlay = {
    enable = true;
    mutable = false;
  };
in
{
  none = refused { };
  nixos-init = refused bashless;
  script = refused (bashless // { dynamicism.activation = "script"; });
  # As units, at a boot and at a switch.
  units = {
    inherit ((with' bashless).systemd.services.dynix-activate) wantedBy before;
    script = (with' bashless).system.activationScripts ? dynix;
  };
  read-only = refused read-only;
  overrides-there = refused (read-only // { dynamicism.overridesFile = "/etc/nixos/dynamic.nix"; });
  elsewhere = refused (read-only // { dynamicism.overridesFile = "/var/lib/dynix/dynamic.nix"; });
}
