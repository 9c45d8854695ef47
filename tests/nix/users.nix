# Services of the users' service managers, in a system.
{
  lib,
  system,
  imported,
}:
let
  # A module as nixpkgs has them, for every user.
  example =
    { config, pkgs, ... }:
    let
      cfg = config.services.example;
    in
    {
      options.services.example = {
        enable = lib.mkEnableOption "an example";
        settings = lib.mkOption {
          inherit ((pkgs.formats.json { })) type;
          default = { };
        };
      };
      config = lib.mkIf cfg.enable {
        systemd.user.services.example = {
          wantedBy = [ "default.target" ];
          serviceConfig.ExecStart = "/bin/example ${
            (pkgs.formats.json { }).generate "example.json" cfg.settings
          }";
        };
      };
    };

  # What the PipeWire of today has, where the tree's has not: one directory of several packages under /etc/pipewire.
  isOfToday = (system [ ]).options.services.pipewire ? extraConfig;
  ofToday =
    { config, pkgs, ... }:
    let
      written = lib.mapAttrsToList (
        name: value: (pkgs.formats.json { }).generate "${name}.conf" value
      ) config.services.pipewire.extraConfig.pipewire;
    in
    {
      options.services.pipewire.extraConfig.pipewire = lib.mkOption {
        type = lib.types.attrsOf (pkgs.formats.json { }).type;
        default = { };
      };
      config.environment.etc.pipewire.source = "${
        pkgs.runCommand "pipewire-configs" { inherit written; } ""
      }/share/pipewire";
    };

  configuration = system [
    imported
    example
    (if isOfToday then { } else ofToday)
    {
      services.example.enable = true;
      services.example.settings.port = 1;
      services.pipewire.enable = true;
      services.pipewire.extraConfig.pipewire."10-rate"."context.properties"."default.clock.rate" = 48000;
      dynamicism.for.example.enable = true;
      dynamicism.for.pipewire.enable = true;
    }
  ];
  masked = system [
    imported
    example
    {
      services.example.enable = true;
      systemd.user.services.example.enable = false;
      dynamicism.for.example = {
        enable = true;
        units."user/example.service" = { };
      };
    }
  ];
  described = configuration.config.dynamicism.description.services;
in
{
  example = { inherit (described.example.find) units; };
  pipewire = { inherit (described.pipewire) units files; };
  options = lib.attrNames described.pipewire.options;
  refused =
    !(builtins.tryEval (builtins.deepSeq masked.config.dynamicism.description.services.example true))
    .success;
}
