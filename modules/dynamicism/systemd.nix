# systemd's own daemons: one section of a file under /etc (settingsToSections, nixos/lib/systemd-lib.nix), which ends in an
# empty line. A daemon that can be reloaded is, so no session ends.
{ lib, ... }:
let
  daemon =
    {
      option,
      section,
      name,
      onChange,
    }:
    {
      dynamicism.shipped.${name} = {
        options = [ "${option}.${section}" ];
        files."${name}.conf" = {
          format = {
            name = "ini";
            parameters = {
              booleans = "true/false";
              escapeKeys = false;
              floats = "fixed";
              listsAsDuplicateKeys = true;
              nulls = "empty";
              sectionNames = "plain";
              separator = "=";
              strings = "plain";
            };
          };
          value.attrs.${section}.option = "${option}.${section}";
          around = { };
          attach.etc = "/etc/systemd/${name}.conf";
        };
        units."systemd-${name}.service" = { inherit onChange; };
      };
    };
in
lib.mkMerge (
  map daemon [
    {
      name = "journald";
      option = "services.journald.settings";
      section = "Journal";
      onChange = "restart";
    }
    {
      name = "logind";
      option = "services.logind.settings";
      section = "Login";
      onChange = "reload";
    }
    {
      name = "oomd";
      option = "systemd.oomd.settings";
      section = "OOM";
      onChange = "restart";
    }
    {
      name = "resolved";
      option = "services.resolved.settings";
      section = "Resolve";
      onChange = "reload";
    }
    {
      name = "timesyncd";
      option = "services.timesyncd.settings";
      section = "Time";
      onChange = "restart";
    }
  ]
)
