# What modules say of their options, and what dynix has to make of it.
{ lib }:
let
  inherit (lib) mkOption types;
  evaluated = lib.evalModules {
    modules = [
      {
        _file = "/nix/store/00000000000000000000000000000000-source/nixos/modules/x.nix";
        options.services.x = mkOption {
          description = "Instances, see {option}`services.y`.";
          example.web.port = 443;
          default = { };
          type = types.attrsOf (
            types.submodule {
              _file = "instance.nix";
              options = {
                port = mkOption {
                  type = types.port;
                  default = 80;
                  description = "The port.";
                };
                program = mkOption {
                  type = types.str;
                  default = "${builtins.toFile "x" ""}";
                  defaultText = lib.literalExpression "pkgs.x";
                  # It would have to be built; its text need not.
                  example = "${builtins.toFile "y" ""}";
                  description = lib.mdDoc or (text: text) "It is in ${builtins.toFile "z" ""}.";
                };
                lists = mkOption {
                  type = types.listOf (types.submodule { options.a = mkOption { description = "An a."; }; });
                  default = [ ];
                };
                hidden = mkOption {
                  internal = true;
                  description = throw "nobody asks";
                };
                invisible = mkOption {
                  visible = false;
                  description = throw "nobody asks";
                };
              };
            }
          );
        };
      }
    ];
  };
  sourceFile = file: baseNameOf (toString file);
  given = import ../../modules/dynamicism/documentation.nix {
    inherit lib sourceFile;
  } evaluated.options.services.x;
  # Where the files are is of no account.
  plain =
    text:
    builtins.replaceStrings
      [ (builtins.unsafeDiscardStringContext "${builtins.toFile "z" ""}") ]
      [ "Z" ]
      (
        builtins.replaceStrings
          [ (builtins.unsafeDiscardStringContext "${builtins.toFile "y" ""}") ]
          [ "Y" ]
          text
      );
in
{
  context = builtins.getContext (builtins.toJSON given);
  given = map (lib.mapAttrs (_: value: if lib.isString value then plain value else value)) given;
  expected = [
    {
      path = [ ];
      description = "Instances, see {option}`services.y`.";
      example = "{\n  web = {\n    port = 443;\n  };\n}";
      declaredIn = [ "x.nix" ];
    }
    {
      path = [
        "<name>"
        "lists"
      ];
      declaredIn = [ "instance.nix" ];
    }
    {
      path = [
        "<name>"
        "lists"
        "*"
        "a"
      ];
      description = "An a.";
      declaredIn = [ "instance.nix" ];
    }
    {
      path = [
        "<name>"
        "port"
      ];
      description = "The port.";
      declaredIn = [ "instance.nix" ];
    }
    {
      path = [
        "<name>"
        "program"
      ];
      description = "It is in Z.";
      default = "pkgs.x";
      example = "\"Y\"";
      declaredIn = [ "instance.nix" ];
    }
  ];
}
