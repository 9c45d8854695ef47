# What the standard environment consists of.
{ take }:
let
  bash = take {
    name = "bash";
    debs = [ "bash" ];
    finish = "rm -f bin/bashbug; ln -s bash bin/sh";
    attributes.shellPath = "/bin/bash";
  };
  shebangs = {
    bash = "${bash}/bin/bash";
    sh = "${bash}/bin/sh";
  };
  one =
    name: deb:
    take {
      inherit name shebangs;
      debs = [ deb ];
    };
in
rec {
  inherit bash shebangs;
  coreutils = one "coreutils" "coreutils";
  findutils = one "findutils" "findutils";
  gnugrep = one "gnugrep" "grep";
  gnused = one "gnused" "sed";
  gawk = take {
    name = "gawk";
    debs = [ "gawk" ];
    finish = "ln -sf gawk bin/awk";
  };
  gnutar = one "gnutar" "tar";
  gzip = one "gzip" "gzip";
  bzip2 = one "bzip2" "bzip2";
  xz = one "xz" "xz-utils";
  diffutils = one "diffutils" "diffutils";
  patch = one "patch" "patch";
  gnumake = one "gnumake" "make";
  file = one "file" "file";
  # No cache of names: what asks for it gets a program that does nothing.
  libc = take {
    name = "libc-bin";
    debs = [ "libc-bin" ];
    finish = "printf '#!/bin/sh\\nexit 0\\n' > bin/nscd; chmod +x bin/nscd";
  };
  all = [
    coreutils
    findutils
    diffutils
    gnused
    gnugrep
    gawk
    gnutar
    gzip
    bzip2
    gnumake
    bash
    patch
    xz
    file
  ];
}
