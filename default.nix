# dynix without flakes: `nix-build` gives the program, `nix-build -A tests.gotosocial` one of the VM tests.
#
# In a configuration: imports = [ /path/to/dynix/modules/dynamicism ]. What a configuration imports can't depend on its `pkgs`.
{
  system ? builtins.currentSystem,
  # The nixpkgs that flake.lock pins.
  nixpkgs ?
    let
      inherit ((builtins.fromJSON (builtins.readFile ./flake.lock)).nodes.nixpkgs) locked;
    in
    fetchTarball {
      url = "https://github.com/${locked.owner}/${locked.repo}/archive/${locked.rev}.tar.gz";
      sha256 = locked.narHash;
    },
  pkgs ? import nixpkgs {
    inherit system;
    config = { };
    overlays = [ ];
  },
}:
let
  dynix = pkgs.callPackage ./package.nix { };
  inherit (dynix.passthru) tests;
in
dynix
// {
  inherit dynix pkgs tests;
  nixosModules.default = ./modules/dynamicism;
  homeModules.default = ./modules/home-manager;
  lib = import ./lib;
  overlays.default = final: _: { dynix = final.callPackage ./package.nix { }; };
  allTests = pkgs.linkFarm "dynix-tests" tests;
}
