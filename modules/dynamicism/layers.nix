# The sources in the order of their layers: the names of those below the host's own overrides, and of those above, the lowest
# first.
{ lib }:
sources:
let
  ordered =
    lib.sort (one: other: one.order < other.order || one.order == other.order && one.name < other.name)
      (
        lib.mapAttrsToList (name: source: {
          inherit name;
          inherit (source) order overHost;
        }) sources
      );
  names = lib.catAttrs "name";
in
{
  below = names (lib.filter (source: !source.overHost) ordered);
  above = names (lib.filter (source: source.overHost) ordered);
}
