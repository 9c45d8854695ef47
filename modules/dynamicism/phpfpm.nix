# PHP-FPM: a file for each pool, with the settings of all pools before its own, and its variables after them. Only its own can
# change.
{ config, lib, ... }:
let
  pools = lib.attrNames (config.services.phpfpm.pools or { });
  path = name: [
    "services"
    "phpfpm"
    "pools"
    name
    "settings"
  ];
  unit = name: "phpfpm-${name}.service";
in
{
  dynamicism.shipped.phpfpm = {
    options = map path pools;
    files = lib.listToAttrs (
      map (
        name:
        lib.nameValuePair "phpfpm-${name}.conf" {
          format = {
            name = "keyValue";
            parameters = {
              booleans = "yes/no";
              escapeKeys = false;
              separator = " = ";
              strings = "plain";
            };
          };
          value.option = lib.showOption (path name);
          around = { };
          units = [ (unit name) ];
        }
      ) pools
    );
    units = lib.genAttrs (map unit pools) (_: { });
  };
}
