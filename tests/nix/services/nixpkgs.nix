# A NixOS with the services of today.
#
# Takes a nixpkgs and gives what ../nixpkgs.nix gives. With a nixpkgs of today that is all there is to it. With an old one and
# a tree that holds modules of today (`current`, laid out as nixpkgs is: nixos/modules/services/..., and
# pkgs/pkgs-lib/formats.nix), those are put in the place of the old ones, and what they need and the old tree lacks is made
# up: packages as paths, options as declarations. Nothing is built, so a path is all that a program has to be.
{
  nixpkgs,
  nixpkgsLib ? null,
  current ? null,
  extraModules ? [ ],
}:
let
  lib = import ((if nixpkgsLib == null then nixpkgs else nixpkgsLib) + "/lib");

  modules =
    directory:
    lib.concatLists (
      lib.mapAttrsToList (
        name: type:
        if type == "directory" then
          modules (directory + "/${name}")
        else if lib.hasSuffix ".nix" name then
          [ (directory + "/${name}") ]
        else
          [ ]
      ) (builtins.readDir directory)
    );
  replacing = modules (current + "/nixos/modules/services");
  # Some have moved since: the file's name tells.
  replaced =
    lib.filter (
      file:
      lib.elem (baseNameOf file) (map baseNameOf replacing ++ [ "dnscrypt-proxy2.nix" ])
      && baseNameOf file != "default.nix"
    ) (import (nixpkgs + "/nixos/modules/module-list.nix"))
    # What it says of old names is wrong where an old name is taken again.
    ++ [ (nixpkgs + "/nixos/modules/rename.nix") ];

  standIn =
    pname: mainProgram:
    let
      self =
        derivation {
          name = "${pname}-1.0";
          inherit pname;
          system = "x86_64-linux";
          builder = "/bin/sh";
        }
        // {
          version = "1.0";
          override = _: self;
          meta = {
            inherit mainProgram;
            description = pname;
          };
        };
    in
    self;

  # Every package that a module names as pkgs.NAME or as mkPackageOption's "NAME".
  named =
    let
      namesIn =
        file:
        let
          found =
            pattern: map lib.head (lib.filter lib.isList (builtins.split pattern (builtins.readFile file)));
        in
        found "pkgs\\.([a-z][a-zA-Z0-9_-]*)" ++ found "mkPackageOption pkgs \"([a-zA-Z0-9_-]+)\"";
    in
    lib.unique (lib.concatMap namesIn (replacing ++ modules ./cases))
    ++ [
      "json2x"
      "remarshal_0_17"
    ];

  # Programs that have another name than their package.
  programs = {
    grafana-loki = "loki";
    ntfy-sh = "ntfy";
    snapcast = "snapserver";
    legit-web = "legit";
  };

  overlay =
    final: previous:
    lib.genAttrs named (
      name:
      let
        mainProgram = programs.${name} or name;
        # An alias may only throw, to say that something has been removed.
        old = builtins.tryEval previous.${name};
      in
      # And some are overridden with what an older one does not take.
      if
        !(previous ? ${name})
        || !old.success
        || lib.elem name [
          "navidrome"
          "tlp"
        ]
      then
        standIn name mainProgram
      else if lib.isDerivation old.value && !(old.value ? meta.mainProgram) then
        # Which an older tree does not say.
        old.value
        // {
          meta = old.value.meta or { } // {
            inherit mainProgram;
          };
        }
      else
        old.value
    )
    // {
      formats = import (current + "/pkgs/pkgs-lib/formats.nix") {
        inherit lib;
        pkgs = final // {
          buildPackages = final;
        };
      };
      concatText = name: files: final.runCommand name { inherit files; } "cat $files > $out";
      writers = previous.writers // {
        # As the others of today: the value goes through jq.
        writeJSON = name: value: (final.formats.json { }).generate name value;
      };
    };

  set = lib.mkOption {
    type = lib.types.lazyAttrsOf lib.types.unspecified;
    default = { };
  };
  flag = lib.mkOption {
    type = lib.types.bool;
    default = false;
  };
  maybe = lib.mkOption {
    type = lib.types.unspecified;
    default = null;
  };
in
if current == null then
  import ../nixpkgs.nix { inherit nixpkgs nixpkgsLib extraModules; }
else
  import ../nixpkgs.nix {
    inherit nixpkgs nixpkgsLib;
    overlays = [ overlay ];
    extraModules =
      extraModules
      ++ replacing
      ++ [
        {
          disabledModules = replaced;
        }
        (
          { config, pkgs, ... }:
          {
            options = {
              systemd.services = lib.mkOption {
                type = lib.types.attrsOf (
                  lib.types.submodule (
                    { config, ... }:
                    {
                      options = {
                        reloadTriggers = lib.mkOption {
                          type = lib.types.listOf lib.types.unspecified;
                          default = [ ];
                        };
                        enableStrictShellChecks = flag;
                      };
                      config.unitConfig = lib.mkIf (config.reloadTriggers != [ ]) {
                        X-Reload-Triggers = [ "${lib.concatStringsSep " " config.reloadTriggers}" ];
                      };
                    }
                  )
                );
              };
              systemd.tmpfiles.settings = set;
              security.pki.caBundle = lib.mkOption {
                type = lib.types.path;
                default = "/etc/ssl/certs/ca-bundle.crt";
              };
              security.apparmor.policies = set;
              services.displayManager.enable = flag;
              services.gnome.gnome-keyring.enable = flag;
              services.power-profiles-daemon.enable = flag;
              services.tuned.enable = flag;
              services.tuned.ppdSupport = flag;
              services.influxdb2.enable = flag;
              hardware.cpu.x86.msr.enable = flag;
              boot.zfs.package = lib.mkOption { default = pkgs.zfs; };
              system.checks = lib.mkOption { type = lib.types.listOf lib.types.unspecified; };
              networking.resolvconf.subscriberFiles = lib.mkOption {
                type = lib.types.listOf lib.types.str;
                default = [ ];
              };
            };
            config = {
              # Old modules set options that today's do not have any more.
              _module.check = false;
              ids.uids.webdav = 322;
              ids.gids.webdav = 322;
              _module.args.utils = lib.mkForce (
                import (nixpkgs + "/nixos/lib/utils.nix") pkgs // import ./utils.nix { inherit lib pkgs; }
              );
            };
          }
        )
      ];
  }
