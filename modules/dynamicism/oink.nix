# oink: two options in a section of their own, beside the list of domains.
{ config, ... }:
let
  setting = name: "services.oink.settings.${name}";
in
{
  dynamicism.shipped.oink = {
    options = map setting [
      "interval"
      "ttl"
    ];
    value.attrs = {
      domains.literal = config.services.oink.domains;
      global.attrs = {
        interval.option = setting "interval";
        ttl.option = setting "ttl";
      };
    };
  };
}
