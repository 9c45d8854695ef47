# The option type of one dynamic-enabled service.
#
# What a service file has to say is little: its options, its files by name, its units. The rest has defaults that fit a
# service whose `settings` become one file that its unit names.
{
  lib,
  # The checks that services have by default, by name.
  checks ? { },
  # What dynix says of services, by name.
  shipped ? { },
}:
let
  inherit (lib) mkEnableOption mkOption types;
  format = import ./format.nix { inherit lib; };

  optionPath = types.coercedTo types.str (lib.splitString ".") (types.listOf types.str);

  seconds =
    default: description:
    mkOption {
      type = types.numbers.positive;
      inherit default description;
    };

  # What stays as it is before and after the settings of a file.
  around = types.nullOr (
    types.submodule {
      options = {
        head = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "The text before the settings. With null, the build finds it.";
        };
        tail = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "The text after the settings. With null, the build finds it.";
        };
      };
    }
  );

  file = types.submodule (
    { name, config, ... }:
    {
      options = {
        format = mkOption {
          type = format.type;
          default = format.byName name;
          defaultText = lib.literalMD "by the extension of the file's name: .toml, .json, .ini, .yml or .yaml";
          example = "toml";
          description = "The format of the file.";
        };
        value = mkOption {
          type = types.nullOr types.anything;
          default = null;
          example = lib.literalExpression ''
            { select = { from.option = "services.example.settings"; path = [ "server" ]; }; }
          '';
          description = ''
            How the file's content is made from values of options: one of `{ option = "services.example.settings"; }`, `{
            literal = VALUE; }`, `{ attrs = { NAME = ...; }; }`, `{ list = [ ... ]; }`, `{ when = { condition = ...; then =
            ...; }; }`, `{ select = { from = ...; path = [ NAME ... ]; }; }`. With null, it is the value of the service's
            only option.
          '';
        };
        static = mkOption {
          type = types.nullOr (types.either types.package types.path);
          default = null;
          defaultText = lib.literalMD "the store path with the file's name that occurs in the text of its units";
          description = "The file that Nix generated for the built values, in the store. The build proves that dynix writes the same.";
        };
        around = mkOption {
          type = around;
          default = null;
          example = { };
          description = ''
            For a file that is the settings between other lines, which stay as they are. `{ }` lets the build find them in what
            Nix generated.
          '';
        };
        mode = mkOption {
          type = types.strMatching "0[0-7]{3}";
          default = "0444";
          description = "The permissions of the rendered file, in octal.";
        };
        owner = mkOption {
          type = types.str;
          default = "root";
          description = "The user that owns the rendered file.";
        };
        group = mkOption {
          type = types.str;
          default = "root";
          description = "The group of the rendered file.";
        };
        attach = {
          bind = mkOption {
            type = types.nullOr types.path;
            default = null;
            defaultText = lib.literalMD "the path of the static file";
            description = ''
              The path at which the unit sees the rendered file. The file is bound over this path (`BindReadOnlyPaths=`), so
              the unit still names the same path as before.
            '';
          };
          etc = mkOption {
            type = types.nullOr (types.strMatching "/etc/.+");
            default = null;
            example = "/etc/ssh/sshd_config";
            description = ''
              Instead of `bind`: the path of a file under /etc. The link there leads to the rendered file while an override is
              in effect, so every program reads that, not only the units. The units get no mount namespace of their own. It
              has to be a link that NixOS makes: not a file with a `mode`, and not with `system.etc.overlay`.
            '';
          };
          environment = mkOption {
            type = types.nullOr (
              types.submodule {
                options = {
                  variable = mkOption {
                    type = types.strMatching "[A-Za-z_][A-Za-z0-9_]*";
                    example = "EXAMPLE_FLAGS";
                    description = "The name of the variable that holds the words.";
                  };
                  command = mkOption {
                    type = types.nonEmptyListOf types.str;
                    example = lib.literalExpression ''[ (lib.getExe pkgs.example) "--foreground" ]'';
                    description = "The program and its first arguments. The words of the variable come after them.";
                  };
                  environment = mkOption {
                    type = types.attrsOf types.str;
                    default = { };
                    description = "The environment that the unit's own start script sets.";
                  };
                  built = mkOption {
                    type = types.nullOr (types.either types.str (types.listOf types.str));
                    default = null;
                    description = ''
                      For a unit without a start script: all words of its own `ExecStart=`, or the text that it has there.
                    '';
                  };
                };
              }
            );
            default = null;
            description = ''
              For a service that is configured by flags, instead of `bind`: the words become a variable of an environment
              file, and the `ExecStart=` of the stub drop-in uses it.
            '';
          };
          variables = mkOption {
            type = types.nullOr (types.attrsOf types.str);
            default = null;
            example = {
              EXAMPLE_PORT = "8080";
            };
            description = ''
              For settings that are variables of the units, instead of `bind`: the variables that the units themselves set for
              the built values. The file is an environment file that overrides them. Files of variables that the units have
              (`EnvironmentFile=`) still override it.
            '';
          };
        };
        units = mkOption {
          type = types.nullOr (types.listOf types.str);
          default = null;
          description = "The units that read the file. With null, all units of the service.";
        };
      };
      config.format = lib.mkMerge [
        (lib.mkIf (config.attach.environment != null) (lib.mkDefault "flags"))
        (lib.mkIf (config.attach.variables != null) (lib.mkDefault "environment"))
      ];
    }
  );
in
types.submodule (
  { name, ... }:
  {
    # One by one: which of them there are can't depend on the name.
    config =
      let
        said = shipped.${name} or { };
      in
      lib.genAttrs [
        "applied"
        "around"
        "check"
        "dropIns"
        "dynamic"
        "exempt"
        "files"
        "health"
        "narrowed"
        "options"
        "parameters"
        "passedOn"
        "pinned"
        "secret"
        "units"
        "value"
      ] (one: lib.mkIf (said ? ${one}) said.${one});
    options = {
      enable = mkEnableOption "changing the settings of ${name} at run time";
      options = mkOption {
        type = types.listOf optionPath;
        default = [ ];
        defaultText = lib.literalMD ''
          `services.NAME.settings`; if there is none, `.configuration`, `.config`, `.environment`, `.environmentVariables`
          or `.extraEnvironment`; else `settings` of each enabled one of `services.NAME.instances` or `.servers`
        '';
        example = [ "services.example.settings" ];
        description = ''
          The NixOS options whose values can be overridden, by their full names. Write a path as a list of names if one of
          its names contains a dot.
        '';
      };
      dynamic = mkOption {
        type = types.nullOr (types.listOf optionPath);
        default = null;
        example = [ "services.example.settings.workers" ];
        description = ''
          The option paths that may change at run time. With null, these are the paths whose values are defined with
          `lib.mkDynamic`. If there are none, all paths may change.
        '';
      };
      secret = mkOption {
        type = types.listOf optionPath;
        default = [ ];
        example = [ "services.example.settings.password" ];
        description = ''
          The option paths whose values only root and the service may see. The log records the name of a file for them
          (`dynix append PATH --secret-file FILE`), never the value. The files that contain these values need a `mode` that
          keeps other users out. The built value is in the Nix store, so it has to be null or empty.
        '';
      };
      narrowed = mkOption {
        type = types.listOf (
          types.submodule {
            options = {
              path = mkOption {
                type = optionPath;
                example = "services.example.settings.port";
                description = "The option path.";
              };
              type = mkOption {
                type = types.optionType;
                example = lib.literalExpression "lib.types.port";
                description = "The type that the values have to have.";
              };
            };
          }
        );
        default = [ ];
        description = ''
          Option paths whose values need a type that their option does not state, because something that is computed from
          them needs it. An example is a port within freeform settings. If dynix can't check the option's own type at run
          time, it checks only this one.
        '';
      };
      pinned = mkOption {
        type = types.listOf (
          types.submodule {
            options = {
              path = mkOption {
                type = optionPath;
                example = "services.example.settings.port";
                description = "The option path.";
              };
              reason = mkOption {
                type = types.str;
                example = "the firewall is opened for this port by the build";
                description = "The reason, for the error that refuses another value.";
              };
            };
          }
        );
        default = [ ];
        description = ''
          Option paths that keep the built value, because something that dynix does not change depends on them. dynix refuses
          a new value with the reason.
        '';
      };
      applied = mkOption {
        type = types.listOf optionPath;
        default = [ ];
        example = [ "services.example.settings" ];
        description = ''
          The options whose value goes through an `apply` function of their module. For these, `value` has to do what the
          function does: no Nix function can run on the machine.
        '';
      };
      value = mkOption {
        type = types.nullOr types.anything;
        default = null;
        example = lib.literalExpression ''
          { attrs.global.option = "services.example.settings"; }
        '';
        description = ''
          How the file that the build looks for is made, as in `files.<name>.value`. With null, each option is a file of its
          own.
        '';
      };
      parameters = mkOption {
        type = types.attrsOf types.anything;
        default = { };
        example = {
          booleans = "yes/no";
        };
        description = ''
          Parameters of the format of the file that the build looks for, as in `files.<name>.format.parameters`. State those
          that the built values do not show. `dynix append` names the parameter that it needs.
        '';
      };
      around = mkOption {
        type = around;
        default = null;
        example = { };
        description = ''
          For a file that the build looks for, and that is the settings between other lines: as in `files.<name>.around`.
        '';
      };
      passedOn = mkOption {
        type = types.bool;
        default = false;
        description = ''
          Whether the commands of the units with the prefix `+` that name the file only pass its path on to the unit's
          program, which reads it. Such commands run outside the unit's mount namespace, so without this the build refuses
          to bind the file.
        '';
      };
      files = mkOption {
        type = types.attrsOf file;
        default = { };
        defaultText = lib.literalMD "found in the build";
        description = ''
          The files that are made from the options, by name. If none is given, the build looks among the files that the units
          and their scripts name, and among the service's files under /etc. It takes the file whose text dynix writes for the
          option's value.
        '';
      };
      dropIns = mkOption {
        type = types.attrsOf types.lines;
        default = { };
        description = ''
          Unit properties that depend on a value. For each unit, give the text of a drop-in as a minijinja template over the
          options' effective values (`{{ services.example.settings.port }}`). dynix installs the drop-in only while its text
          differs from the text for the built values.
        '';
      };
      exempt = mkOption {
        type = types.listOf (
          types.submodule {
            options = {
              kind = mkOption {
                type = types.str;
                example = "package";
                description = "What `dynix verify` calls this kind of part: `unit`, `etc`, `package`, ...";
              };
              name = mkOption {
                type = types.str;
                example = "example-admin";
                description = "The name of the part.";
              };
              reason = mkOption {
                type = types.str;
                example = "it reads the built configuration file, which says the same of what it needs";
                description = "The reason why it may keep the built values.";
              };
            };
          }
        );
        default = [ ];
        description = ''
          Parts of the system that a rebuild would change with the values, but that need not change with them. `dynix verify`
          reports them as a note, and still calls the values sound.
        '';
      };
      check = mkOption {
        type = types.nullOr (
          types.submodule {
            options = {
              command = mkOption {
                type = types.nonEmptyListOf types.str;
                example = lib.literalExpression ''
                  [ "''${pkgs.prometheus.cli}/bin/promtool" "check" "config" "{{ files['prometheus.yml'] }}" ]
                '';
                description = ''
                  Program and arguments, without a shell. In each word, `{{ files["NAME"] }}` is the path of a staged file.
                  `{{ file }}` is the path of the first one, for a service with one file.
                '';
              };
              onTrial = mkOption {
                type = types.bool;
                default = false;
                description = ''
                  Whether the build runs the check on the static values first. If the check does not accept them, the build
                  prints a warning and omits the check. With false, dynix uses the check in any case.
                '';
              };
              deadline = seconds 10 "Seconds after which dynix ends the check.";
            };
          }
        );
        default = checks.${name} or null;
        defaultText = lib.literalMD ''
          null; for the services in `modules/dynamicism/checks.nix`, the validator that their module runs in the build, with `onTrial`
        '';
        description = ''
          A command that dynix runs on the rendered files before they come into effect. If it fails, dynix refuses the
          values.
        '';
      };
      health = mkOption {
        type = types.nullOr (
          types.submodule {
            options = {
              probe = mkOption {
                type = types.attrTag {
                  command = mkOption {
                    type = types.nonEmptyListOf types.str;
                    description = "The service is healthy if this command exits with 0. It runs without a shell.";
                  };
                  http = mkOption {
                    type = types.strMatching "http://.+";
                    example = "http://127.0.0.1:9090/-/ready";
                    description = "The service is healthy if it answers a GET of this URL with a status of 2xx.";
                  };
                  tcp = mkOption {
                    type = types.str;
                    example = "127.0.0.1:9090";
                    description = "The service is healthy if it accepts a connection at this address.";
                  };
                  unix = mkOption {
                    type = types.path;
                    description = "The service is healthy if it accepts a connection on this socket.";
                  };
                };
                description = "The probe.";
              };
              grace = mkOption {
                type = types.numbers.nonnegative;
                default = 0;
                description = "Seconds after the restart or reload in which dynix does not probe.";
              };
              interval = seconds 0.1 "Seconds between two probes.";
              deadline = seconds 10 "Seconds after `grace` within which a probe has to succeed.";
            };
          }
        );
        default = null;
        description = "How to find out that the service works on new values. If it does not, dynix takes the values back.";
      };
      after = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "database" ];
        description = ''
          Services of `dynamicism.for` that come first: dynix acts on their units and waits until they work, before it acts
          on the units of this service. Services that are not enabled are ignored. Without an order, dynix acts on all
          services at once.
        '';
      };
      watch = mkOption {
        type = types.nullOr (types.numbers.between 0 86400);
        default = null;
        description = "Seconds for which dynix watches its units after an apply. With null, `dynamicism.watch` counts.";
      };
      units = mkOption {
        type = types.attrsOf (
          types.submodule {
            options = {
              onChange = mkOption {
                type = types.enum [
                  "restart"
                  "reload"
                ];
                default = "restart";
                description = "What dynix does with the unit when a file has changed.";
              };
              restartFor = mkOption {
                type = types.listOf optionPath;
                default = [ ];
                example = [ "services.postgresql.settings.shared_buffers" ];
                description = ''
                  With `onChange = "reload"`: the option paths whose values the unit reads only when it starts. If one of
                  them changes, dynix restarts the unit.
                '';
              };
              deadline = seconds 90 "Seconds within which its job has to finish and the unit has to be active.";
              settle = mkOption {
                type = types.nullOr types.numbers.nonnegative;
                default = null;
                description = ''
                  Seconds for which the apply itself waits to see that a unit stays up, if the unit does not say when it is
                  ready. With null, the apply does not wait if the service is watched afterwards (`watch`).
                '';
              };
              privateMounts = mkOption {
                type = types.bool;
                default = false;
                description = ''
                  Whether the unit may have a mount namespace of its own although it starts sessions of users or mounts file
                  systems. A bound file gives it such a namespace. What is mounted within it is not mounted for the rest of
                  the system.
                '';
              };
            };
          }
        );
        default = { };
        example = {
          "example.service".onChange = "reload";
        };
        defaultText = lib.literalMD "the units of the service that name the file that the build finds";
        description = "The units that read the files, by full name. If you state files, state the units as well.";
      };
    };
  }
)
