# Services with values on which other things depend: a port in the firewall, a file under /etc, another unit, a package.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (config.services.subject.settings) level;
in
{
  imports = [
    ../../modules/dynamicism
    ./subject.nix
  ];

  dynamicism.verify = "complete";
  dynamicism.for.gotosocial.enable = true;
  services.gotosocial = {
    enable = true;
    openFirewall = true;
    settings = {
      application-name = "gotosocial-for-machine";
      host = "gotosocial-machine.local";
    };
  };
  networking.enableIPv6 = false;
  networking.firewall = {
    enable = lib.mkForce true;
    # A container has no tables: this one only keeps what it is told.
    package = pkgs.writeShellScriptBin "iptables" "echo \"$@\" >> /run/iptables";
    checkReversePath = false;
  };

  environment.etc = {
    level.text = toString level;
    untold = lib.mkIf (level == 99) {
      source = pkgs.runCommand "untold" { src = ./complete-subject.nix; } "cp $src $out";
    };
  };
  systemd.services.follower = {
    description = "follows the level of another service";
    wantedBy = [ "multi-user.target" ];
    script = ''
      test ${toString level} != 13
      echo ${toString level} > /run/follower
      exec sleep infinity
    '';
    serviceConfig.Type = "exec";
  };
}
