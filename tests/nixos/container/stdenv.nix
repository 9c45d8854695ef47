# A standard environment of Debian's programs, in the store: nothing of the system that it builds on is looked at but the
# loader and the libraries. There is no compiler: nothing is compiled.
{
  localSystem,
  config,
  overlays,
  ...
}:
let
  take = import ./take.nix { inherit (localSystem) system; };
  tools = import ./tools.nix { inherit take; };

  # For modules that ask the compiler for its C library.
  compiler = take {
    name = "no-compiler";
    finish = "mkdir -p nix-support; touch nix-support/setup-hook";
    attributes = {
      libc = tools.libc;
      bintools = tools.libc // {
        isGNU = true;
        bintools = null;
      };
      isGNU = true;
      isClang = false;
      cc = null;
      targetPrefix = "";
    };
  };

  make =
    cc:
    import ./nixpkgs/pkgs/stdenv/generic {
      name = if cc == null then "stdenv-without-compiler" else "stdenv";
      buildPlatform = {
        canExecute = _: true;
      }
      // localSystem;
      hostPlatform = localSystem;
      targetPlatform = localSystem;
      preHook = ''
        export NIX_ENFORCE_PURITY=
        export NIX_ENFORCE_NO_NATIVE=1
      '';
      initialPath = tools.all;
      fetchurlBoot = null;
      shell = "${tools.bash}/bin/bash";
      inherit cc config;
    };
in
[
  (
    { }:
    {
      __raw = true;
      stdenv = make null;
    }
  )
  (_: {
    inherit config overlays;
    stdenv = make compiler // {
      fetchurl = _: throw "nothing is fetched for machines that are containers";
    };
  })
]
