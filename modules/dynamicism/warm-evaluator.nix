# The warm evaluator: changes of options of no service in less time, for memory (docs/evaluated.md).
#
# Its units are written by `dynix generate` with everything else.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.dynamicism;
  # "NAME=PLACE" or "PLACE", as in NIX_PATH.
  placeOf = entry: lib.last (lib.splitString "=" entry);
in
{
  options.dynamicism.warmEvaluator = {
    enable = lib.mkEnableOption ''
      the warm evaluator: a process that keeps the configuration evaluated, so that dynix evaluates a change of an option of no
      service in less time. It takes some hundred MiB of memory
    '';

    memory = mkOption {
      type = types.ints.positive;
      default = 1024;
      description = "MiB of memory that it may come to. Then it begins anew.";
    };

    idle = mkOption {
      type = types.numbers.between 1 86400;
      default = 3600;
      description = "Seconds without a change after which it ends. The next change starts it again.";
    };

    command = mkOption {
      type = types.nonEmptyListOf types.str;
      default = [
        "${config.nix.package.out}/bin/nix"
        "repl"
        "--log-format"
        "raw"
        "--extra-experimental-features"
        "nix-command flakes"
      ]
      ++ lib.concatMap (place: [
        "-I"
        place
      ]) config.nix.nixPath;
      defaultText = lib.literalMD "`nix repl` with `nix.nixPath`";
      description = "Program and arguments. dynix appends `--expr EXPRESSION`.";
    };

    sources = mkOption {
      type = types.listOf types.str;
      default = lib.optional (cfg.configuration == null) "/etc/nixos" ++ map placeOf config.nix.nixPath;
      defaultText = lib.literalMD "`/etc/nixos`, without `dynamicism.configuration`, and the places of `nix.nixPath`";
      example = [
        "/etc/nixos"
        "/home/admin/modules"
      ];
      description = ''
        What the configuration is read from, besides the Nix store: files and directories. If one of them changes, the
        evaluator begins anew. dynix follows links in them.
      '';
    };

    description = mkOption {
      type = types.attrs;
      internal = true;
      readOnly = true;
      default = {
        inherit (cfg.warmEvaluator)
          command
          memory
          idle
          sources
          ;
      };
    };
  };

  config = lib.mkIf (cfg.warmEvaluator.enable && cfg.evaluator != null) {
    # The units themselves are among systemd.packages.
    systemd.sockets.dynix-evaluator.wantedBy = [ "sockets.target" ];
  };
}
