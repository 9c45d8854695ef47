# nostr-rs-relay: the settings, with two sections that the module puts in from options of their own.
{ config, ... }:
let
  cfg = config.services.nostr-rs-relay;
in
{
  dynamicism.shipped.nostr-rs-relay = {
    value.merge = [
      { option = "services.nostr-rs-relay.settings"; }
      {
        literal = {
          database.data_directory = cfg.dataDir;
          network.port = cfg.port;
        };
      }
    ];
    pinned =
      map
        (section: {
          path = "services.nostr-rs-relay.settings.${section}";
          reason = "the module replaces this section as a whole";
        })
        [
          "database"
          "network"
        ];
  };
}
