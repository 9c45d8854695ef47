# Services of which nothing is said but that they are to be dynamic, each with its settings in another place: a file that a
# script names, variables of the unit, flags of its command.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  settings =
    type: default:
    mkOption {
      type = types.attrsOf type;
      inherit default;
    };
  atom = types.oneOf [
    types.bool
    types.int
    types.str
  ];
  cfg = config.services;
  plain = file: builtins.unsafeDiscardStringContext "${file}";

  file = pkgs.writeText "scripted.ini" (lib.generators.toINI { } cfg.scripted.settings);
  script = pkgs.writeShellScript "scripted-start" "exec /bin/scripted --config ${file}";
in
{
  options.services = {
    flagged.settings = settings atom { };
    scripted.settings = settings (types.attrsOf atom) { };
    told.environment = settings types.str { };
    # What `dynix generate` finds in the store.
    texts = mkOption { type = types.attrsOf types.str; };
  };

  config = {
    services = {
      flagged.settings = {
        port = 8080;
        verbose = true;
      };
      scripted.settings.main = {
        nice = 1;
        workers = 4;
      };
      told.environment = {
        TOLD_PORT = "8080";
        TOLD_NAME = "a b";
      };
      texts = {
        ${plain file} = lib.generators.toINI { } cfg.scripted.settings;
        ${plain script} = "#!/bin/sh\nexec /bin/scripted --config ${plain file}\n";
      };
    };
    systemd.services = {
      flagged.serviceConfig.ExecStart = "/bin/flagged ${
        lib.cli.toCommandLineShellGNU { } cfg.flagged.settings
      }";
      scripted.serviceConfig = {
        ExecStart = script;
        Nice = cfg.scripted.settings.main.nice;
      };
      told = {
        inherit (cfg.told) environment;
        serviceConfig.ExecStart = "/bin/told";
      };
    };
    dynamicism.for = {
      flagged.enable = true;
      scripted.enable = true;
      told = {
        enable = true;
        options = [ "services.told.environment" ];
      };
    };
  };
}
