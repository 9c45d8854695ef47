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
      services.pipewire.enable = isOfToday;
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
  exampleText = described.example.find.units."user/example.service";
  # What a rebuild with other values makes besides.
  verified = configuration.config.lib.dynamicism.verify {
    overrides = [
      {
        id = 1;
        path = [
          "services"
          "example"
          "settings"
          "port"
        ];
        value = 2;
      }
      {
        id = 2;
        path = [
          "services"
          "pipewire"
          "extraConfig"
          "pipewire"
          "10-rate"
          "context.properties"
          "default.clock.rate"
        ];
        value = 44100;
      }
    ];
    found.example = {
      # As the build names them: without context.
      files = lib.filter (lib.hasSuffix "-example.json") (
        lib.splitString " " (
          lib.replaceStrings [ "\n" ] [ " " ] (builtins.unsafeDiscardStringContext exampleText)
        )
      );
      units = [ "user/example.service" ];
    };
  };
in
{
  changed = lib.mapAttrs (_: lib.attrNames) verified.changed;
  example = { inherit (described.example.find) units; };
  pipewire = { inherit (described.pipewire) units files exempt; };
  options = lib.attrNames described.pipewire.options;
  refused =
    !(builtins.tryEval (builtins.deepSeq masked.config.dynamicism.description.services.example true))
    .success;
}
