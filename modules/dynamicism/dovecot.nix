# Dovecot: other files are included after the lines about versions.
{ config, lib, ... }:
let
  cfg = config.services.dovecot2;
in
{
  dynamicism.shipped.dovecot2 = {
    options = [ "services.dovecot2.settings" ];
    files."dovecot.conf" = {
      format = {
        name = "dovecotConf";
        parameters = lib.optionalAttrs (cfg.includeFiles or [ ] != [ ]) {
          includes = lib.concatMapStrings (file: "!include ${file}\n") cfg.includeFiles;
        };
      };
      attach.etc = "/etc/dovecot/dovecot.conf";
    };
    units."dovecot.service" = { };
  };
}
