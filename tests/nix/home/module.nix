# A service as people write one for their own home: a file by pkgs.formats under xdg.configFile, and a unit that names it.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.calendar;
  format = pkgs.formats.ini { };
in
{
  options.services.calendar = {
    enable = lib.mkEnableOption "a calendar server of one's own";
    settings = lib.mkOption {
      inherit (format) type;
      default = { };
      description = "Its settings.";
    };
  };

  config = lib.mkIf cfg.enable {
    xdg.configFile."radicale/config".source = format.generate "radicale.conf" cfg.settings;
    systemd.user.services.radicale = {
      Unit.Description = "A calendar server of one's own";
      Service = {
        ExecStart = "/bin/radicale --config ${config.xdg.configHome}/radicale/config";
        Restart = "on-failure";
      };
      Install.WantedBy = [ "default.target" ];
    };
  };
}
