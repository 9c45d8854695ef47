# What some of Debian's packages install, as a package of Nix: programs in bin, and what else is asked for.
#
# Built where Debian is installed, without a sandbox, from the list of files that dpkg has. The programs stay as they are:
# they find their loader and libraries in /lib64 and /usr/lib, which a NixOS with them has to have (usr.nix).
{ system }:
{
  name,
  version ? "debian",
  # Debian's packages.
  debs ? [ ],
  # Only these of their programs; null for all.
  only ? null,
  # Directories besides: { "lib/systemd" = "/usr/lib/systemd"; }
  trees ? { },
  # Shell, at the end, in $out.
  finish ? "",
  # What `#!/usr/bin/NAME` becomes: { perl = "/nix/store/..."; }
  shebangs ? { },
  # Further attributes of the package.
  attributes ? { },
}:
let
  pairs = set: toString (map (key: "${key}=${set.${key}}") (builtins.attrNames set));
  built = derivation {
    inherit system finish;
    name = "${name}-${version}";
    builder = "/bin/sh";
    args = [
      "-eu"
      ./take.sh
    ];
    PATH = "/usr/bin:/usr/sbin:/bin:/sbin";
    preferLocalBuild = true;
    debs = toString debs;
    only = if only == null then "" else toString only;
    trees = pairs trees;
    shebangs = pairs shebangs;
  };
  outputs = [
    "bin"
    "debug"
    "dev"
    "doc"
    "info"
    "lib"
    "man"
    "out"
    "terminfo"
  ];
  whole =
    built
    // {
      pname = name;
      inherit version name;
      meta = {
        description = name;
        mainProgram = name;
        priority = 5;
        platforms = [ system ];
      }
      // attributes.meta or { };
      outputs = [ "out" ];
      type = "derivation";
      outputName = "out";
      outputUnspecified = true;
      override = _: whole;
      overrideAttrs = _: whole;
      overrideDerivation = _: whole;
      passthru = { };
    }
    // builtins.listToAttrs (
      map (output: {
        name = output;
        value = whole;
      }) outputs
    )
    // removeAttrs attributes [ "meta" ];
in
whole
