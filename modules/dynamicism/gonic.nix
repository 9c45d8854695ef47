# gonic: the settings on top of defaults, which the option's own function puts below them.
{ options, ... }:
let
  option = options.services.gonic.settings;
in
{
  dynamicism.shipped.gonic = {
    applied = [ "services.gonic.settings" ];
    value.merge = [
      { literal = option.default; }
      { option = "services.gonic.settings"; }
    ];
  };
}
