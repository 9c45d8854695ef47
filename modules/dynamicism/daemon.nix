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

  bounds = import ./bounds.nix { inherit lib; };

  rule = {
    options = {
      users = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "The names of the users that the rule is for.";
      };
      groups = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "The names of the groups whose members the rule is for.";
      };
      source = mkOption {
        type = types.nullOr types.str;
        default = null;
        internal = true;
        description = "The source that it is for, and nothing else; null for all that comes from none.";
      };
      options = mkOption {
        type = types.attrsOf (types.submodule bounds);
        description = ''
          Bounds by option path. A bound also covers everything below its path. `*` stands for any one name. The build fails
          if there is no such option.
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
        What users other than root may do: rules, each by a name of your choice. The daemon refuses and logs everything else.
        Only root may use Nix expressions and files of secrets.
      '';
    };

    window = mkOption {
      type = types.numbers.between 0 60;
      default = 2.0e-2;
      description = "Seconds for which a request waits for other requests, so that they become one apply.";
    };

    idle = mkOption {
      type = types.numbers.positive;
      default = 60;
      description = "Seconds without a client after which the daemon exits. systemd starts it again.";
    };

    connectionsPerUser = mkOption {
      type = types.ints.between 1 1024;
      default = 256;
      description = "The number of connections that one user may have at a time.";
    };
  };

  options.dynamicism.metrics.textfile = mkOption {
    type = types.nullOr (types.strMatching "/.+");
    default = null;
    example = "/var/lib/node-exporter";
    description = ''
      The directory of the node exporter's textfile collector (its `--collector.textfile.directory`). Every apply writes
      dynix.prom there. With null, dynix writes no such file.
    '';
  };

  config = lib.mkIf (cfg.enable && enabled) {
    # The units themselves are among systemd.packages.
    systemd.sockets.dynix.wantedBy = [ "sockets.target" ];
    systemd.services.dynix.restartIfChanged = false;
  };
}
