# A small service whose file is a link under /etc, which dynix lets lead to the dynamic file.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  format = pkgs.formats.json { };
in
{
  options.services.linked.settings = lib.mkOption {
    inherit (format) type;
    default = { };
    description = "The service's settings.";
  };

  config = {
    services.linked.settings.word = "built";
    environment.etc."linked.json".source =
      format.generate "linked.json" config.services.linked.settings;
    systemd.services.linked = {
      wantedBy = [ "multi-user.target" ];
      script = "exec sleep infinity";
    };
    dynamicism.for.linked = {
      enable = true;
      options = [ "services.linked.settings" ];
      files."linked.json".attach.etc = "/etc/linked.json";
      units."linked.service" = { };
    };
  };
}
