# aria2: lines of key=value, with the port ranges as text.
{ config, lib, ... }:
let
  ranges = "services.aria2.settings.listen-port";
  toText = { from, to }: if from == to then toString from else "${toString from}-${toString to}";
in
{
  dynamicism.shipped.aria2 = {
    value.merge = [
      { option = "services.aria2.settings"; }
      {
        literal.listen-port = lib.concatMapStringsSep "," toText config.services.aria2.settings.listen-port;
      }
    ];
    pinned = [
      {
        path = ranges;
        reason = "a function of the module makes text of the ranges";
      }
    ];
  };
}
