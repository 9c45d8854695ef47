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
  # Needs NixOS.
  users = import ./users.nix { inherit lib system imported; };
  found = import ./found.nix { inherit lib system imported; };
  applied = import ./applied.nix {
    inherit
      lib
      pkgs
      system
      imported
      ;
  };
  exporters = import ./exporters.nix { inherit system imported; };
  own = import ./own.nix {
    inherit
      lib
      pkgs
      system
      imported
      ;
  };
  sources = import ./sources.nix {
    inherit
      lib
      system
      imported
      enabled
      ;
  };
  daemon = import ./daemon.nix {
    inherit
      lib
      system
      imported
      enabled
      dynamic
      plain
      ;
  };
  newer = import ./newer.nix {
    inherit
      lib
      system
      imported
      enabled
      ;
    inherit (on) nixos;
  };
  vm = import ./vm.nix {
    inherit lib pkgs toplevel;
    inherit (on) nixos;
  };
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

  tutorial =
    (system [
      imported
      ../../docs/tutorial/greeter.nix
    ]).config.dynamicism.description.services.greeter;

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
