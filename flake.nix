{
  description = "Change a running NixOS system's settings in milliseconds, safely, without a rebuild";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  # All of it is in default.nix.
  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      of = system: import ./default.nix { pkgs = nixpkgs.legacyPackages.${system}; };
      each = give: lib.genAttrs systems (system: give (of system));
    in
    {
      packages = each (dynix: {
        default = dynix.dynix;
        inherit (dynix) dynix allTests;
      });

      # nix build .#tests.gotosocial
      legacyPackages = each (dynix: {
        inherit (dynix) tests;
      });

      checks = each (dynix: dynix.tests // { inherit (dynix) dynix; });

      devShells = each (dynix: {
        default = import ./shell.nix { inherit (dynix) pkgs; };
      });

      formatter = each (dynix: dynix.pkgs.nixfmt-tree);

      nixosModules.default = ./modules/dynamicism;

      # For home-manager.
      homeModules.default = ./modules/home-manager;

      overlays.default = final: _: { dynix = final.callPackage ./package.nix { }; };

      lib = import ./lib;
    };
}
