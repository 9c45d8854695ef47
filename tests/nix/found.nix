# Services of which nothing is said but that they are to be dynamic.
{
  lib,
  system,
  imported,
}:
let
  unsaid = {
    enable = true;
    options = lib.mkForce [ ];
    files = lib.mkForce { };
    units = lib.mkForce { };
  };
  instance = {
    options.services.instances = lib.mkOption {
      default = { };
      type = lib.types.attrsOf (
        lib.types.submodule {
          options.settings = lib.mkOption { type = lib.types.attrsOf lib.types.int; };
        }
      );
    };
    options.services.several.instances = lib.mkOption {
      type = lib.types.attrsOf (
        lib.types.submodule {
          options.enable = lib.mkOption { default = true; };
          options.settings = lib.mkOption { type = lib.types.attrsOf lib.types.int; };
        }
      );
    };
    config = {
      services.instances.one.settings.workers = 4;
      systemd.services.instances-one.serviceConfig.ExecStart = "/bin/instance";
      dynamicism.for.instances = {
        enable = true;
        options = [ "services.instances.one.settings" ];
      };
      services.several.instances = {
        one.settings.workers = 4;
        off = {
          enable = false;
          settings.workers = 1;
        };
      };
      systemd.services.several-one.serviceConfig.ExecStart = "/bin/instance";
      dynamicism.for.several = {
        enable = true;
        units."several-one.service".restartFor = [
          "services.several.instances.one.settings.workers"
          [
            "services"
            "several"
            "a b"
          ]
        ];
      };
    };
  };
  of =
    for:
    (system [
      imported
      { dynamicism = { inherit for; }; }
    ]).config.dynamicism.description;
in
{
  both = of {
    gotosocial = unsaid;
    harmonia = unsaid;
  };
  inherit
    (of {
      distccd.enable = true;
    })
    candidates
    ;
  within =
    (system [
      imported
      instance
    ]).config.dynamicism.description.services.instances;
  several =
    (system [
      imported
      instance
    ]).config.dynamicism.description.services.several;
}
