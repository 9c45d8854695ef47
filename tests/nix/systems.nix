# The systems that the checks compare: one configuration without dynix, with its module but nothing enabled, and with the
# three services dynamic. The services are set as in tests/fixtures/services/static.json.
{ nixos }:
let
  static = {
    _file = "configuration.nix";
    boot.loader.grub.device = "nodev";
    fileSystems."/".device = "/dev/sda";
    system.stateVersion = "20.09";
    services.gotosocial = {
      enable = true;
      setupPostgresqlDB = true;
      settings = {
        application-name = "gotosocial-for-machine";
        host = "gotosocial-machine.local";
      };
    };
    services.harmonia = {
      enable = true;
      settings = {
        workers = 4;
        max_connection_rate = 256;
      };
    };
    services.distccd = {
      enable = true;
      maxJobs = 12;
      jobTimeout = 900;
    };
  };

  imported.imports = [ ../../modules/dynamicism ];

  enabled.dynamicism.for = {
    distccd.enable = true;
    gotosocial.enable = true;
    harmonia.enable = true;
  };

  system = modules: nixos ([ static ] ++ modules);
in
{
  inherit system imported enabled;
  static = system [ ];
  imported-only = system [ imported ];
  dynamic = system [
    imported
    enabled
  ];
}
