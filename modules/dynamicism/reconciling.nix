# A module with the options about reconciling that NixOS and home-manager share.
{
  # The description of `onSwitch`: what a switch is, and what either value does.
  onSwitch,
}:
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  _file = ./reconciling.nix;

  options.dynamicism = {
    onSwitch = mkOption {
      type = types.enum [
        "static"
        "reapply"
      ];
      default = "static";
      description = onSwitch;
    };

    keep = mkOption {
      type = types.ints.positive;
      default = 10;
      description = "The number of generations of a service's rendered files that dynix keeps to go back to.";
    };

    watch = mkOption {
      type = types.numbers.between 0 86400;
      default = 30;
      description = ''
        Seconds for which dynix watches the units of a service after an apply. If one of them fails in this time, the service
        returns to what it had, and the values are recorded as rejected. With 0, dynix does not watch.
      '';
    };
  };
}
