# fail2ban: the settings of the daemon, and those of each jail, with `enabled` and before the lines of jails that are text.
{ config, lib, ... }:
let
  cfg = config.services.fail2ban;
  option = name: "services.fail2ban.jails.${lib.strings.escapeNixIdentifier name}.settings";
  # Jails that are text are lines, and a filter names itself.
  jails = lib.filterAttrs (_: jail: lib.isAttrs jail) (cfg.jails or { });
  own =
    name: jail:
    lib.optionalAttrs (name != "DEFAULT") { inherit (jail) enabled; }
    // lib.optionalAttrs (jail.filter != null) { filter = name; };
  lines = {
    name = "ini";
    parameters = {
      booleans = "true/false";
      escapeKeys = true;
      floats = "fixed";
      nulls = "null";
      sectionNames = "escaped";
      separator = " = ";
      strings = "plain";
    };
  };
in
{
  dynamicism.shipped.fail2ban = {
    options = [
      "services.fail2ban.daemonSettings"
    ]
    ++ map (name: [
      "services"
      "fail2ban"
      "jails"
      name
      "settings"
    ]) (lib.attrNames jails);
    files."fail2ban.local" = {
      format = lines;
      value.option = "services.fail2ban.daemonSettings";
      attach.etc = "/etc/fail2ban/fail2ban.local";
    };
    files."jail.local" = {
      format = lines;
      value.attrs = {
        INCLUDES.literal.before = "paths-nixos.conf";
      }
      // lib.mapAttrs (name: jail: {
        merge = [
          { literal = own name jail; }
          { option = option name; }
        ];
      }) jails;
      around = { };
      attach.etc = "/etc/fail2ban/jail.local";
    };
    units."fail2ban.service" = { };
  };
}
