# What tests/nix/run asks for, each a plain value.
#
# Takes where nixpkgs is (tests/nix/nixpkgs.nix), gives facts; judging them is the caller's.
{
  nixpkgs ? null,
  nixpkgsLib ? null,
  extraModules ? [ ],
}:
let
  on = import ./nixpkgs.nix { inherit nixpkgs nixpkgsLib extraModules; };
  inherit (on) lib pkgs;
  systems = import ./systems.nix { inherit (on) nixos; };
  inherit (systems) system imported enabled;
  dynamic = systems.dynamic.config;
  described = dynamic.dynamicism.description.services;

  # A path as a name.
  plain = builtins.unsafeDiscardStringContext;

  toplevel = system: system.config.system.build.toplevel.drvPath;

  # What names only has the texts of what differs.
  differences =
    texts: before: after:
    let
      a = texts before;
      b = texts after;
    in
    lib.filterAttrs (_: pair: pair.before != pair.after) (
      lib.mapAttrs (name: _: {
        before = a.${name} or null;
        after = b.${name} or null;
      }) (a // b)
    );

  unitTexts =
    system:
    lib.mapAttrs (_: unit: {
      text = unit.text or null;
      inherit (unit) enable wantedBy requiredBy;
    }) system.config.systemd.units;

  # The same in all but what the stubs are: dynix on the path, as any package would be.
  withProgram = system [ { environment.systemPackages = [ pkgs.dynix ]; } ];

  gotosocialOn =
    module:
    (system [
      imported
      enabled
      module
    ]).config.dynamicism.description.services.gotosocial;

  # Values that flow on.
  flowing = (
    system [
      imported
      enabled
      (
        { config, ... }:
        {
          environment.etc."harmonia-workers".text = "${toString config.services.harmonia.settings.workers}\n";
          networking.firewall.allowedTCPPorts = [ config.services.gotosocial.settings.port ];
          users.users.gotosocial.description = config.services.gotosocial.settings.application-name;
          # Whether another value counts.
          systemd.services.distccd.serviceConfig.Nice = lib.mkIf (
            config.services.distccd.maxJobs > 16
          ) config.services.distccd.jobTimeout;
          assertions = [
            {
              assertion = config.services.harmonia.settings.max_connection_rate < 1000;
              message = "the uplink takes less than 1000 connections a second";
            }
          ];
        }
      )
    ]
  );

  # Of which the description names no file.
  unsaid = system [
    imported
    ./unsaid.nix
  ];

  # None does.
  independent = system [
    imported
    {
      dynamicism.for.distccd.enable = true;
      dynamicism.for.harmonia.enable = true;
      services.gotosocial.enable = lib.mkForce false;
    }
  ];

  inherit (import ../../modules/dynamicism/mk-dynamic.nix) mkDynamic;
in
{
  # Needs only lib.
  fold = import ./fold.nix { inherit lib; } (
    builtins.fromJSON (builtins.readFile ../fixtures/overrides/fold.json)
  );
  layers = import ./layers.nix { inherit lib; } (
    builtins.fromJSON (builtins.readFile ../fixtures/overrides/layers.json)
  );
  schema = import ./schema.nix { lib = on.current; };
  documentation = import ./documentation.nix { lib = on.current; };
  types = import ./types.nix { lib = on.current; };
  docs = import ./options.nix { inherit lib; };
  packaging = import ./packaging.nix { inherit lib; };
  users = import ./users.nix { inherit lib system imported; };

  # Needs NixOS.
  services = lib.genAttrs [ "distccd" "gotosocial" "harmonia" ] (
    name: systems.static.options.services ? ${name}
  );

  toplevels = {
    static = toplevel systems.static;
    imported-only = toplevel systems.imported-only;
    dynamic = toplevel systems.dynamic;
  };
  # To be instantiated.
  system = systems.dynamic.config.system.build.toplevel;
  # For `dynix verify` and `dynix prove`.
  flowingServices = flowing.config.dynamicism.description.services;
  independentServices = independent.config.dynamicism.description.services;
  unsaidServices = unsaid.config.dynamicism.description.services;
  unsaidTexts = unsaid.config.services.texts;
  inherit flowing independent unsaid;

  # For the cost: one at a time.
  toplevel = {
    static = toplevel systems.static;
    dynamic = toplevel systems.dynamic;
    independent = toplevel independent;
  };
  verification = independent.config.lib.dynamicism.verify {
    overrides = [
      {
        id = 1;
        path = [
          "services"
          "harmonia"
          "settings"
          "workers"
        ];
        value = 9;
      }
    ];
  };
  proof = independent.config.lib.dynamicism.prove { };

  units = {
    differences = differences unitTexts withProgram systems.dynamic;
    count = lib.length (lib.attrNames dynamic.systemd.units);
    packages = map (package: package.drvPath) (
      lib.subtractLists systems.static.config.systemd.packages dynamic.systemd.packages
    );
    generated = dynamic.dynamicism.generated.drvPath;
    etc = lib.subtractLists (lib.attrNames systems.static.config.environment.etc) (
      lib.attrNames dynamic.environment.etc
    );
  };

  activation =
    let
      script = plain dynamic.system.activationScripts.script;
      activate = plain "${dynamic.dynamicism.generated}/activate";
    in
    {
      runs = lib.hasInfix activate script;
      deps = dynamic.system.activationScripts.dynix.deps or null;
      # What installs secrets, as sops-nix and agenix call it.
      behindSecrets =
        if !(dynamic.system.activationScripts ? dynix) then
          null
        else
          (system [
            imported
            enabled
            {
              system.activationScripts.setupSecrets = "true";
              system.activationScripts.agenix = "true";
            }
          ]).config.system.activationScripts.dynix.deps;
    };

  description = {
    inherit (dynamic.dynamicism) description unchecked;
    # Store paths that are others in the fixtures.
    packages = {
      gotosocial = "${dynamic.services.gotosocial.package}";
      distccd = "${dynamic.services.distccd.package}";
      harmonia = "${dynamic.services.harmonia.package}";
      masquerade = "${pkgs.distccMasquerade}";
    };
    # What Nix would write, as far as it can be known without a build: the values, and the script's own text.
    static = {
      ${plain described.gotosocial.files."config.yml".static} = {
        fixture = "gotosocial";
        value = dynamic.services.gotosocial.settings;
        generated = "${(pkgs.formats.yaml { }).generate "config.yml" dynamic.services.gotosocial.settings}";
      };
      ${plain described.harmonia.files."harmonia.toml".static} = {
        fixture = "harmonia";
        value = dynamic.services.harmonia.settings;
        generated = "${(pkgs.formats.toml { }).generate "harmonia.toml"
          dynamic.services.harmonia.settings
        }";
      };
      ${plain described.distccd.files.flags.static} = {
        text = dynamic.systemd.services.distccd.serviceConfig.ExecStart.text;
      };
    };
  };

  # gotosocial follows its port in two more places.
  gotosocial = {
    low = gotosocialOn { services.gotosocial.settings.port = 80; };
    opened = gotosocialOn { services.gotosocial.openFirewall = true; };
    completed = gotosocialOn {
      services.gotosocial.openFirewall = true;
      dynamicism.verify = "complete";
    };
  };

  marks = {
    below = gotosocialOn { services.gotosocial.settings.application-name = mkDynamic "marked"; };
    named = gotosocialOn {
      dynamicism.for.gotosocial.dynamic = [ "services.gotosocial.settings.log-level" ];
    };
    whole =
      (system [
        imported
        enabled
        { services.distccd.logLevel = mkDynamic "error"; }
      ]).config.dynamicism.description.services.distccd.options;
  };

  # An option that nixpkgs has renamed: the name that the service file has goes on working, and no trace says otherwise.
  renamed =
    let
      evaluated = lib.evalModules {
        modules = [
          (lib.mkRenamedOptionModule [ "old" "settings" ] [ "new" "settings" ])
          {
            options.new.settings = lib.mkOption { type = lib.types.attrsOf lib.types.int; };
            options.warnings = lib.mkOption { type = lib.types.anything; };
            options.assertions = lib.mkOption { type = lib.types.anything; };
            config.new.settings.workers = 4;
          }
        ];
      };
      for = lib.evalModules {
        modules = [
          {
            options.for = lib.mkOption {
              type = lib.types.attrsOf (import ../../modules/dynamicism/service.nix { inherit lib; });
            };
            config.for.old = {
              enable = true;
              options = [ "old.settings" ];
            };
          }
        ];
      };
    in
    (import ../../modules/dynamicism/description.nix {
      inherit lib;
      inherit (evaluated) options;
      nixpkgs = "/nowhere";
      config.dynamicism = {
        inherit (for.config) for;
        onSwitch = "static";
        overridesFile = "/etc/nixos/dynamic.nix";
        keep = 10;
        watch = 30;
        evaluator = null;
        options = [ ];
        sources = { };
        verify = "warn";
        metrics.textfile = null;
        daemon.enable = false;
      };
    }).description.services.old.options;

  # Nothing is said of the two that have a file but that they are to be dynamic.
  found =
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
    };

  # A user's own service, and what is wrong with some.
  own =
    let
      json = pkgs.writeText "own.json" ownText;
      ownText = "{\n  \"max_connection_rate\": 256,\n  \"workers\": 4\n}\n";
      withService =
        service:
        (system [
          imported
          {
            systemd.services.own = {
              serviceConfig.ExecStart = "/bin/own ${json}";
              serviceConfig.ExecReload = "/bin/kill -HUP $MAINPID";
            };
            dynamicism.for.own = {
              enable = true;
              options = [ "services.harmonia.settings" ];
              files."own.json" = { };
              units."own.service".onChange = "reload";
              narrowed = [
                {
                  path = "services.harmonia.settings.workers";
                  type = lib.types.ints.between 1 64;
                }
              ];
              check.command = [
                "/bin/own"
                "--check"
                "{{ files['own.json'] }}"
              ];
              health.probe.http = "http://127.0.0.1:5000/ready";
              health.grace = 1.5;
              # Neither is enabled: they count for nothing.
              after = [
                "harmonia"
                "distccd"
              ];
            };
          }
          { dynamicism.for.own = service; }
        ]).config.dynamicism.description.services.own;
      refused = service: !(builtins.tryEval (builtins.toJSON (withService service))).success;
    in
    {
      taken = withService { };
      text = ownText;
      refused = lib.mapAttrs (_: refused) {
        no-such-option.options = [ "services.no.such" ];
        a-set-of-options.options = [ "services.harmonia" ];
        no-such-unit.files."own.json".units = [ "other.service" ];
        not-named.files."other.json" = { };
        several-options.options = [ "services.distccd.port" ];
        with-apply.options = lib.mkForce [ "system.activationScripts" ];
        read-only.options = lib.mkForce [ "dynamicism.unchecked" ];
      };
    };

  # The sources are a part of the description, their bounds are rules of the daemon, and their agent has its unit and its file.
  sources =
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
    };

  # The daemon's options become a part of the description, and its units are among the system's.
  daemon =
    let
      withDaemon =
        settings:
        (system [
          imported
          enabled
          {
            dynamicism.daemon = {
              enable = true;
            }
            // settings;
          }
        ]).config;
      allowing = option: bounds: {
        allow.balancing = {
          users = [ "balancer" ];
          options.${option} = bounds;
        };
      };
      allowed = withDaemon (
        allowing "services.harmonia.settings.workers" {
          minimum = 1;
          maximum = 64;
          rate = "10/min";
        }
      );
      described = config: config.dynamicism.description.daemon;
      refused = settings: !(builtins.tryEval (builtins.toJSON (described (withDaemon settings)))).success;
    in
    {
      description = described allowed;
      # What only `dynix generate` can refuse.
      unknown = described (withDaemon (allowing "services.harmonia.setings.workers" { }));
      often = described (withDaemon (allowing "services.harmonia.settings.workers" { rate = "often"; }));
      wantedBy = allowed.systemd.sockets.dynix.wantedBy;
      inherit (allowed.systemd.services.dynix) restartIfChanged;
      toplevel = plain allowed.system.build.toplevel.drvPath;
      absent = !(dynamic.dynamicism.description ? daemon) && !(dynamic.systemd.sockets ? dynix);
      refused = lib.mapAttrs (_: refused) {
        method = allowing "services.harmonia.settings.workers" { methods = [ "delete" ]; };
        bound = allowing "services.harmonia.settings.workers" { minimum = "one"; };
        window = {
          window = 61;
        };
        idle = {
          idle = 0;
        };
        connections = {
          connectionsPerUser = 0;
        };
      };
    };

  # What of newer systems dynix does nothing under: the messages that a build ends with.
  newer =
    let
      declare =
        set: lib.optionalAttrs (!(on.nixos [ ]).options.system ? ${lib.head (lib.attrNames set)}) set;
      declared.options.system =
        declare { nixos-init.enable = lib.mkEnableOption "it"; }
        // declare {
          etc.overlay = {
            enable = lib.mkEnableOption "it";
            mutable = lib.mkOption { default = true; };
          };
        };
      with' =
        settings:
        (system [
          imported
          enabled
          declared
          settings
        ]).config;
      refused =
        settings:
        let
          failed = lib.filter (one: !one.assertion) (with' settings).assertions;
        in
        lib.filter (lib.hasPrefix "dynamicism") (map (one: one.message) failed);
      bashless.system.nixos-init.enable = true;
      read-only.system.etc.overlay = {
        enable = true;
        mutable = false;
      };
    in
    {
      none = refused { };
      nixos-init = refused bashless;
      script = refused (bashless // { dynamicism.activation = "script"; });
      # As units, at a boot and at a switch.
      units = {
        inherit ((with' bashless).systemd.services.dynix-activate) wantedBy before;
        script = (with' bashless).system.activationScripts ? dynix;
      };
      read-only = refused read-only;
      overrides-there = refused (read-only // { dynamicism.overridesFile = "/etc/nixos/dynamic.nix"; });
      elsewhere = refused (read-only // { dynamicism.overridesFile = "/var/lib/dynix/dynamic.nix"; });
    };

  tutorial =
    (system [
      imported
      ../../docs/tutorial/greeter.nix
    ]).config.dynamicism.description.services.greeter;

  # The VM tests: their drivers where nixpkgs has today's test framework, else the systems of their machines.
  vm =
    let
      machines =
        { imports, defaults, ... }:
        let
          test = import (lib.head imports);
        in
        {
          instead = "machines";
          script = test.testScript;
          derivations = lib.concatMap (
            node:
            let
              # An old tree would evaluate a specialisation with its own lib: here each is a system of its own.
              plain = removeAttrs node [ "specialisation" ];
              systemOf =
                modules:
                toplevel (
                  on.nixos (
                    modules
                    ++ [
                      defaults
                      {
                        # As where machines are virtual.
                        options.virtualisation.vlans = lib.mkOption { };
                      }
                      {
                        boot.loader.grub.device = "nodev";
                        fileSystems."/".device = "/dev/sda";
                        system.stateVersion = "20.09";
                        # Where they can't be taken out: within a function or an import.
                        specialisation = lib.mkForce { };
                      }
                    ]
                  )
                );
            in
            if lib.isFunction node then
              [ (systemOf [ node ]) ]
            else
              [ (systemOf [ plain ]) ]
              ++ lib.mapAttrsToList (
                _: special:
                systemOf [
                  plain
                  special.configuration
                ]
              ) (node.specialisation or { })
          ) (lib.attrValues test.nodes);
        };
      driver = test: {
        instead = null;
        script = test.config.testScriptString;
        derivations = [ test.drvPath ];
      };
      framework = pkgs.testers.runNixOSTest or null;
      tests = import ../nixos {
        inherit lib;
        testers = null;
        inherit (pkgs) dynix;
        runTest = if framework == null then machines else test: driver (framework test);
      };
    in
    tests;

  # `config.dynamicism.applyDynamicConfiguration`, with and without its arguments.
  apply =
    let
      inherit (dynamic.dynamicism) applyDynamicConfiguration;
      other =
        (system [
          imported
          enabled
          { services.harmonia.settings.workers = lib.mkForce 8; }
        ]).config;
    in
    {
      plain =
        (applyDynamicConfiguration { }).drvPath == dynamic.dynamicism.generated.drvPath
        &&
          lib.getExe (applyDynamicConfiguration { })
          == "${dynamic.dynamicism.generated}/bin/apply-dynamic-configuration";
      base =
        (applyDynamicConfiguration {
          baseConfiguration = {
            config = other;
          };
        }).drvPath == other.dynamicism.generated.drvPath;
      new =
        (applyDynamicConfiguration { newConfiguration = /etc/nixos/its-dynamic.nix; }).text
          or (applyDynamicConfiguration { newConfiguration = /etc/nixos/its-dynamic.nix; }).buildCommand;
    };

  # What `dynix verify` will evaluate: the log's overrides on top of the configuration.
  overridden =
    let
      config =
        (system [
          imported
          enabled
          (dynamic.lib.dynamicism.overridesModule {
            log =
              { overrides, ... }:
              overrides { set.services.harmonia.settings.workers = 20; }
                { set.services.distccd.logLevel = "error"; }
                {
                  replace = {
                    path = [
                      "services"
                      "distccd"
                      "allowedClients"
                    ];
                    value = [ "10.0.0.0/8" ];
                  };
                };
          })
        ]).config;
    in
    {
      harmonia = config.services.harmonia.settings;
      distccd = { inherit (config.services.distccd) logLevel allowedClients maxJobs; };
    };
}
