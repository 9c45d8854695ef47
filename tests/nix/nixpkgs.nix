# The nixpkgs that the checks run on.
#
# Takes paths, gives `lib` (and `current`, the same with nothing added for old modules), `pkgs` and `nixos`, a function
# from modules to an evaluated system. With the defaults that is one nixpkgs as it is. A tree and a `lib` of another age
# are made to fit, and modules that the tree does not have yet can be added: with them a NixOS of years ago is evaluated
# with today's module system and today's services.
{
  # Whole tree, with NixOS. null: only `lib`.
  nixpkgs ? <nixpkgs>,
  # A tree with lib/, if it is to be another one.
  nixpkgsLib ? null,
  # NixOS modules of services that the tree does not have.
  extraModules ? [ ],
  # Further packages, and what is to be replaced.
  overlays ? [ ],
  system ? "x86_64-linux",
}:
let
  current = import ((if nixpkgsLib == null then nixpkgs else nixpkgsLib) + "/lib");

  # What modules written for an older lib still name.
  lost = lib: {
    replaceChars = lib.replaceStrings;
    mapAttrsFlatten = lib.mapAttrsToList;
    literalExample = lib.literalExpression;
    mdDoc = text: text;
    types = lib.types // {
      string = lib.types.str;
      loaOf = lib.types.attrsOf;
      # What is of this type has become a submodule since (system.build), with priorities for each of its values.
      attrs = lib.types.lazyAttrsOf lib.types.unspecified;
    };
  };

  lib =
    if nixpkgsLib == null then
      current
    else
      current.extend (
        final: previous:
        removeAttrs (lost previous) (
          builtins.attrNames (builtins.intersectAttrs previous (removeAttrs (lost previous) [ "types" ]))
        )
      );

  # Programs that an older tree does not have: only their store paths matter here.
  standIn =
    pname:
    derivation {
      name = "${pname}-0.17";
      inherit pname system;
      builder = "/bin/sh";
    }
    // {
      meta.mainProgram = pname;
    };

  overlay =
    final: previous:
    (
      if previous ? formats then
        { }
      else
        {
          formats = import ./formats.nix {
            inherit lib;
            pkgs = final;
          };
        }
    )
    // lib.genAttrs (lib.filter (name: !(previous ? ${name})) [
      "gotosocial"
      "harmonia"
    ]) standIn
    // {
      # Its build belongs to package.nix; here it is only a path.
      dynix = standIn "dynix";
    };

  pkgs = import nixpkgs {
    inherit system;
    config = { };
    overlays = [ overlay ] ++ overlays;
  };

  baseModules = import (nixpkgs + "/nixos/modules/module-list.nix");
in
{
  inherit current lib pkgs;

  nixos =
    modules:
    if nixpkgsLib == null then
      import (nixpkgs + "/nixos/lib/eval-config.nix") {
        inherit system pkgs;
        modules = modules ++ extraModules;
      }
    else
      lib.evalModules {
        specialArgs.modulesPath = toString (nixpkgs + "/nixos/modules");
        modules =
          baseModules
          ++ extraModules
          ++ modules
          ++ [
            (
              { config, ... }:
              {
                # As in newer trees, where others can read and replace it.
                system.build.etcActivationCommands = ''
                  echo "setting up /etc..."
                  ${pkgs.perl}/bin/perl -I${pkgs.perlPackages.FileSlurp}/${pkgs.perl.libPrefix} \
                    ${nixpkgs + "/nixos/modules/system/etc/setup-etc.pl"} ${config.system.build.etc}/etc
                '';
                system.activationScripts.etc = lib.mkForce (
                  lib.stringAfter [
                    "users"
                    "groups"
                  ] config.system.build.etcActivationCommands
                );
              }
            )
            {
              _module.args = {
                inherit baseModules;
                extraModules = [ ];
                modules = [ ];
                pkgs = lib.mkForce pkgs;
              };
              nixpkgs.system = system;
              nixpkgs.initialSystem = system;
              # The manual evaluates all modules again, in a way that today's module system refuses.
              documentation.enable = lib.mkDefault false;
            }
          ];
      };
}
