# Unbound: a reload reads all of the file, as a restart does, but keeps the socket.
{ config, ... }:
{
  dynamicism.shipped.unbound = {
    options = [ "services.unbound.settings" ];
    files."unbound.conf" = {
      format = "unboundConf";
      attach.etc = "/etc/unbound/unbound.conf";
    };
    units."unbound.service" = { };
    check.command = [
      "${config.services.unbound.package}/bin/unbound-checkconf"
      "{{ file }}"
    ];
  };
}
