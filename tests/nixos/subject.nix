# A small service that shows what it was started with in /run/subject/settings.json.
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
  options.services.subject = {
    # Another system's type of the same option.
    highestLevel = lib.mkOption {
      type = lib.types.int;
      default = 100;
      description = "The highest level that the type allows.";
    };
    settings = lib.mkOption {
      type = lib.types.submodule {
        freeformType = format.type;
        options.level = lib.mkOption {
          type = lib.types.ints.between 0 config.services.subject.highestLevel;
          default = 1;
          description = "A level.";
        };
      };
      default = { };
      description = "The service's settings.";
    };
  };

  config = {
    services.subject.settings.word = lib.mkDefault "built";

    systemd.services.subject = {
      description = "the subject of a test";
      wantedBy = [ "multi-user.target" ];
      environment.SUBJECT = format.generate "subject.json" config.services.subject.settings;
      script = ''
        cp --no-preserve=mode "$SUBJECT" "$RUNTIME_DIRECTORY/settings.json"
        exec sleep infinity
      '';
      serviceConfig.RuntimeDirectory = "subject";
    };

    dynamicism.for.subject = {
      enable = lib.mkDefault true;
      # What stays up for so long is known to work, and a boot starts on it.
      watch = 1;
      options = [ "services.subject.settings" ];
      files."subject.json" = { };
      units."subject.service" = { };
    };
  };
}
