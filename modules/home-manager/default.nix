# Services of a user whose settings can be changed at run time: a module of home-manager.
#
# The user's own plan, log and service manager (systemd --user): nothing of it needs root, and nothing of it is the system's.
# It describes services as the NixOS module does, from what home-manager has in the place of NixOS's units and /etc.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.dynamicism;
  enabled = lib.any (service: service.enable) (lib.attrValues cfg.for);
  seen = import ./seen.nix { inherit lib config options; };
  described = import ../dynamicism/description.nix {
    inherit lib;
    inherit (seen) config options;
    nixpkgs = pkgs.path;
  };
  # What a user has of it.
  description =
    removeAttrs described.description [
      "evaluator"
      "overridesFile"
    ]
    // {
      scope = "user";
      verify = "off";
    };
  generated =
    pkgs.runCommand "dynix-generated"
      {
        description = builtins.toJSON description;
        passAsFile = [ "description" ];
        nativeBuildInputs = [ cfg.package ];
        preferLocalBuild = true;
        allowSubstitutes = false;
      }
      ''
        dynix generate --description "$descriptionPath" --out "$out" --dynix ${cfg.package}/bin/dynix
      '';
  unit = name: { source = "${cfg.generated}/lib/systemd/user/${name}"; };
in
{
  key = "dynamicism-home";

  imports = [
    (import ../dynamicism/reconciling.nix {
      onSwitch = ''
        What a switch to another generation of home-manager does with recorded overrides. With `static`, what was built is
        in effect afterwards. With `reapply`, the overrides are applied on top of it.
      '';
    })
  ];

  options.dynamicism = {
    for = mkOption {
      type = types.attrsOf (import ../dynamicism/service.nix { inherit lib; });
      default = { };
      example = lib.literalExpression ''
        {
          pantalaimon.enable = true;
          # A service that you wrote yourself in systemd.user.services:
          calendar = {
            enable = true;
            options = [ "programs.calendar.settings" ];
            units."calendar.service" = { };
          };
        }
      '';
      description = "Your services whose settings can be changed at run time, and how to change them.";
    };

    package = lib.mkPackageOption {
      dynix = pkgs.dynix or (pkgs.callPackage ../../package.nix { });
    } "dynix" { };

    description = mkOption {
      type = types.raw;
      readOnly = true;
      internal = true;
      default = description;
      description = "What `dynix generate` reads.";
    };

    generated = mkOption {
      type = types.package;
      readOnly = true;
      internal = true;
      default = generated;
      description = "What `dynix generate` gives: plan, drop-ins, script, proofs.";
    };

    unchecked = mkOption {
      type = types.listOf types.str;
      readOnly = true;
      default = described.unchecked;
      defaultText = lib.literalMD "by the types of the services' options";
      description = "The option paths whose types can't be checked at run time: dynix accepts only the built value for them.";
    };
  };

  config = lib.mkMerge [
    { lib.dynamicism = { inherit (import ../dynamicism/mk-dynamic.nix) mkDynamic; }; }
    (lib.mkIf enabled {
      home.packages = [ cfg.package ];
      xdg.configFile = {
        "dynix/plan.json".source = "${cfg.generated}/plan.json";
        # The drop-ins, whichever units they are for: only the build knows.
        "dynix/units" = {
          source = "${cfg.generated}/lib/systemd/user";
          target = "systemd/user";
          recursive = true;
        };
        "systemd/user/basic.target.wants/dynix-activate.service" = unit "dynix-activate.service";
        "systemd/user/default.target.wants/dynix-after-login.service" = unit "dynix-after-login.service";
      };
      # After the new files are in place, and before sd-switch starts and restarts units.
      home.activation.dynix = lib.hm.dag.entryBetween [ "reloadSystemd" ] [ "linkGeneration" ] ''
        . ${cfg.generated}/activate
      '';
    })
  ];
}
