# keyd: a file for each keyboard, with the devices before the settings, and other lines after them.
{ config, lib, ... }:
let
  keyboards = lib.attrNames (config.services.keyd.keyboards or { });
  path = name: [
    "services"
    "keyd"
    "keyboards"
    name
    "settings"
  ];
in
{
  dynamicism.shipped.keyd = {
    options = map path keyboards;
    files = lib.listToAttrs (
      map (
        name:
        lib.nameValuePair "${name}.conf" {
          format = "ini";
          value.option = lib.showOption (path name);
          around = { };
          attach.etc = "/etc/keyd/${name}.conf";
        }
      ) keyboards
    );
    units."keyd.service" = { };
  };
}
