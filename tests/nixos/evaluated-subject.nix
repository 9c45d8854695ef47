# What is changed by options of no service: units, files under /etc, users, and so on.
{
  config,
  lib,
  pkgs,
  ...
}:
{
  # What has a source that is unpacked and compiled: no text.
  options.services.packaged.enable = lib.mkEnableOption "a file that a package has";

  imports = [
    ../../modules/dynamicism
    ./linked.nix
  ];

  config.environment.etc.packaged = lib.mkIf config.services.packaged.enable {
    source = pkgs.runCommand "packaged" {
      src = ./evaluated-subject.nix;
    } "echo built by itself > $out";
  };

  config.dynamicism.options = [ "*" ];

  config.systemd.services.demo = {
    description = "a service";
    wantedBy = [ "multi-user.target" ];
    environment.WORD = "built";
    serviceConfig.ExecStart = "${pkgs.coreutils}/bin/sleep infinity";
  };
  config.systemd.services.tick = {
    script = "true";
    startAt = lib.mkDefault "daily";
  };
  config.environment.etc."demo.conf".text = lib.mkDefault "built\n";
  config.users.users.alice = {
    isNormalUser = true;
    uid = 1000;
  };
}
