# Sonarr and its kin: settings are variables of the unit, whose names are the paths.
{ lib, ... }:
{
  dynamicism.shipped =
    lib.genAttrs
      [
        "lidarr"
        "prowlarr"
        "radarr"
        "readarr"
        "sonarr"
        "whisparr"
      ]
      (name: {
        value.flatten = {
          from.option = "services.${name}.settings";
          prefix = "${lib.toUpper name}__";
          separator = "__";
          upper = true;
        };
      });
}
