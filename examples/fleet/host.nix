# A host of the fleet: which groups it is in, where etcd is, and what that may change here.
{ config, ... }:
let
  keys = "/var/lib/dynix-agent-keys";
in
{
  services.harmonia = {
    enable = true;
    settings.workers = 4;
  };

  dynamicism = {
    for.harmonia.enable = true;
    agent.groups = [ "web" ];
    sources.fleet = {
      etcd = {
        endpoints = [
          "https://10.0.0.1:2379"
          "https://10.0.0.2:2379"
          "https://10.0.0.3:2379"
        ];
        fleet = "production";
        certificateAuthority = "${keys}/ca.pem";
        # Its CN is this host's name as a user of etcd (roles.sh host).
        certificate = "${keys}/${config.networking.hostName}.pem";
        key = "${keys}/${config.networking.hostName}.key";
        # Only where a host may write what others read: `dynix-fleet drive` on the machine of an owner does it otherwise.
        drive = false;
      };
      # Whoever has etcd has this, and no more.
      allow."services.harmonia.settings.workers" = {
        minimum = 1;
        maximum = 64;
      };
    };
  };
}
