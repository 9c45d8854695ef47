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

  inherit (import ../../modules/dynamicism/mk-dynamic.nix) mkDynamic;
in
{
  # Needs only lib.
  fold = import ./fold.nix { inherit lib; } (
    builtins.fromJSON (builtins.readFile ../fixtures/overrides/fold.json)
  );
  schema = import ./schema.nix { inherit lib; };
  docs = import ./options.nix { inherit lib; };
  packaging = import ./packaging.nix { inherit lib; };

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
  # For the cost: one at a time.
  toplevel = {
    static = toplevel systems.static;
    dynamic = toplevel systems.dynamic;
  };

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
    };

  description = {
    inherit (dynamic.dynamicism) description unchecked;
    # What Nix would write, as far as it can be known without a build: the values, and the script's own text.
    static = {
      ${plain described.gotosocial.files."config.yml".static} = {
        fixture = "gotosocial";
        value = dynamic.services.gotosocial.settings;
        package = "${dynamic.services.gotosocial.package}";
        generated = "${(pkgs.formats.yaml { }).generate "config.yml" dynamic.services.gotosocial.settings}";
      };
      ${plain described.harmonia.files."harmonia.toml".static} = {
        fixture = "harmonia";
        value = dynamic.services.harmonia.settings;
        package = null;
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

  # A user's own service, and what is wrong with some.
  own =
    let
      withService =
        service:
        (system [
          imported
          {
            systemd.services.own = {
              script = "own ${pkgs.writeText "own.json" "{}"}";
              serviceConfig.ExecStart = lib.mkForce "/bin/own ${pkgs.writeText "own.json" "{}"}";
            };
            dynamicism.for.own = {
              enable = true;
              options = [ "services.harmonia.settings" ];
              files."own.json" = { };
              units."own.service".onChange = "reload";
            };
          }
          { dynamicism.for.own = service; }
        ]).config.dynamicism.description.services.own;
      refused = service: !(builtins.tryEval (builtins.toJSON (withService service))).success;
    in
    {
      taken = withService { };
      refused = lib.mapAttrs (_: refused) {
        no-such-option.options = [ "services.no.such" ];
        a-set-of-options.options = [ "services.harmonia" ];
        no-such-unit.files."own.json".units = [ "other.service" ];
        not-named.files."other.json" = { };
        several-options.options = [ "services.distccd.port" ];
      };
    };

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
                        boot.loader.grub.device = "nodev";
                        fileSystems."/".device = "/dev/sda";
                        system.stateVersion = "20.09";
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
