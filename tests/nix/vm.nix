# The VM tests: their drivers where nixpkgs has today's test framework, else the systems of their machines.
{
  lib,
  pkgs,
  nixos,
  toplevel,
}:
let
  machines =
    { imports, defaults, ... }:
    let
      test = import (lib.head imports);
    in
    {
      instead = "machines";
      script = test.testScript;
      derivations = lib.concatMap (
        node:
        let
          # An old tree would evaluate a specialisation with its own lib: here each is a system of its own.
          plain = removeAttrs node [ "specialisation" ];
          systemOf =
            modules:
            toplevel (
              nixos (
                modules
                ++ [
                  defaults
                  {
                    # As where machines are virtual.
                    options.virtualisation.vlans = lib.mkOption { };
                  }
                  {
                    boot.loader.grub.device = "nodev";
                    fileSystems."/".device = "/dev/sda";
                    system.stateVersion = "20.09";
                    # Where they can't be taken out: within a function or an import.
                    specialisation = lib.mkForce { };
                  }
                ]
              )
            );
        in
        if lib.isFunction node then
          [ (systemOf [ node ]) ]
        else
          [ (systemOf [ plain ]) ]
          ++ lib.mapAttrsToList (
            _: special:
            systemOf [
              plain
              special.configuration
            ]
          ) (node.specialisation or { })
      ) (lib.attrValues test.nodes);
    };
  driver = test: {
    instead = null;
    script = test.config.testScriptString;
    derivations = [ test.drvPath ];
  };
  framework = pkgs.testers.runNixOSTest or null;
  tests = import ../nixos {
    inherit lib;
    testers = null;
    inherit (pkgs) dynix;
    runTest = if framework == null then machines else test: driver (framework test);
  };
in
tests
