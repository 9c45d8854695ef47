# A home-manager with dynix's module, and services that home-manager's own modules write.
#
# Takes a nixpkgs as ../services/nixpkgs.nix does, and home-manager's tree. Gives what ../checks/home.py looks at. Nothing is
# built.
{
  nixpkgs ? <nixpkgs>,
  nixpkgsLib ? null,
  current ? null,
  extraModules ? [ ],
  homeManager,
}:
let
  on = import ../services/nixpkgs.nix {
    inherit
      nixpkgs
      nixpkgsLib
      current
      extraModules
      ;
  };
  inherit (on) lib;
  module = name: homeManager + "/modules/services/${name}.nix";
  extended = import (homeManager + "/modules/lib/stdlib-extended.nix") lib;
  # As home-manager's modules/default.nix, with the packages that there are.
  home =
    extra:
    extended.evalModules {
      class = "homeManager";
      specialArgs.modulesPath = toString (homeManager + "/modules");
      modules =
        import (homeManager + "/modules/modules.nix") {
          inherit (on) pkgs;
          lib = extended;
          minimal = true;
          check = false;
          useNixpkgsModule = false;
        }
        ++ [
          ../../../modules/home-manager
          (module "pantalaimon")
          ./module.nix
          {
            _module.args.pkgs = lib.mkForce on.pkgs;
            home = {
              username = "alice";
              homeDirectory = "/home/alice";
              stateVersion = "24.11";
            };
            manual.manpages.enable = false;
            dynamicism.package = on.pkgs.hello;
          }
          extra
        ];
    };
  services = {
    services.pantalaimon = {
      enable = true;
      package = on.pkgs.hello;
      settings = {
        Default.LogLevel = "Debug";
        local-matrix = {
          Homeserver = "https://matrix.org";
          ListenPort = 8008;
        };
      };
    };
    services.calendar = {
      enable = true;
      settings.server.port = 5232;
    };
  };
  dynamic = home {
    imports = [ services ];
    dynamicism.for = {
      pantalaimon.enable = true;
      calendar.enable = true;
    };
  };
  static = home services;
  files = system: lib.mapAttrs (_: file: "${file.source}") system.config.xdg.configFile;
in
{
  inherit (dynamic.config.dynamicism) description unchecked;
  inherit (dynamic.config.dynamicism) generated;
  new = lib.sort lib.lessThan (
    lib.subtractLists (lib.attrNames (files static)) (lib.attrNames (files dynamic))
  );
  changed = lib.filterAttrs (name: file: (files dynamic).${name} != file) (files static);
  activation = {
    inherit (dynamic.config.home.activation.dynix) data after before;
  };
}
