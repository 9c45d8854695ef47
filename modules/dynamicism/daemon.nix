# The daemon: settings for programs, over a socket (docs/daemon.md).
#
# Its units are written by `dynix generate` with everything else, so that they come with the plan that they serve.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.dynamicism.daemon;
  enabled =
    config.dynamicism.options != [ ]
    || lib.any (service: service.enable) (lib.attrValues config.dynamicism.for);

  bounds = {
    options = {
      methods = mkOption {
        type = types.listOf (
          types.enum [
            "append"
            "unset"
            "rollback"
            "reset"
            "apply"
          ]
        );
        default = [
          "append"
          "unset"
          "apply"
        ];
        description = ''
          How it may be changed. `rollback` and `reset` are judged by all that they would change: each path needs a rule that
          allows it.
        '';
      };
      minimum = mkOption {
        type = types.nullOr types.number;
        default = null;
        description = "The least number that may be set; null for whatever the option's type allows.";
      };
      maximum = mkOption {
        type = types.nullOr types.number;
        default = null;
        description = "The greatest number that may be set; null for whatever the option's type allows.";
      };
      values = mkOption {
        type = types.nullOr (types.listOf types.anything);
        default = null;
        description = "The only values that may be set; null for whatever the option's type allows.";
      };
      rate = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "10/min";
        description = "How often each user may change it, as a count and a time; null for any number of times.";
      };
    };
  };

  rule = {
    options = {
      users = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Users whom it is for, by name.";
      };
      groups = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Groups whose members it is for, by name.";
      };
      options = mkOption {
        type = types.attrsOf (types.submodule bounds);
        description = ''
          Bounds by option path. What is below the path is meant too, and `*` stands for any one name. The build fails where
          there is no such option.
        '';
      };
    };
  };
in
{
  options.dynamicism.daemon = {
    enable = lib.mkEnableOption "the daemon that changes settings for programs";

    allow = mkOption {
      type = types.attrsOf (types.submodule rule);
      default = { };
      example = lib.literalExpression ''
        {
          balancing = {
            users = [ "balancer" ];
            options."services.harmonia.settings.workers" = {
              minimum = 1;
              maximum = 64;
              rate = "10/min";
            };
          };
        }
      '';
      description = ''
        Who besides root may do what, by any name. Everything else is refused and logged. Nix expressions and files of secrets
        are for root alone.
      '';
    };

    window = mkOption {
      type = types.numbers.between 0 60;
      default = 2.0e-2;
      description = "Seconds for which a request waits for others to become one apply with.";
    };

    idle = mkOption {
      type = types.numbers.positive;
      default = 60;
      description = "Seconds after which the daemon ends when nobody is there; systemd starts it again.";
    };

    connectionsPerUser = mkOption {
      type = types.ints.between 1 1024;
      default = 256;
      description = "Connections that a user may have at a time.";
    };
  };

  options.dynamicism.metrics.textfile = mkOption {
    type = types.nullOr (types.strMatching "/.+");
    default = null;
    example = "/var/lib/node-exporter";
    description = ''
      The directory of the node exporter's textfile collector (its `--collector.textfile.directory`), where every apply writes
      dynix.prom; null for none.
    '';
  };

  config = lib.mkIf (cfg.enable && enabled) {
    # The units themselves are among systemd.packages.
    systemd.sockets.dynix.wantedBy = [ "sockets.target" ];
    systemd.services.dynix.restartIfChanged = false;
  };
}
