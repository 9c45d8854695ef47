# Samba: `[global]` comes first, in a file of its own to which the shares are added. smbd, nmbd and winbindd read it, and so
# do tools like testparm, so the link under /etc leads to it.
{ config, lib, ... }:
let
  cfg = config.services.samba;
  daemons = lib.filter (name: cfg.${name}.enable or false) [
    "nmbd"
    "smbd"
    "winbindd"
  ];
in
{
  dynamicism.shipped.samba = {
    options = [ "services.samba.settings" ];
    files."smb.conf" = {
      format = {
        name = "ini";
        parameters = {
          escapeKeys = true;
          first = "global";
          floats = "fixed";
          listToValue = " ";
          nulls = "null";
          sectionNames = "escaped";
          separator = "=";
          strings = "plain";
        };
      };
      attach.etc = "/etc/samba/smb.conf";
    };
    units = lib.genAttrs (map (name: "samba-${name}.service") daemons) (_: { });
    check = {
      command = [
        "${cfg.package}/bin/testparm"
        "--suppress-prompt"
        "{{ file }}"
      ];
      onTrial = true;
    };
  };
}
