# Debian's C compiler and linker, for what Rust links with and for crates with a little C. What it finds by fixed paths
# (/usr/lib, /usr/libexec, /usr/include, the loader) has to be in the sandbox.
{
  lib,
  take,
  shell,
}:
let
  tools = [
    "ar"
    "as"
    "ld"
    "nm"
    "ranlib"
    "strip"
  ];
in
take {
  name = "compiler";
  debs = [
    "gcc-14-x86-64-linux-gnu"
    "binutils-x86-64-linux-gnu"
  ];
  finish = ''
    for tool in ${lib.concatStringsSep " " tools}; do ln -s x86_64-linux-gnu-$tool bin/$tool; done
    # Beside its own place it looks for its parts where it was installed.
    places="-B/usr/libexec/gcc/x86_64-linux-gnu/14/ -B/usr/lib/gcc/x86_64-linux-gnu/14/"
    for name in cc gcc; do
      printf '#!${shell}\nexec %s/bin/x86_64-linux-gnu-gcc-14 %s "$@"\n' "$out" "$places" > bin/$name
      chmod +x bin/$name
    done
  '';
}
