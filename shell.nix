# What working on dynix needs. The machine tests need root, mmdebstrap and systemd-nspawn besides.
{
  pkgs ? (import ./default.nix { }).pkgs,
}:
pkgs.mkShell {
  inputsFrom = [ (pkgs.callPackage ./package.nix { }) ];
  packages = [
    pkgs.clippy
    pkgs.mmdebstrap
    pkgs.nixfmt
    pkgs.python3
    pkgs.rust-analyzer
    pkgs.rustfmt
  ];
}
