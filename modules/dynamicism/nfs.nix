# NFS: the settings on top of those that the server's options become.
{ config, lib, ... }:
let
  cfg = config.services.nfs.server;
  given = names: lib.filterAttrs (_: value: value != null) names;
  sections = lib.filterAttrs (_: section: section != { }) {
    lockd = given {
      port = cfg.lockdPort;
      udp-port = cfg.lockdPort;
    };
    mountd = given { port = cfg.mountdPort or null; };
    nfsd =
      if cfg.hostName or null == null then
        given { threads = cfg.nproc; }
      else
        # The module's `//` replaces the section.
        { host = cfg.hostName; };
    statd = given { port = cfg.statdPort; };
  };
in
{
  dynamicism.shipped.nfs = {
    options = [ "services.nfs.settings" ];
    files."nfs.conf" = {
      value.merge = [
        { literal = sections; }
        { option = "services.nfs.settings"; }
      ];
      format = "ini";
      attach.etc = "/etc/nfs.conf";
    };
    units =
      if cfg.enable or false then
        {
          "nfs-mountd.service" = { };
          "nfs-server.service" = { };
        }
      else
        { "rpc-statd.service" = { }; };
  };
}
