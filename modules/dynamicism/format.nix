# Formats: how a file's text is written.
#
# Takes nothing, gives the option type of a file's format and the format that a file name suggests. The names are those
# of nixpkgs' `pkgs.formats`, and `flags`; `dynix generate` proves that what it writes in a format is what Nix wrote.
{ lib }:
let
  inherit (lib) mkOption types;

  byExtension = {
    ini = "ini";
    json = "json";
    toml = "toml";
    yaml = "yaml_1_1";
    yml = "yaml_1_1";
  };
in
{
  type = types.coercedTo types.str (name: { inherit name; }) (
    types.submodule {
      options = {
        name = mkOption {
          type = types.str;
          example = "yaml_1_1";
          description = "The name of a format of `pkgs.formats`, or `flags` for a command line.";
        };
        dialect = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "pyyaml";
          description = ''
            The generator whose output to match. With null, the build finds the one whose output is equal byte for byte.
          '';
        };
        parameters = mkOption {
          type = types.attrsOf types.anything;
          default = { };
          example = {
            listsAsDuplicateKeys = true;
          };
          description = "The format's parameters, named as in nixpkgs.";
        };
      };
    }
  );

  # The format of a file by the extension of its name; null where that says nothing.
  byName =
    name:
    let
      extension = builtins.match ".*\\.([a-z]+)" name;
    in
    if extension == null then null else byExtension.${builtins.head extension} or null;
}
