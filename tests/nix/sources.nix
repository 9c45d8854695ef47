# The sources are a part of the description, their bounds are rules of the daemon, and their agent has its unit and its file.
{
  lib,
  system,
  imported,
  enabled,
}:
let
  inherit
    (system [
      imported
      enabled
      {
        networking.hostName = "web3";
        dynamicism.agent.groups = [ "web" ];
        dynamicism.sources = {
          config = {
            git.remotes.origin.url = "https://git.example.org/fleet.git";
            allow."services.harmonia.settings" = { };
          };
          now = {
            order = 200;
            etcd = {
              endpoints = [ "https://etcd.example.org:2379" ];
              fleet = "production";
            };
            allow."services.distccd.maxJobs".maximum = 64;
          };
          law.overHost = true;
        };
      }
    ])
    config
    ;
  wrong = system [
    imported
    enabled
    { dynamicism.sources.mute.git.remotes.origin.url = "/srv/fleet"; }
  ];
  unit = config.systemd.services.dynix-agent;
in
{
  description = { inherit (config.dynamicism.description) sources daemon; };
  agent = builtins.fromJSON config.environment.etc."dynix/agent.json".text;
  unit = {
    inherit (unit.serviceConfig) User ExecStart CapabilityBoundingSet;
    inherit (unit) wantedBy;
  };
  wrong = map (one: one.message) (lib.filter (one: !one.assertion) wrong.config.assertions);
}
