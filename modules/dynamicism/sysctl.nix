# sysctl: the kernel's settings. systemd-sysctl writes what its files say; what an override added is put back to what the
# kernel had before (docs/reliability.md).
{ lib, ... }:
{
  dynamicism.shipped.sysctl = {
    options = [ "boot.kernel.sysctl" ];
    # The module has a type of its own for this (nixos/modules/config/sysctl.nix).
    narrowed = [
      {
        path = "boot.kernel.sysctl";
        type =
          with lib.types;
          attrsOf (
            nullOr (oneOf [
              bool
              int
              str
            ])
          );
      }
    ];
    files."60-nixos.conf" = {
      # nixos/modules/config/sysctl.nix: null is no line, false is 0.
      format = {
        name = "keyValue";
        parameters = {
          booleans = "1/0";
          nulls = "omit";
          escapeKeys = false;
          floats = "fixed";
          indent = "";
          separator = "=";
          strings = "plain";
        };
      };
      attach.etc = "/etc/sysctl.d/60-nixos.conf";
    };
    units."systemd-sysctl.service" = { };
  };
}
