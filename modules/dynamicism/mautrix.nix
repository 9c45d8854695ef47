# mautrix' bridges: `apply` puts the settings on the module's defaults (`lib.recursiveUpdate`), and so does `merge`.
{ lib, options, ... }:
let
  bridge = name: {
    applied = [ "services.${name}.settings" ];
    value.merge = [
      { literal = options.services.${name}.settings.default; }
      { option = "services.${name}.settings"; }
    ];
  };
in
{
  dynamicism.shipped = lib.genAttrs [
    "mautrix-discord"
    "mautrix-signal"
    "mautrix-telegram"
    "mautrix-whatsapp"
  ] bridge;
}
