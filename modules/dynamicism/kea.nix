# Kea: a file for each server, below its name. Kea's own check judges new values.
{ config, lib, ... }:
let
  cfg = config.services.kea or { };
  servers = {
    dhcp4 = {
      key = "Dhcp4";
      file = "dhcp4-server.conf";
      unit = "kea-dhcp4-server.service";
    };
    dhcp6 = {
      key = "Dhcp6";
      file = "dhcp6-server.conf";
      unit = "kea-dhcp6-server.service";
    };
    dhcp-ddns = {
      key = "DhcpDdns";
      file = "dhcp-ddns.conf";
      unit = "kea-dhcp-ddns-server.service";
    };
  };
  # A server with a file of somebody's own has no settings.
  enabled = lib.filterAttrs (
    name: _: cfg.${name}.enable or false && cfg.${name}.settings or null != null
  ) servers;
  option = name: "services.kea.${name}.settings";
in
{
  dynamicism.shipped.kea = {
    options = map option (lib.attrNames enabled);
    files = lib.mapAttrs' (name: server: {
      name = server.file;
      value = {
        format = "json";
        value.attrs.${server.key}.option = option name;
        attach.etc = "/etc/kea/${server.file}";
        units = [ server.unit ];
      };
    }) enabled;
    units = lib.mapAttrs' (_: server: lib.nameValuePair server.unit { }) enabled;
  };
}
