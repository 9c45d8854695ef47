# Unbound: a reload reads all of the file, as a restart does, but keeps the socket.
{ lib, ... }:
{
  dynamicism.for.unbound = {
    options = [ "services.unbound.settings" ];
    files."unbound.conf" = {
      format = "unboundConf";
      attach.etc = "/etc/unbound/unbound.conf";
    };
    units."unbound.service" = { };
    check.command = [
      "/run/current-system/sw/bin/unbound-checkconf"
      "{{ file }}"
    ];
  };
}
