# Options that change their values on the way through (`apply`).
{
  lib,
  pkgs,
  system,
  imported,
}:
let
  describe =
    path: dynamic: more:
    (system [
      imported
      (
        { lib, ... }:
        {
          options.services.applied = {
            whole = lib.mkOption {
              type = lib.types.str;
              apply = text: "<${text}>";
            };
            settings = lib.mkOption {
              type = lib.types.submodule {
                options = {
                  plain = lib.mkOption { type = lib.types.int; };
                  # Gives the same if its result goes in.
                  upper = lib.mkOption {
                    type = lib.types.str;
                    apply = lib.toUpper;
                  };
                }
                // more;
              };
            };
            # What is within goes through it as well.
            instances = lib.mkOption {
              type = lib.types.attrsOf (
                lib.types.submodule {
                  options.settings = lib.mkOption { type = lib.types.attrsOf lib.types.int; };
                }
              );
              apply = lib.mapAttrs (_: one: one // { settings.doubled = 2 * one.settings.workers; });
            };
          };
          config = {
            services.applied = {
              whole = "a";
              settings = {
                plain = 1;
                upper = "b";
              };
              instances.one.settings.workers = 4;
            };
            systemd.services.applied.serviceConfig.ExecStart =
              "/bin/applied ${pkgs.writeText "applied.json" "{}"}";
            dynamicism.for.applied = {
              enable = true;
              options = [ path ];
              files."applied.json".value.option = lib.showOption (lib.toList path);
              units."applied.service" = { };
            }
            // dynamic;
          };
        }
      )
    ]).config.dynamicism.description.services.applied.options;
  of = name: describe "services.applied.${name}";
  refused = options: !(builtins.tryEval (builtins.toJSON options)).success;
  number = lib.mkOption {
    type = lib.types.int;
    default = 80;
    apply = toString;
  };
  longer = lib.mkOption {
    type = lib.types.str;
    default = "a";
    apply = text: "<${text}>";
  };
  beside = {
    dynamic = [ "services.applied.settings.plain" ];
  };
in
{
  inner = of "settings" { } { };
  stated = of "whole" { applied = [ "services.applied.whole" ]; } { };
  beside = of "settings" beside { inherit longer number; };
  refused = lib.mapAttrs (_: refused) {
    whole = of "whole" { } { };
    longer = of "settings" { } { inherit longer; };
    number = of "settings" { } { inherit number; };
    named = of "settings" { dynamic = [ "services.applied.settings.longer" ]; } { inherit longer; };
    in-a-list = of "settings" { } {
      list = lib.mkOption {
        type = lib.types.listOf (lib.types.submodule { options = { inherit longer; }; });
        default = [ { } ];
      };
    };
    holder = of "instances.one.settings" { } { };
  };
}
