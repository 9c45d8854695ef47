{
  config,
  lib,
  pkgs,
  ...
}:
let
  format = pkgs.formats.toml { };
  configFile = format.generate "greeter.toml" config.services.greeter.settings;
in
{
  options.services.greeter.settings = lib.mkOption {
    type = lib.types.submodule {
      freeformType = format.type;
      options.port = lib.mkOption {
        type = lib.types.port;
        default = 8000;
        description = "The port that it listens on.";
      };
    };
    default = { };
    description = "What greeter.toml says.";
  };

  config = {
    services.greeter.settings.greeting = lib.mkDefault "hello";

    systemd.services.greeter = {
      description = "greeter";
      wantedBy = [ "multi-user.target" ];
      environment.GREETER_CONFIG = configFile;
      serviceConfig = {
        ExecStart = "${pkgs.python3}/bin/python3 ${./greeter.py}";
        DynamicUser = true;
      };
    };

    dynamicism.for.greeter = {
      enable = true;
      options = [ "services.greeter.settings" ];
      files."greeter.toml" = { };
      units."greeter.service" = { };
    };
  };
}
