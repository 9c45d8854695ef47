# The ways in which a value flows on, each with a twin that looks like it and changes nothing.
#
# Each case: modules on tests/nix/sound/machine.nix, values that are set, and what a rebuild would change besides, as
# "KIND NAME". What the value is said to flow into has to hold all of that; of a twin it is `flows`, empty where it is not
# said. tests/suite/sound.rs judges.
{ lib }:
let
  unit = name: text: {
    systemd.units.${name}.text = "[Service]\nExecStart=/bin/other ${toString text}\n";
  };
  threads = {
    "s.threads" = 9;
  };
  firewall = {
    networking.firewall.allowedTCPPorts = [ 22 ];
  };

  cases = {
    copied = {
      modules = [ ({ config, ... }: unit "other.service" config.s.threads) ];
      expected = [ "unit other.service" ];
    };
    copied-twin = {
      # The other service has a value of its own that is the same.
      modules = [ ({ ... }: unit "other.service" 1) ];
    };

    chain-of-three = {
      modules = [
        (
          { config, lib, ... }:
          {
            options.x = lib.mkOption { type = lib.types.int; };
            options.y = lib.mkOption { type = lib.types.str; };
            config = {
              x = config.s.threads * 2;
              y = "y${toString config.x}";
              environment.etc.chained.text = config.y;
            };
          }
        )
      ];
      expected = [ "etc chained" ];
    };
    chain-of-three-twin = {
      # The chain ends before it reaches anything.
      modules = [
        (
          { config, lib, ... }:
          {
            options.x = lib.mkOption { type = lib.types.int; };
            options.y = lib.mkOption { type = lib.types.str; };
            config = {
              x = config.s.threads * 2;
              y = "y${toString config.x}";
              environment.etc.chained.text = "z";
            };
          }
        )
      ];
    };

    condition-comes-true = {
      modules = [
        (
          { config, lib, ... }:
          {
            environment.etc.many = lib.mkIf (config.s.threads > 4) { text = "many"; };
          }
        )
      ];
      expected = [ "etc many" ];
      # Whether it is there at all can't be known without the value, of no file in /etc.
      flows = [ "etc *" ];
    };
    condition-stays-false = {
      modules = [ ({ config, ... }: unit "other.service" (if config.s.threads > 99 then 2 else 1)) ];
      # Its values are not told apart: verify says that nothing changes, the proof that something could.
      flows = [ "unit other.service" ];
    };
    value-behind-false-condition = {
      # Another value counts, and only while the condition holds.
      modules = [
        ({ config, ... }: unit "other.service" (if config.s.settings.a == 1 then 0 else config.s.threads))
      ];
    };
    value-behind-true-condition = {
      modules = [
        ({ config, ... }: unit "other.service" (if config.s.settings.a == 1 then 0 else config.s.threads))
      ];
      set = threads // {
        "s.settings.a" = 5;
      };
      expected = [ "unit other.service" ];
    };

    renamed = {
      modules = [
        (lib.mkAliasOptionModule [ "old" "threads" ] [ "s" "threads" ])
        ({ config, ... }: unit "other.service" config.old.threads)
      ];
      expected = [ "unit other.service" ];
    };
    renamed-twin = {
      modules = [
        (lib.mkAliasOptionModule [ "old" "threads" ] [ "s" "threads" ])
        ({ ... }: unit "other.service" "old.threads")
      ];
    };

    name-of-the-machine = {
      # What the rest of the system has a name for has that of no other part.
      modules = [ ({ config, ... }: { networking.hostName = "m${toString config.s.threads}"; }) ];
      expected = [ "option networking.hostName" ];
    };
    name-of-the-machine-twin = {
      modules = [ { networking.hostName = "m1"; } ];
    };

    shared = {
      # Two services are told by one option; only one of them is dynamic.
      modules = [
        ({ config, ... }: { s.static = config.s.threads; })
        ({ config, ... }: unit "other.service" config.s.threads)
      ];
      expected = [
        "unit other.service"
        "unit s.service"
      ];
    };

    merged-list = {
      modules = [
        ({ config, ... }: { networking.firewall.allowedTCPPorts = [ config.s.threads ]; })
        firewall
        { networking.firewall.allowedTCPPorts = [ 443 ]; }
      ];
      expected = [ "unit firewall.service" ];
    };
    merged-list-twin = {
      # How many there are is the same.
      modules = [
        (
          { config, ... }:
          unit "other.service" (
            builtins.length [
              config.s.threads
              1
            ]
          )
        )
      ];
    };

    firewall-port = {
      modules = [
        firewall
        ({ config, ... }: { networking.firewall.allowedTCPPorts = [ config.s.settings.b ]; })
      ];
      set."s.settings.b" = 80;
      expected = [ "unit firewall.service" ];
    };
    firewall-port-twin = {
      modules = [
        firewall
        { networking.firewall.allowedTCPPorts = [ 2 ]; }
      ];
      set."s.settings.b" = 80;
    };

    capability = {
      modules = [
        (
          { config, lib, ... }:
          {
            s.extra = lib.optionalString (config.s.threads > 4) "AmbientCapabilities=CAP_X";
          }
        )
      ];
      expected = [ "unit s.service" ];
    };
    capability-by-drop-in = {
      modules = [
        (
          { config, lib, ... }:
          {
            s.extra = lib.optionalString (config.s.threads > 4) "AmbientCapabilities=CAP_X";
          }
        )
      ];
      dropIns."s.service" = "[Service]\nAmbientCapabilities={% if s.threads > 4 %}CAP_X{% endif %}\n";
      # That the drop-in says the same for all values is not proven.
      flows = [ "unit s.service" ];
    };

    assertion = {
      modules = [
        (
          { config, ... }:
          {
            assertions = [
              {
                assertion = config.s.threads < 8;
                message = "too many threads";
              }
            ];
          }
        )
      ];
      expected = [ "assertion " ];
      flows = [ "assertion assertions" ];
    };
    assertion-twin = {
      modules = [
        (
          { config, ... }:
          {
            assertions = [
              {
                assertion = config.s.threads < 80;
                message = "too many threads";
              }
            ];
          }
        )
      ];
      flows = [ "assertion assertions" ];
    };

    shell = {
      modules = [
        ({ config, ... }: { users.users.alice.shell = "/bin/sh${toString config.s.threads}"; })
        { users.users.bob = { }; }
      ];
      expected = [ "user alice" ];
    };
    shell-twin = {
      modules = [ { users.users.alice.shell = "/bin/sh1"; } ];
    };

    activation-only = {
      modules = [
        ({ config, ... }: { system.activationScripts.x = "echo ${toString config.s.threads}"; })
      ];
      expected = [ "activation x" ];
      # Which scripts there are forces them all.
      flows = [ "activation *" ];
    };
    activation-twin = {
      modules = [ ({ ... }: { system.activationScripts.x = "echo 1"; }) ];
    };

    its-own-file = {
      modules = [ ];
      set."s.settings.a" = 9;
    };
    file-named-elsewhere = {
      # Another unit reads the generated file, and goes on reading the built one.
      modules = [
        (
          { config, pkgs, ... }:
          unit "other.service" ((pkgs.formats.json { }).generate "s.json" config.s.settings)
        )
      ];
      set."s.settings.a" = 9;
      expected = [ "unit other.service" ];
    };
    new-name = {
      # A value that was not there.
      modules = [ ({ config, ... }: unit "other.service" (config.s.settings.new or 0)) ];
      set."s.settings.new" = 3;
      expected = [ "unit other.service" ];
    };
    new-name-twin = {
      modules = [ ({ config, ... }: unit "other.service" (config.s.settings.newer or 0)) ];
      set."s.settings.new" = 3;
      flows = [ "unit other.service" ];
    };
    within-a-submodule = {
      # One option of the submodule is made of another.
      modules = [ ({ config, ... }: unit "other.service" config.s.sub.q) ];
      set."s.sub.p" = 5;
      expected = [
        "unit other.service"
        "value s.sub"
      ];
      flows = [
        "unit other.service"
        "value s.sub.q"
      ];
    };
    # What dynix leaves as it is, and a rebuild does not.
    beside-a-default = {
      # A value of one's own takes the place of the whole default that it is in.
      modules = [
        {
          s.settings.log = lib.mkDefault {
            level = "info";
            file = "/x";
          };
        }
      ];
      set."s.settings.log.level" = "debug";
      expected = [ "value s.settings" ];
      flows = [ "value s.settings.log.file" ];
    };
    beside-a-default-twin = {
      modules = [
        {
          s.settings.log = {
            level = lib.mkDefault "info";
            file = lib.mkDefault "/x";
          };
        }
      ];
      set."s.settings.log.level" = "debug";
    };
    beside-a-default-elsewhere-twin = {
      modules = [
        {
          s.settings.log = lib.mkDefault {
            level = "info";
            file = "/x";
          };
        }
      ];
      set."s.settings.a" = 9;
    };
    within-what-is-forced = {
      # Nor does it hold against one that is forced.
      modules = [
        {
          s.settings.log = lib.mkForce {
            level = "info";
            file = "/x";
          };
        }
      ];
      set."s.settings.log.level" = "debug";
      expected = [ "value s.settings" ];
      flows = [ "value s.settings.log.level" ];
    };
    all-that-is-a-default = {
      modules = [ ];
      set."s.ports.http" = 8080;
      expected = [ "value s.ports" ];
      flows = [ "value s.ports.https" ];
    };
    all-that-is-a-default-twin = {
      modules = [ { s.ports.http = 8080; } ];
      set."s.ports.http" = 8081;
    };
    new-in-what-is-forced = {
      modules = [ { s.settings.log = lib.mkForce { }; } ];
      set."s.settings.log.level" = "debug";
      expected = [ "value s.settings" ];
      flows = [ "value s.settings" ];
    };
    new-in-what-is-forced-twin = {
      modules = [ { s.settings.log = { }; } ];
      set."s.settings.log.level" = "debug";
    };
    lost-and-read = {
      # What is lost is read elsewhere.
      modules = [
        {
          s.settings.log = lib.mkDefault {
            level = "info";
            file = "/x";
          };
        }
        ({ config, ... }: unit "other.service" (config.s.settings.log.file or "none"))
      ];
      set."s.settings.log.level" = "debug";
      expected = [
        "unit other.service"
        "value s.settings"
      ];
      flows = [
        "unit other.service"
        "value s.settings.log.file"
      ];
    };
    follows-beside = {
      # One setting is made of another one, by who configures them.
      modules = [ ({ config, ... }: { s.sub.q = config.s.sub.p + 5; }) ];
      set."s.sub.p" = 9;
      expected = [ "value s.sub" ];
      flows = [ "value s.sub.q" ];
    };
    follows-in-another-option = {
      modules = [ ({ config, ... }: { s.threads = config.s.settings.a; }) ];
      set."s.settings.a" = 9;
      expected = [ "value s.threads" ];
      flows = [ "value s.threads" ];
    };
    follows-in-another-option-twin = {
      modules = [ ({ config, ... }: { s.threads = config.s.settings.a; }) ];
      set."s.settings.b" = 9;
    };
    # The description does not name the file: the build found it.
    found-twin = found ({ file, ... }: "ExecStart=/bin/s --config ${file}");
    found-through-a-script-twin = found ({ script, ... }: "ExecStart=${script}") // {
      # Its own script is another one.
      flows = [ ];
    };
    found-and-followed =
      found ({ config, script, ... }: "ExecStart=${script}\nNice=${toString config.s.settings.a}")
      // {
        expected = [ "unit s.service" ];
      };
    found-and-followed-in-the-script = found ({ config, script, ... }: "ExecStart=${script}") // {
      set."s.threads" = 9;
      expected = [ "unit s.service" ];
    };
    within-a-submodule-twin = {
      modules = [ ({ config, ... }: unit "other.service" config.s.threads) ];
      set."s.sub.q" = 5;
    };
  };

  # A service of which the build found the file, with the lines of its unit.
  found = lines: {
    modules = [
      (
        {
          config,
          lib,
          pkgs,
          ...
        }:
        let
          file = (pkgs.formats.json { }).generate "s.json" config.s.settings;
          script = pkgs.writeText "s-start" "exec /bin/s --config ${file} --threads ${toString config.s.threads}";
        in
        {
          systemd.units."s.service".text = lib.mkForce "[Service]\n${
            lines { inherit config file script; }
          }\n";
        }
      )
    ];
    set."s.settings.a" = 9;
    isFound = true;
  };

  judge =
    {
      modules,
      isFound ? false,
      set ? threads,
      expected ? [ ],
      flows ? expected,
      dropIns ? { },
    }:
    let
      machine = import ./machine.nix { inherit lib modules isFound; };
    in
    {
      inherit (machine) file;
      inherit
        set
        expected
        flows
        dropIns
        ;
      comparison = machine.verify {
        overrides = lib.mapAttrsToList (name: value: {
          path = lib.splitString "." name;
          inherit value;
          id = 1;
        }) set;
      };
      proof = machine.prove { };
      static = {
        "s.settings" = machine.config.s.settings;
        "s.ports" = machine.config.s.ports;
        "s.sub" = machine.config.s.sub;
        "s.threads" = machine.config.s.threads;
      };
    };
in
lib.mapAttrs (_: judge) cases
