# NixOS services whose settings can be changed at run time.
#
# Options, and what follows from them: the description of the services that are enabled, compiled by `dynix generate` in
# one derivation; its drop-ins among the system's units, its plan under /etc. When it is put into effect is in activation.nix,
# how expressions are evaluated in evaluator.nix.
{
  config,
  extendModules,
  lib,
  options,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.dynamicism;
  # An overlay over /etc may be read-only (nixpkgs, nixos/modules/system/etc/etc-activation.nix).
  etcIsWritable = !(config.system.etc.overlay.enable or false) || config.system.etc.overlay.mutable;
  described = import ./description.nix {
    inherit lib config options;
    nixpkgs = pkgs.path;
  };

  # Evaluation never waits for it: nothing reads its output but the system.
  generated =
    pkgs.runCommand "dynix-generated"
      {
        description = builtins.toJSON described.description;
        passAsFile = [ "description" ];
        nativeBuildInputs = [ cfg.package ];
        preferLocalBuild = true;
        allowSubstitutes = false;
        meta.mainProgram = "apply-dynamic-configuration";
      }
      ''
        dynix generate --description "$descriptionPath" --out "$out" \
          --dynix ${cfg.package}/bin/dynix --installed-plan "$out/plan.json"
      '';

  # Another system's `generated`: from an evaluated system, or from a module (a path, usually).
  generatedOf =
    base:
    if base == null then
      cfg.generated
    else if base ? config.dynamicism then
      base.config.dynamicism.generated
    else
      (import "${toString pkgs.path}/nixos/lib/eval-config.nix" {
        inherit lib;
        system = pkgs.stdenv.hostPlatform.system;
        modules = [
          ./default.nix
          base
        ];
      }).config.dynamicism.generated;

  # This system, for lib/verify and lib/prove.
  evaluation = {
    inherit
      lib
      config
      options
      pkgs
      extendModules
      ;
  };
  proving =
    found:
    import ../../lib/prove (
      evaluation
      // {
        inherit (described) dynamicOptions;
        inherit found;
      }
    );

  applyDynamicConfiguration =
    {
      baseConfiguration ? null,
      newConfiguration ? null,
    }:
    let
      base = generatedOf baseConfiguration;
    in
    if newConfiguration == null then
      base
    else
      pkgs.writeShellScriptBin "apply-dynamic-configuration" ''
        exec ${base}/bin/apply-dynamic-configuration --overrides ${lib.escapeShellArg (toString newConfiguration)} "$@"
      '';
in
{
  # One module, from wherever and however often it is imported: a configuration that imports it by its directory can be given
  # to `applyDynamicConfiguration`, which adds it to configurations that do not.
  key = "dynamicism";

  imports = [
    ./activation.nix
    ./aria2.nix
    ./autosuspend.nix
    ./daemon.nix
    ./distccd.nix
    ./dovecot.nix
    ./evaluator.nix
    ./fail2ban.nix
    ./gitea.nix
    ./gonic.nix
    ./gotosocial.nix
    ./harmonia.nix
    ./hedgedoc.nix
    ./home-assistant.nix
    ./hosts.nix
    ./jenkins.nix
    ./kea.nix
    ./keyd.nix
    ./knot.nix
    ./mautrix.nix
    ./names.nix
    ./nfs.nix
    ./nix.nix
    ./nostr-rs-relay.nix
    ./oink.nix
    ./openssh.nix
    ./phpfpm.nix
    ./pipewire.nix
    ./postgresql.nix
    ./prometheus-exporters.nix
    ./prometheus.nix
    ./redis.nix
    ./samba.nix
    ./servarr.nix
    ./sources.nix
    ./sysctl.nix
    ./systemd.nix
    ./unbound.nix
    ./warm-evaluator.nix
    (import ./reconciling.nix {
      onSwitch = ''
        What `nixos-rebuild switch` and `test` do with recorded overrides. With `static`, the built configuration is in
        effect afterwards, and the log records that. With `reapply`, the overrides are applied on top of the built
        configuration.
      '';
    })
  ];

  options.dynamicism = {
    for = mkOption {
      type = types.attrsOf (
        import ./service.nix {
          inherit lib;
          checks = import ./checks.nix { inherit config lib pkgs; };
          inherit (cfg) shipped;
        }
      );
      default = { };
      example = lib.literalExpression ''
        {
          harmonia.enable = true;
          # A service that dynix has no file for:
          example = {
            enable = true;
            options = [ "services.example.settings" ];
            files."example.toml" = { };
            units."example.service" = { };
          };
        }
      '';
      description = "The services whose settings can be changed at run time, and how to change them.";
    };

    # Apart, so that nothing is evaluated of services that nobody names.
    shipped = mkOption {
      type = types.lazyAttrsOf types.unspecified;
      default = { };
      internal = true;
      visible = false;
      description = "What dynix says of services, by name: as in `dynamicism.for`.";
    };

    isUsed = mkOption {
      type = types.bool;
      readOnly = true;
      internal = true;
      default = cfg.options != [ ] || lib.any (service: service.enable) (lib.attrValues cfg.for);
      description = "Whether anything can be changed at run time.";
    };

    options = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [
        "networking.firewall.allowedTCPPorts"
        "services.nginx.virtualHosts.*"
        "systemd.services.*.serviceConfig.*"
      ];
      description = ''
        Option paths, in addition to those of the services in `dynamicism.for`, that can be overridden at run time. A path
        also covers everything below it. `*` stands for any one name, and `"*"` alone for everything. dynix evaluates the
        configuration with the new values, which takes seconds. It then puts into effect what a rebuild would change, as far
        as that needs no build and no boot. It needs the configuration on the machine, and an `evaluator`.
      '';
    };

    verify = mkOption {
      type = types.enum [
        "warn"
        "complete"
        "rollback"
        "off"
      ];
      default = "warn";
      description = ''
        What dynix does about values in effect that a rebuild would not agree with. A rebuild with such a value would also
        change another unit or file, or would refuse the value. dynix checks this in the background, unless a proof shows it
        already. With `warn`, the result is in `dynix status` and in the journal. With `complete`, dynix also puts into
        effect what a rebuild would also change, as far as that needs no build and no boot. With `rollback`, dynix takes the
        values back and records them as rejected. With `off`, dynix checks nothing.
      '';
    };

    overridesFile = mkOption {
      type = types.nullOr (types.strMatching "/.+");
      default = null;
      example = "/persist/dynix/dynamic.nix";
      description = ''
        The file of the override log. It only grows. It must not be in the Nix store.

        With `null` it is `/etc/nixos/dynamic.nix` where `/etc/nixos` can keep it. If `/etc/nixos` can be changed by others than
        root (a link into somebody's home), is on a file system in memory, or can't be written, it is
        `/var/lib/dynix/dynamic.nix`. A log that is there already is used, so that overrides stay when `/etc/nixos` changes.
      '';
    };

    package = lib.mkPackageOption {
      dynix = pkgs.dynix or (pkgs.callPackage ../../package.nix { });
    } "dynix" { };

    applyDynamicConfiguration = mkOption {
      type = types.functionTo types.package;
      readOnly = true;
      default = applyDynamicConfiguration;
      defaultText = lib.literalMD "builds the script";
      description = ''
        Builds the program `bin/apply-dynamic-configuration`, which puts the recorded overrides into effect. Its argument is
        an attribute set, usually empty. `baseConfiguration` is a NixOS configuration (a module, or an evaluated system); the
        program then works on its services instead of this system's. `newConfiguration` is the path of a log to read instead
        of `overridesFile`.
      '';
    };

    description = mkOption {
      type = types.raw;
      readOnly = true;
      internal = true;
      default = described.description;
      description = "What `dynix generate` reads.";
    };

    generated = mkOption {
      type = types.package;
      readOnly = true;
      internal = true;
      default = if cfg.heldGenerated == null then generated else cfg.heldGenerated;
      description = "What `dynix generate` gives: plan, drop-ins, scripts, proofs.";
    };

    heldGenerated = mkOption {
      type = types.nullOr types.package;
      internal = true;
      default = null;
      description = "What `generated` is instead, for an evaluation that is to differ in other things alone.";
    };

    unchecked = mkOption {
      type = types.listOf types.str;
      readOnly = true;
      default = described.unchecked;
      defaultText = lib.literalMD "by the types of the services' options";
      description = ''
        The option paths of the enabled services whose types can't be checked at run time: functions, types that a module
        makes, and options that an `apply` function converts. dynix accepts only the built value for them. With
        `dynamicism.for.<name>.narrowed` you can give such a path a type that can be checked.
      '';
    };
  };

  config = lib.mkMerge [
    {
      lib.dynamicism = {
        inherit (import ./mk-dynamic.nix) mkDynamic;
        # The override log as a module for an evaluation that is to include it: { log, arguments ? { } } -> module.
        overridesModule =
          log:
          (import ./definitions.nix { inherit lib; }).toModule (
            {
              sources = import ./layers.nix { inherit lib; } cfg.sources;
            }
            // log
          );
        # What `dynix verify` evaluates. `found` is what only the build knows: { SERVICE = { files, units }; }.
        verify =
          {
            overrides,
            found ? { },
          }:
          (import ../../lib/verify (evaluation // { inherit found; })).verify { inherit overrides; };
        # What `dynix apply` evaluates for `dynamicism.options`.
        change = (import ../../lib/evaluated evaluation).change;
        # What `dynix prove` evaluates.
        namesOf =
          {
            found ? { },
          }:
          (proving found).namesOf;
        prove =
          {
            skip ? { },
            found ? { },
          }:
          (proving found).prove { inherit skip; };
      };
    }
    (lib.mkIf cfg.isUsed {
      assertions = [
        {
          assertion = cfg.overridesFile == null || etcIsWritable || !lib.hasPrefix "/etc/" cfg.overridesFile;
          message = "dynamicism.overridesFile is ${cfg.overridesFile}, and with system.etc.overlay.mutable = false nothing can be written there. Set it to null, or to a file elsewhere.";
        }
      ];
      environment.systemPackages = [ cfg.package ];
      environment.etc."dynix/plan.json".source = "${cfg.generated}/plan.json";
      systemd.packages = [ cfg.generated ];
    })
  ];
}
