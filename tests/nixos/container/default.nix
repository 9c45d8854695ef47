# What `import <nixpkgs>` gives in the machines and where their systems are built: a nixpkgs whose programs are Debian's.
#
# The driver lays these files out beside links to the parts of the nixpkgs that it is made of, `nixpkgs` among them.
args:
import ./nixpkgs (
  args
  // {
    stdenvStages = import ./stdenv.nix;
    overlays = args.overlays or [ ] ++ [ (import ./packages.nix) ];
  }
)
