# One of the three machines that etcd runs on: its name and the address of each are all that differs.
# NixOS's own module; docs/fleets.md says what the certificates are.
{ config, ... }:
let
  members = {
    etcd1 = "10.0.0.1";
    etcd2 = "10.0.0.2";
    etcd3 = "10.0.0.3";
  };
  name = config.networking.hostName;
  peers = builtins.attrValues (
    builtins.mapAttrs (name: address: "${name}=https://${address}:2380") members
  );
in
{
  services.etcd = {
    enable = true;
    inherit name;
    initialCluster = peers;
    listenClientUrls = [ "https://${members.${name}}:2379" ];
    advertiseClientUrls = [ "https://${members.${name}}:2379" ];
    listenPeerUrls = [ "https://${members.${name}}:2380" ];
    initialAdvertisePeerUrls = [ "https://${members.${name}}:2380" ];
    certFile = "/var/lib/etcd-keys/${name}.pem";
    keyFile = "/var/lib/etcd-keys/${name}.key";
    trustedCaFile = "/var/lib/etcd-keys/ca.pem";
    clientCertAuth = true;
    peerCertFile = "/var/lib/etcd-keys/${name}.pem";
    peerKeyFile = "/var/lib/etcd-keys/${name}.key";
    peerTrustedCaFile = "/var/lib/etcd-keys/ca.pem";
    peerClientCertAuth = true;
    extraConf = {
      # Older modules of NixOS do not pass it on, and let every peer in.
      PEER_CLIENT_CERT_AUTH = "true";
      # Hosts need what holds, not what was: a week of it is for people.
      AUTO_COMPACTION_MODE = "periodic";
      AUTO_COMPACTION_RETENTION = "168h";
    };
  };
  networking.firewall.allowedTCPPorts = [
    2379
    2380
  ];
}
