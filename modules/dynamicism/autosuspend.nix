# autosuspend: an INI file whose first section are the settings; the others are checks and wake-ups, each with its options.
{ config, lib, ... }:
let
  cfg = config.services.autosuspend;
  sections =
    kind:
    lib.mapAttrs' (
      name: section: {
        name = "${kind}.${name}";
        value.literal = lib.filterAttrs (_: value: value != null) section;
      }
    );
in
{
  dynamicism.shipped.autosuspend.value.attrs = {
    general.option = "services.autosuspend.settings";
  }
  // sections "check" cfg.checks
  // sections "wakeup" cfg.wakeups;
}
