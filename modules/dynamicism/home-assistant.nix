# Home Assistant: values such as `!secret NAME` are tags, and nothing that is null is written. What is new at the top may need
# other Python packages and capabilities, which the build decides by the names there.
{ config, lib, ... }:
let
  cfg = config.services.home-assistant;
in
{
  dynamicism.shipped.home-assistant = {
    options = [ "services.home-assistant.config" ];
    # Below the names that are there.
    dynamic = lib.mkDefault (
      map (name: [
        "services"
        "home-assistant"
        "config"
        name
      ]) (lib.attrNames cfg.config)
    );
    files."configuration.yaml" = {
      format = {
        name = "yaml_1_1";
        parameters.unquotedTags = true;
      };
      value.prune = {
        from.merge = [
          {
            literal.lovelace.resources = map (card: {
              type = "module";
              url = "/local/nixos-lovelace-modules/${card.entrypoint or (card.pname + ".js")}?${card.version}";
            }) (cfg.customLovelaceModules or [ ]);
          }
          { option = "services.home-assistant.config"; }
        ];
        drop = [ "null" ];
        within = "sets";
      };
      attach.etc = "/etc/home-assistant/configuration.yaml";
    };
    units."home-assistant.service".onChange = "restart";
  };
}
