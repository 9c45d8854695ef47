# A system in miniature, under the real module system: the options that lib/verify and lib/prove read, and one dynamic
# service `s` with settings, two options beside them and a submodule.
#
# Takes modules, gives their evaluation with `verify` and `prove` on it. With `isFound`, its description does not name
# the service's file and unit, as where the build finds them.
{
  lib,
  modules,
  isFound ? false,
}:
let
  inherit (lib) mkOption types;

  pkgs = {
    writeText =
      name: text:
      derivation {
        inherit name text;
        system = "none";
        builder = "none";
      };
    formats.json = _: {
      type = value;
      generate = name: value: pkgs.writeText name (builtins.toJSON value);
    };
  };

  # As pkgs.formats.json has it.
  value =
    types.nullOr (
      types.oneOf [
        types.bool
        types.int
        types.str
        (types.attrsOf value)
        (types.listOf value)
      ]
    )
    // {
      description = "JSON value";
    };

  option = type: default: mkOption { inherit type default; };
  anything = option types.anything { };
  texts = option (types.attrsOf (
    types.submodule (
      { name, ... }:
      {
        options = {
          enable = option types.bool true;
          text = option types.str "";
          target = option types.str name;
          mode = option types.str "symlink";
          source = option types.str "/etc/static/${name}";
        };
      }
    )
  )) { };

  machine =
    { config, pkgs, ... }:
    {
      options = {
        s.settings = option (pkgs.formats.json { }).type { };
        s.threads = option types.int 1;
        s.ports = option (types.attrsOf types.int) {
          http = 80;
          https = 443;
        };
        s.sub = option (types.submodule (
          { config, ... }:
          {
            freeformType = types.attrsOf types.int;
            options.p = option types.int 1;
            options.q = option types.int (config.p + 1);
          }
        )) { };
        assertions = option (types.listOf types.unspecified) [ ];
        warnings = option (types.listOf types.str) [ ];
        systemd.units = texts;
        environment.etc = texts;
        environment.systemPackages = option (types.listOf types.package) [ ];
        networking.hostName = option types.str "machine";
        networking.firewall.allowedTCPPorts = option (types.listOf types.int) [ ];
        users.users = option (types.attrsOf (
          types.submodule { options.shell = option types.str "/bin/sh"; }
        )) { };
        system.activationScripts = option (types.attrsOf types.str) { };
        system.path = option types.anything "path";
        system.build = option (types.submodule {
          freeformType = types.lazyAttrsOf (types.uniq types.unspecified);
        }) { };
        dynamicism.generated = mkOption {
          type = types.raw;
          default =
            if config.dynamicism.heldGenerated != null then
              config.dynamicism.heldGenerated
            else
              pkgs.writeText "generated" (builtins.toJSON config.s.settings);
        };
        dynamicism.heldGenerated = option types.raw null;
        dynamicism.description = option types.raw { };
      };
      config = {
        s.settings = {
          a = 1;
          b = 2;
        };
        systemd.units."s.service".text = ''
          [Service]
          ExecStart=/bin/s --threads ${toString config.s.static} --config ${
            (pkgs.formats.json { }).generate "s.json" config.s.settings
          }
          ${config.s.extra}
        '';
        systemd.units."firewall.service".text =
          "open ${toString config.networking.firewall.allowedTCPPorts}";
        system.path = pkgs.writeText "path" (toString config.environment.systemPackages);
        system.build.etc = pkgs.writeText "etc" (builtins.toJSON config.environment.etc);
        system.build.toplevel = pkgs.writeText "system" (
          builtins.toJSON [
            config.system.build.etc
            config.system.path
            config.system.activationScripts
            config.users.users
            config.assertions
            config.warnings
            config.dynamicism.generated
            config.networking.hostName
          ]
        );
      };
    };

  # What a description says of the service, read from a system.
  described =
    { config, ... }:
    {
      options.s.static = option types.raw 0;
      options.s.extra = option types.lines "";
      config.dynamicism.description.services.s = {
        options = {
          "s.settings".static = config.s.settings;
          "s.threads".static = config.s.threads;
          "s.ports".static = config.s.ports;
          "s.sub".static = config.s.sub;
        };
        files = lib.optionalAttrs (!isFound) {
          "s.json".static = (pkgs.formats.json { }).generate "s.json" config.s.settings;
        };
        units = lib.optionalAttrs (!isFound) { "s.service" = { }; };
      };
    };

  given = {
    _module.args.pkgs = lib.mkForce pkgs;
  };

  evaluated = lib.evalModules {
    modules = [
      machine
      described
      given
    ]
    ++ modules;
  };
  inherit (evaluated) config options extendModules;
  evaluation = {
    inherit
      lib
      config
      options
      pkgs
      extendModules
      ;
    # What the build found.
    found = lib.optionalAttrs isFound {
      s = {
        files = [ file ];
        units = [ "s.service" ];
      };
    };
  };
  # As a plan has it.
  file = builtins.unsafeDiscardStringContext "${(pkgs.formats.json { }).generate "s.json"
    config.s.settings
  }";
in
evaluated
// {
  inherit file;
  inherit (import ../../../lib/verify evaluation) verify;
  inherit
    (import ../../../lib/prove (
      evaluation
      // {
        dynamicOptions.s =
          map
            (name: {
              name = "s.${name}";
              inherit (options.s.${name}) loc type value;
            })
            [
              "ports"
              "settings"
              "sub"
              "threads"
            ];
      }
    ))
    prove
    namesOf
    ;
}
