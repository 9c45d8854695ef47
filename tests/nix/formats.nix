# `pkgs.formats` for a nixpkgs from before there was one: the types of its values, and generators whose output only has a
# path here, for nothing is built.
{ lib, pkgs }:
let
  value =
    nullable: name:
    let
      base = lib.types.oneOf [
        lib.types.bool
        lib.types.int
        lib.types.float
        lib.types.str
        lib.types.path
        (lib.types.attrsOf type)
        (lib.types.listOf type)
      ];
      type = (if nullable then lib.types.nullOr base else base) // {
        description = "${name} value";
      };
    in
    type;

  format = nullable: label: _: {
    type = value nullable label;
    generate =
      name: settings:
      pkgs.runCommand name {
        value = builtins.toJSON settings;
        passAsFile = [ "value" ];
        format = label;
      } "false";
  };
in
{
  json = format true "JSON";
  toml = format false "TOML";
  yaml = format true "YAML 1.1";
  yaml_1_1 = format true "YAML 1.1";
}
