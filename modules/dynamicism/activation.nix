# When the recorded overrides are put into effect: at a boot, at a switch, and withdrawn where a system without dynix takes over.
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.dynamicism;
  hardening = import ./hardening.nix;
  # nixpkgs, nixos/modules/system/activation/nixos-init.nix
  runsNoScripts = config.system.nixos-init.enable or false;
in
{
  options.dynamicism.activation = mkOption {
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

  config = lib.mkMerge [
    (lib.mkIf cfg.isUsed {
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
      ];
    })
    (lib.optionalAttrs (options ? system.activationScripts) {
      system.activationScripts.dynix = lib.mkIf (cfg.isUsed && cfg.activation == "script") {
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
    (lib.mkIf (cfg.isUsed && cfg.activation == "units") {
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
    (lib.mkIf cfg.isUsed {
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
