# /etc/hosts: the addresses, after those of localhost and before other lines. Programs read it anew each time; nscd, which
# answers for them, is told.
{ config, lib, ... }:
{
  dynamicism.shipped.hosts = {
    options = [ "networking.hosts" ];
    files.hosts = {
      format = {
        name = "keyValue";
        parameters = {
          escapeKeys = false;
          indent = "";
          listToValue = " ";
          separator = " ";
          strings = "plain";
        };
      };
      value.prune = {
        from.option = "networking.hosts";
        drop = [ "list" ];
        within = "top";
      };
      around = { };
      attach.etc = "/etc/hosts";
    };
    units = lib.optionalAttrs config.services.nscd.enable { "nscd.service" = { }; };
  };
}
