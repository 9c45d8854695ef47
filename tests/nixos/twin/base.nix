# The system that the twin test changes.
{ lib, pkgs, ... }:
{
  imports = [
    ../../../modules/dynamicism
    ./services.nix
  ];

  dynamicism.options = [ "*" ];
  dynamicism.verify = "off";
  networking.hostName = lib.mkOverride 900 "machine";
  environment.systemPackages = [
    pkgs.iproute
    pkgs.iptables
    pkgs.nftables
    pkgs.python3
  ];

  systemd.services = {
    demo = {
      description = "a service";
      wantedBy = [ "multi-user.target" ];
      environment.WORD = "built";
      serviceConfig.ExecStart = "${pkgs.coreutils}/bin/sleep infinity";
    };
    other = {
      wantedBy = [ "multi-user.target" ];
      serviceConfig.ExecStart = "${pkgs.coreutils}/bin/sleep infinity";
    };
    scripted = {
      wantedBy = [ "multi-user.target" ];
      script = "exec sleep infinity";
    };
    tick = {
      script = "true";
      startAt = "daily";
    };
  };
  systemd.user.services.yours = {
    wantedBy = [ "default.target" ];
    script = "exec sleep infinity";
  };
  environment.etc."demo.conf".text = "built\n";
  users.users.alice = {
    isNormalUser = true;
    uid = 1000;
  };
  services.distccd.enable = true;
  services.harmonia.enable = true;
  services.harmonia.settings.workers = 4;
  services.prometheus.enable = true;
}
