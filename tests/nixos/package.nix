# The package, built in Nix's sandbox: not a machine but a build (tests/nixos/run package).
{
  pkgs ? import <nixpkgs> { },
  # What the rustc at /toolchain says of itself.
  toolchain,
}:
pkgs.callPackage ../../package.nix {
  rustPlatform.buildRustPackage = pkgs.compileRustPackage toolchain;
}
