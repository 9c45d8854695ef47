# Sources of overrides outside of the host: Git for what is reviewed, etcd for what is now (docs/fleets.md).
#
# The agent is a client of the daemon, as a user without rights of its own. What each source may change is a rule of the
# daemon that is for this source alone.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  hardening = {
    CapabilityBoundingSet = "";
    LockPersonality = true;
    MemoryDenyWriteExecute = true;
    NoNewPrivileges = true;
    PrivateDevices = true;
    PrivateTmp = true;
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHome = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    ProtectProc = "invisible";
    ProtectSystem = "strict";
    RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6";
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    SystemCallArchitectures = "native";
    SystemCallFilter = "@system-service";
    UMask = "0077";
  };
  top = config.dynamicism;
  cfg = top.agent;
  runs = lib.filterAttrs (_: source: source.git != null || source.etcd != null) top.sources;
  enabled = runs != { };
  gits = lib.filter (source: source.git != null) (lib.attrValues runs);

  path = types.strMatching "/.+";
  nullOr =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };

  branches = {
    options = {
      main = mkOption {
        type = types.str;
        default = "main";
        description = "The branch for all hosts. It is followed only forwards.";
      };
      testing = mkOption {
        type = types.nullOr types.str;
        default = "testing-${cfg.host}";
        defaultText = lib.literalExpression ''"testing-''${config.dynamicism.agent.host}"'';
        description = ''
          The branch that this host tries. It has to be on top of the main one, may be reset, and is forgotten at a reboot until
          it has another commit. With null, there is none.
        '';
      };
    };
  };

  remote = {
    options = {
      url = mkOption {
        type = types.str;
        example = "https://git.example.org/fleet.git";
        description = "Where the repository is, as `git fetch` takes it.";
      };
      period = mkOption {
        type = types.numbers.between 0.1 86400;
        default = 60;
        description = "Seconds between two fetches.";
      };
      timeout = mkOption {
        type = types.numbers.between 1 3600;
        default = 60;
        description = "Seconds that a transfer may take.";
      };
      passwordFile = nullOr path "File with the password or token for http and https. The URL says who it is for (`https://USER@HOST/`).";
      sshKey = nullOr path "File of the private key for SSH, which the user `dynix-agent` has to be able to read.";
      knownHosts = nullOr path "File of the hosts that SSH knows, besides those that all programs know.";
      branches = mkOption {
        type = types.submodule branches;
        default = { };
        description = "Its branches.";
      };
    };
  };

  git = {
    options = {
      remotes = mkOption {
        type = types.attrsOf (types.submodule remote);
        description = "Where the repository can be fetched from. Each has the same history.";
      };
      directory = mkOption {
        type = types.str;
        default = ".";
        description = "The directory of all.nix, groups/ and hosts/ in the repository.";
      };
      allowedSigners = nullOr path ''
        The file of the SSH keys that may sign commits (ssh-keygen(1), ALLOWED SIGNERS). With it or `gpgKeyring`, every commit
        has to be signed.
      '';
      gpgKeyring = nullOr path "The file of the GPG keys that may sign commits.";
      sinceCommit = nullOr types.str "A commit that every later one has to be on top of, where the agent has lost its state.";
      webhook = nullOr types.str ''
        A path below /run/dynix-agent, or an address and a port, where a POST asks for a fetch at once. Nothing of the request
        is believed.
      '';
    };
  };

  etcd = {
    options = {
      endpoints = mkOption {
        type = types.nonEmptyListOf types.str;
        example = [ "https://etcd1.example.org:2379" ];
        description = "The URLs of etcd's members.";
      };
      fleet = mkOption {
        type = types.strMatching "[A-Za-z0-9._-]+";
        description = "The name of the fleet: its keys are below `/dynix/FLEET/`.";
      };
      certificateAuthority = nullOr path "PEM file of who vouches for the members' certificates.";
      certificate = nullOr path "PEM file of this host's certificate.";
      key = nullOr path "PEM file of its key, which the user `dynix-agent` has to be able to read.";
      userFile = nullOr path "File with the name of etcd's user.";
      passwordFile = nullOr path "File with the password of that user.";
      lease = mkOption {
        type = types.ints.between 5 3600;
        default = 30;
        description = "Seconds after which a host that does not report any more counts as dead.";
      };
      drive = mkOption {
        type = types.bool;
        default = true;
        description = "Whether this host may drive rollouts on, one at a time of all that may.";
      };
    };
  };

  bounds = import ./bounds.nix { inherit lib; };

  source =
    { name, ... }:
    {
      options = {
        git = nullOr (types.submodule git) "A Git repository.";
        etcd = nullOr (types.submodule etcd) "Keys of etcd.";
        allow = mkOption {
          type = types.attrsOf (types.submodule bounds);
          default = { };
          example = lib.literalExpression ''
            {
              "services.harmonia.settings" = { };
              "services.distccd.maxJobs" = { minimum = 1; maximum = 64; };
            }
          '';
          description = ''
            What it may change: bounds by option path, as in `dynamicism.daemon.allow`. Everything else in what it says is refused,
            and all of it with that.
          '';
        };
        overHost = mkOption {
          type = types.bool;
          default = false;
          description = "Whether its values count over those that are recorded on the host itself.";
        };
        order = mkOption {
          type = types.int;
          default = 100;
          description = "Of several sources, those with a greater number count over those with a smaller one; then by their names.";
        };
      };
    };

  withoutNulls = lib.filterAttrs (_: value: value != null);
in
{
  options.dynamicism.sources = mkOption {
    type = types.attrsOf (types.submodule source);
    default = { };
    example = lib.literalExpression ''
      {
        fleet.etcd = {
          endpoints = [ "https://etcd1.example.org:2379" ];
          fleet = "production";
        };
        fleet.allow."services.harmonia.settings.workers" = { maximum = 64; };
      }
    '';
    description = ''
      Places outside of the host that overrides come from. The values of each are a layer between the built configuration and the
      overrides that are recorded on the host. A source without `git` and `etcd` says what `dynix layer` records for it.
    '';
  };

  options.dynamicism.agent = {
    host = mkOption {
      type = types.strMatching "[A-Za-z0-9._-]+";
      default = config.networking.hostName;
      defaultText = lib.literalExpression "config.networking.hostName";
      description = "The name of this host in the sources.";
    };
    groups = mkOption {
      type = types.listOf (types.strMatching "[A-Za-z0-9._-]+");
      default = [ ];
      example = [ "web" ];
      description = "The groups that this host is in. Values of later ones count over those of earlier ones.";
    };
    machineId = nullOr (types.strMatching "[0-9a-f]{32}") ''
      The machine that this is for (machine-id(5)). On another one, such as a copy, the agent does nothing.
    '';
    git = mkOption {
      type = types.package;
      default = pkgs.git;
      defaultText = lib.literalExpression "pkgs.git";
      description = "The git that fetches. It needs ssh in its closure for ssh remotes.";
    };
    metrics = nullOr path "The directory of the node exporter's textfile collector, for dynix-agent.prom.";
  };

  config = lib.mkMerge [
    {
      assertions = lib.concatLists (
        lib.mapAttrsToList (name: source: [
          {
            assertion = source.git == null || source.etcd == null;
            message = "dynamicism.sources.${name} has both git and etcd. Make two sources of it.";
          }
          {
            assertion = (source.git == null && source.etcd == null) || source.allow != { };
            message = "dynamicism.sources.${name} may change nothing. Say what it may in dynamicism.sources.${name}.allow.";
          }
        ]) top.sources
      );
    }
    (lib.mkIf enabled {
      dynamicism.daemon.enable = true;
      dynamicism.daemon.allow = lib.mapAttrs' (name: source: {
        name = "source ${name}";
        value = {
          users = [ "dynix-agent" ];
          source = name;
          options = source.allow;
        };
      }) runs;

      systemd.services.dynix-agent = {
        description = "Overrides from sources outside of this host";
        documentation = [ "man:dynix(1)" ];
        wantedBy = [ "multi-user.target" ];
        # Not after the network: what the agent takes back at a boot (a testing branch) is over as soon as it can be.
        after = [ "dynix.socket" ];
        # A host without a network, or without etcd, has what was recorded last; the agent goes on trying by itself.
        startLimitIntervalSec = 0;
        restartTriggers = [ config.environment.etc."dynix/agent.json".source ];
        # What git runs: ssh for such remotes, gpg for such signatures.
        path = lib.optionals (gits != [ ]) (
          [
            cfg.git
            pkgs.openssh
          ]
          ++ lib.optional (lib.any (source: source.git.gpgKeyring != null) gits) pkgs.gnupg
        );
        serviceConfig = hardening // {
          Type = "notify";
          ExecStart = "${lib.getOutput "agent" top.package}/bin/dynix-agent run";
          User = "dynix-agent";
          Group = "dynix-agent";
          Restart = "always";
          RestartSec = 5;
          WatchdogSec = 60;
          StateDirectory = "dynix-agent";
          StateDirectoryMode = "0700";
          RuntimeDirectory = "dynix-agent";
          ReadWritePaths = lib.optional (cfg.metrics != null) cfg.metrics;
        };
      };

      # `dynix fleet`
      environment.systemPackages = [ (lib.getOutput "agent" top.package) ];

      users.users.dynix-agent = {
        isSystemUser = true;
        group = "dynix-agent";
        description = "The agent of dynix";
      };
      users.groups.dynix-agent = { };

      environment.etc."dynix/agent.json".text = builtins.toJSON (withoutNulls {
        version = 1;
        inherit (cfg) host groups machineId;
        metrics = if cfg.metrics == null then null else "${cfg.metrics}/dynix-agent.prom";
        socket = "/run/dynix/dynix.sock";
        stateDirectory = "/var/lib/dynix-agent";
        runtimeDirectory = "/run/dynix-agent";
        sources = lib.mapAttrs (
          _: source:
          if source.etcd != null then
            withoutNulls source.etcd // { kind = "etcd"; }
          else
            withoutNulls source.git
            // {
              kind = "git";
              remotes = lib.mapAttrs (
                _: remote: withoutNulls remote // { branches = withoutNulls remote.branches; }
              ) source.git.remotes;
            }
        ) runs;
      });
    })
  ];
}
