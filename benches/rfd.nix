# What the RFD timed, each an attribute: the settings of a service, the text of its unit, the whole system; without dynix.
# `workers`, `jobs` and `ttl` are what is changed.
{
  nixpkgs ? <nixpkgs>,
  nixpkgsLib ? null,
  extraModules ? [ ],
  workers ? 4,
  jobs ? 12,
  ttl ? 600,
}:
let
  on = import ../tests/nix/nixpkgs.nix { inherit nixpkgs nixpkgsLib extraModules; };
  inherit (on) lib;
  systems = import ../tests/nix/systems.nix { inherit (on) nixos; };
  inherit
    (systems.system [
      {
        services.harmonia.settings.workers = lib.mkForce workers;
        services.distccd.maxJobs = lib.mkForce jobs;
        # As in tests/machine/services/dnscrypt-proxy.
        services.dnscrypt-proxy2 = {
          enable = true;
          settings = {
            cloak_ttl = ttl;
            cloaking_rules = "/nix/store/66666666666666666666666666666666-cloaking-rules.txt";
            listen_addresses = [ "127.0.0.1:53" ];
            netprobe_timeout = 0;
            offline_mode = true;
          };
        };
      }
    ])
    config
    ;
  unit = name: builtins.unsafeDiscardStringContext config.systemd.units."${name}.service".text;
in
{
  settings = {
    gotosocial = config.services.gotosocial.settings;
    harmonia = config.services.harmonia.settings;
    dnscrypt-proxy = config.services.dnscrypt-proxy2.settings;
    distccd = {
      inherit (config.services.distccd)
        allowedClients
        jobTimeout
        logLevel
        maxJobs
        nice
        port
        ;
    };
  };
  # The command line of distccd is the text of its start script.
  script = builtins.unsafeDiscardStringContext config.systemd.services.distccd.serviceConfig.ExecStart.text;
  unit = lib.genAttrs [ "gotosocial" "harmonia" "distccd" ] unit;
  toplevel = builtins.unsafeDiscardStringContext config.system.build.toplevel.drvPath;
}
