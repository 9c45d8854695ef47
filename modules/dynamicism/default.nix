# NixOS services whose settings can be changed at run time.
#
# Options, and what follows from them: the description of the services that are enabled, compiled by `dynix generate` in
# one derivation; its drop-ins among the system's units, its plan under /etc, its script in the activation.
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
  enabled = cfg.options != [ ] || lib.any (service: service.enable) (lib.attrValues cfg.for);
  # An overlay over /etc may be read-only (nixpkgs, nixos/modules/system/etc/etc-activation.nix).
  etcIsWritable = !(config.system.etc.overlay.enable or false) || config.system.etc.overlay.mutable;
  hardening = import ./hardening.nix;
  # nixpkgs, nixos/modules/system/activation/nixos-init.nix
  runsNoScripts = config.system.nixos-init.enable or false;
  # What nixos-rebuild builds may be named in <nixos-system>, or be /etc/nixos/system.nix (nixpkgs#493229).
  knowsEntryPoints = lib.versionAtLeast config.system.nixos.release "26.05";
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

  # Where the sources of this configuration are on the machine. A directory has the same path whether it is the one that is
  # deployed or the one in the store.
  sources =
    let
      given = cfg.configuration;
      isFlake = given ? inputs;
      place =
        if isFlake then
          "${given}"
        else
          "${builtins.path {
            path = given;
            name = "configuration";
          }}";
      # What the flake may say of itself besides its content.
      about = lib.concatMap (name: lib.optional (given ? ${name}) "${name}=${toString given.${name}}") [
        "lastModified"
        "rev"
      ];
    in
    if given == null then
      {
        place = "/etc/nixos";
        flake = "/etc/nixos";
        given = "";
        all = [ ];
      }
    else
      {
        inherit place;
        flake =
          "path:${place}" + lib.optionalString (isFlake && about != [ ]) "?${lib.concatStringsSep "&" about}";
        given = "configuration = ${place}/configuration.nix;";
        all = [ place ] ++ lib.optionals isFlake (inputsOf [ ] (lib.attrValues given.inputs));
      };
  # The sources of a flake's inputs, and of theirs.
  inputsOf =
    found: inputs:
    lib.foldl' (
      found: input:
      if lib.elem "${input}" found then
        found
      else
        inputsOf (found ++ [ "${input}" ]) (lib.attrValues (input.inputs or { }))
    ) found inputs;

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
    ./aria2.nix
    ./autosuspend.nix
    ./daemon.nix
    ./distccd.nix
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

    evaluator = mkOption {
      type = types.nullOr (
        types.submodule {
          options = {
            command = mkOption {
              type = types.nonEmptyListOf types.str;
              description = "Program and arguments. dynix appends `--expr EXPRESSION`. The program has to print JSON.";
            };
            arguments = mkOption {
              type = types.str;
              description = "A Nix expression for the attribute set (`config`, `lib`, `pkgs`) that the log is applied to.";
            };
            deadline = mkOption {
              type = types.numbers.positive;
              default = 60;
              description = ''
                Seconds after which dynix ends the evaluation of an expression. An evaluation of the whole system
                (`dynamicism.options`, `dynix verify` and `prove`) may take ten times as long.
              '';
            };
          };
        }
      );
      default =
        if config.nix.enable or true then
          {
            command = [
              "${config.nix.package.out}/bin/nix-instantiate"
              "--eval"
              "--strict"
              "--json"
            ]
            # It sees no NIX_PATH, as at boot there is none.
            ++ lib.concatMap (place: [
              "-I"
              place
            ]) config.nix.nixPath
            ++ [
              "--extra-experimental-features"
              "flakes"
            ];
            # Where nixos-rebuild looks for it, if it is not a part of the system.
            arguments = ''
              let
                flake = builtins.getFlake ${builtins.toJSON sources.flake};
                host = ${builtins.toJSON config.networking.hostName};
            ''
            + lib.optionalString knowsEntryPoints ''
              entry = place:
                let
                  given = import (if builtins.pathExists (place + "/system.nix") then place + "/system.nix" else place);
                  found = if builtins.isFunction given then given { } else given;
                in
                if found ? config then found else found.''${host};
              named = builtins.tryEval <nixos-system>;
            ''
            + ''
              nixos =
                if builtins.pathExists ${sources.place}/flake.nix then flake.nixosConfigurations.''${host}
            ''
            + lib.optionalString (knowsEntryPoints && cfg.configuration == null) ''
              else if named.success then entry named.value
            ''
            + lib.optionalString knowsEntryPoints ''
              else if builtins.pathExists ${sources.place}/system.nix then entry ${sources.place}/system.nix
            ''
            + ''
                  else import <nixpkgs/nixos> { ${sources.given} };
              in
              { inherit (nixos) config pkgs; inherit (nixos.pkgs) lib; }
            '';
          }
        else
          null;
      defaultText = lib.literalMD ''
        `nix-instantiate`, on the same system as `nixos-rebuild`: the one of this `networking.hostName` in the flake in
        /etc/nixos; without a flake, (from NixOS 26.05 on) that of `<nixos-system>` or /etc/nixos/system.nix; else that of
        `<nixpkgs/nixos>`. With `dynamicism.configuration`, that one. Null if `nix.enable` is false
      '';
      description = ''
        The program that evaluates overrides that are Nix expressions rather than plain values (`dynix append --expr`). With
        null, dynix refuses such overrides.
      '';
    };

    configuration = mkOption {
      type = types.nullOr (
        lib.mkOptionType {
          name = "sources";
          description = "path or flake";
          check = given: builtins.isPath given || builtins.isString given || given ? outPath;
          merge = lib.mergeOneOption;
        }
      );
      default = null;
      example = lib.literalExpression "self";
      description = ''
        The sources of this system's configuration, for a host that has none in /etc/nixos because it is deployed from
        elsewhere. They become a part of the system, and dynix evaluates them. It is a flake (`self`, with its inputs), or a
        directory (`./.`) with system.nix (from NixOS 26.05 on) or configuration.nix, which needs `nixpkgs` in `nix.nixPath`.
      '';
    };

    activation = mkOption {
      type = types.enum [
        "script"
        "units"
      ];
      default = if runsNoScripts || !(options ? system.activationScripts) then "units" else "script";
      defaultText = lib.literalMD "`\"script\"` if NixOS runs activation scripts, else `\"units\"`";
      description = ''
        What puts the recorded overrides into effect at a boot and at a switch. With `"script"`, an activation script does
        it. With `"units"`, dynix-activate.service does it. At a boot, this unit runs before everything but file systems and
        users. At a switch, it runs before any unit is started. NixOS will drop activation scripts. With `"units"`,
        `nixos-rebuild dry-activate` does not say what happens to overrides, and `activate` run by hand does not apply them.
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
    (lib.mkIf enabled {
      assertions = [
        {
          assertion = cfg.options == [ ] || cfg.activation == "script";
          message = "dynamicism.options needs an activation script, and dynamicism.activation is \"units\". Set dynamicism.options = [ ].";
        }
        {
          assertion = cfg.verify != "complete" || cfg.activation == "script";
          message = "dynamicism.verify is \"complete\", which needs an activation script, and dynamicism.activation is \"units\". Set dynamicism.verify = \"warn\".";
        }
        {
          assertion = cfg.activation == "units" || !runsNoScripts;
          message = "dynamicism.activation is \"script\", and with system.nixos-init.enable no activation script is run: no override would be in effect after a boot. Set dynamicism.activation = \"units\".";
        }
        {
          assertion = cfg.overridesFile == null || etcIsWritable || !lib.hasPrefix "/etc/" cfg.overridesFile;
          message = "dynamicism.overridesFile is ${cfg.overridesFile}, and with system.etc.overlay.mutable = false nothing can be written there. Set it to null, or to a file elsewhere.";
        }
      ];
      environment.systemPackages = [ cfg.package ];
      environment.etc."dynix/plan.json".source = "${cfg.generated}/plan.json";
      systemd.packages = [ cfg.generated ];
    })
    (lib.optionalAttrs (options ? system.extraDependencies) {
      system.extraDependencies = lib.mkIf (enabled && cfg.configuration != null) sources.all;
    })
    (lib.optionalAttrs (options ? system.activationScripts) {
      system.activationScripts.dynix = lib.mkIf (enabled && cfg.activation == "script") {
        supportsDryActivation = true;
        # Files have owners, and the script reads what lies under /etc and writes under /run. Secrets are installed before it
        # is run, by agenix or by sops-nix (`setupSecrets`).
        deps = lib.filter (name: config.system.activationScripts ? ${name}) [
          "agenix"
          "etc"
          "groups"
          "setupSecrets"
          "specialfs"
          "users"
        ];
        # Read by the shell that runs already: starting another one takes longer than dynix does.
        text = ". ${cfg.generated}/activate";
      };
    })
    (lib.mkIf (enabled && cfg.activation == "units") {
      # As nixpkgs has it for what an activation script did before: at a boot before anything else is started, and at each
      # switch after units were stopped and before any is started (NixOS manual, sysinit-reactivation.target).
      systemd.services.dynix-activate = {
        description = "Put the recorded overrides into effect";
        documentation = [ "man:dynix(1)" ];
        wantedBy = [
          "sysinit.target"
          "sysinit-reactivation.target"
        ];
        before = [
          "shutdown.target"
          "sysinit-reactivation.target"
          "sysinit.target"
        ];
        conflicts = [ "shutdown.target" ];
        # Files have owners, and secrets are files.
        after = [
          "agenix-install-secrets.service"
          "local-fs.target"
          "sops-install-secrets.service"
          "systemd-sysusers.service"
          "systemd-tmpfiles-setup.service"
          "userborn.service"
        ];
        unitConfig = {
          DefaultDependencies = false;
          RequiresMountsFor = [
            (if cfg.overridesFile == null then "/etc/nixos" else dirOf cfg.overridesFile)
            "/var/cache/dynix"
            "/var/lib/dynix"
          ];
        };
        restartIfChanged = false;
        serviceConfig = removeAttrs hardening [ "Environment" ] // {
          # At a boot, Nix's daemon does not run yet. Nix opens its store itself then, and for that mounts it anew where only
          # Nix sees it.
          CapabilityBoundingSet = "${hardening.CapabilityBoundingSet} CAP_SYS_ADMIN";
          RestrictNamespaces = "mnt";
          SystemCallFilter = "${hardening.SystemCallFilter} @mount";
          Type = "oneshot";
          # dynix failing never keeps a boot or a switch from going on.
          ExecStart = "-${cfg.package}/bin/dynix --plan ${cfg.generated}/plan.json activate --in-unit";
          TimeoutStartSec = 120;
        };
      };
    })
    (lib.mkIf enabled {
      # A system without dynix has no activation script of its. What is stopped because it is not in the new system takes back
      # what is in effect. It says the same in every version, so that no switch finds that it changed.
      systemd.units."dynix-withdraw.service" = {
        wantedBy = [ "multi-user.target" ];
        text = ''
          [Unit]
          Description=Withdraw overrides when a system without dynix is switched to
          Documentation=man:dynix(1)
          IgnoreOnIsolate=true

          [Service]
          Type=oneshot
          RemainAfterExit=true
          # It runs before the activation: this is the system that goes.
          ExecStop=/run/current-system/sw/bin/dynix withdraw
          TimeoutStopSec=30
          X-RestartIfChanged=false
        ''
        + lib.concatStrings (lib.mapAttrsToList (name: value: "${name}=${value}\n") hardening);
      };
    })
  ];
}
