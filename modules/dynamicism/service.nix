# The option type of one dynamic-enabled service.
#
# What a service file has to say is little: its options, its files by name, its units. The rest has defaults that fit a
# service whose `settings` become one file that its unit names.
{
  lib,
  # The checks that services have by default, by name.
  checks ? { },
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

  file = types.submodule (
    { name, config, ... }:
    {
      options = {
        format = mkOption {
          type = format.type;
          default = format.byName name;
          defaultText = lib.literalMD "by the extension of the file's name: .toml, .json, .ini, .yml or .yaml";
          example = "toml";
          description = "How the text is written.";
        };
        value = mkOption {
          type = types.nullOr types.anything;
          default = null;
          example = lib.literalExpression ''
            { select = { from.option = "services.example.settings"; path = [ "server" ]; }; }
          '';
          description = ''
            What is written, put together from values of options: one of `{ option = "services.example.settings"; }`,
            `{ literal = VALUE; }`, `{ attrs = { NAME = ...; }; }`, `{ list = [ ... ]; }`,
            `{ when = { condition = ...; then = ...; }; }`, `{ select = { from = ...; path = [ NAME ... ]; }; }`.
            With null it is the value of the service's only option.
          '';
        };
        static = mkOption {
          type = types.nullOr (types.either types.package types.path);
          default = null;
          defaultText = lib.literalMD "the store path of the file's name that the text of its units names";
          description = "The file that Nix generated for the built values, in the store. The build proves that dynix writes the same.";
        };
        mode = mkOption {
          type = types.strMatching "0[0-7]{3}";
          default = "0444";
          description = "Permissions of the rendered file, octal.";
        };
        owner = mkOption {
          type = types.str;
          default = "root";
          description = "User that owns the rendered file.";
        };
        group = mkOption {
          type = types.str;
          default = "root";
          description = "Group of the rendered file.";
        };
        attach = {
          bind = mkOption {
            type = types.nullOr types.path;
            default = null;
            defaultText = lib.literalMD "the path of the static file";
            description = ''
              Where the unit sees the rendered file: it is bound over this path (`BindReadOnlyPaths=`), and the unit goes on
              naming the path that it always named.
            '';
          };
          environment = mkOption {
            type = types.nullOr (
              types.submodule {
                options = {
                  variable = mkOption {
                    type = types.strMatching "[A-Za-z_][A-Za-z0-9_]*";
                    example = "EXAMPLE_FLAGS";
                    description = "Name of the variable that holds the words.";
                  };
                  command = mkOption {
                    type = types.nonEmptyListOf types.str;
                    example = lib.literalExpression ''[ (lib.getExe pkgs.example) "--foreground" ]'';
                    description = "Program and leading arguments; the variable's words come after them.";
                  };
                  environment = mkOption {
                    type = types.attrsOf types.str;
                    default = { };
                    description = "Environment that the unit's own start script had set.";
                  };
                };
              }
            );
            default = null;
            description = ''
              For a service that is configured by flags: the words become a variable of an environment file, and the stub's
              `ExecStart=` uses it. Instead of `bind`.
            '';
          };
        };
        units = mkOption {
          type = types.nullOr (types.listOf types.str);
          default = null;
          description = "The units that read it; with null all units of the service.";
        };
      };
      config.format = lib.mkIf (config.attach.environment != null) (lib.mkDefault "flags");
    }
  );
in
types.submodule (
  { name, ... }:
  {
    options = {
      enable = mkEnableOption "changing the settings of ${name} at run time";
      options = mkOption {
        type = types.listOf optionPath;
        default = [ ];
        defaultText = lib.literalMD "`services.NAME.settings`; where there is none, `.configuration` or `.config`";
        example = [ "services.example.settings" ];
        description = ''
          The NixOS options whose values can be overridden, by their full name; as lists of names where a name has a dot in
          it.
        '';
      };
      dynamic = mkOption {
        type = types.nullOr (types.listOf optionPath);
        default = null;
        example = [ "services.example.settings.workers" ];
        description = ''
          The option paths that may change at run time. With null they are those whose values were defined with
          `lib.mkDynamic`, and where there is none, all of them.
        '';
      };
      secret = mkOption {
        type = types.listOf optionPath;
        default = [ ];
        example = [ "services.example.settings.password" ];
        description = ''
          The option paths whose values nobody but root and the service may see. What is recorded for them is the name of a
          file (`dynix append PATH --secret-file FILE`), never the value; the files that they go into need a `mode` that
          keeps others out. What the build has there is in the Nix store, so it has to be null or empty.
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
                description = "What its values have to be.";
              };
            };
          }
        );
        default = [ ];
        description = ''
          Option paths whose values have to be of a type that their option does not say, because something that is computed
          from them needs it: a port within freeform settings, say. Where the option's own type can't be judged on the
          machine, this one decides alone.
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
                description = "Why, for the error that refuses another value.";
              };
            };
          }
        );
        default = [ ];
        description = ''
          Option paths that keep the built value, because something follows them that dynix does not change. A new value
          is refused with the reason.
        '';
      };
      applied = mkOption {
        type = types.listOf optionPath;
        default = [ ];
        example = [ "services.example.settings" ];
        description = ''
          Of the options, those whose value goes through a function (`apply`) of its module, where `value` says what the
          function does: no function can run on the machine.
        '';
      };
      value = mkOption {
        type = types.nullOr types.anything;
        default = null;
        example = lib.literalExpression ''
          { attrs.global.option = "services.example.settings"; }
        '';
        description = ''
          What the file that the build looks for is made of, as in `files.<name>.value`; with null each option is a file of
          its own.
        '';
      };
      parameters = mkOption {
        type = types.attrsOf types.anything;
        default = { };
        example = {
          booleans = "yes/no";
        };
        description = ''
          Parameters of the format of the file that the build looks for, as in `files.<name>.format.parameters`: what the built
          values do not show of how the service's module writes them. `dynix append` names the one that it has to know.
        '';
      };
      files = mkOption {
        type = types.attrsOf file;
        default = { };
        defaultText = lib.literalMD "found in the build";
        description = ''
          The files that follow from the options, by name. Where none is given, the build looks for it in what the units
          and their scripts name and in the service's files under /etc: it is the one whose text dynix writes for the
          option's value.
        '';
      };
      dropIns = mkOption {
        type = types.attrsOf types.lines;
        default = { };
        description = ''
          Unit properties that follow a value: by unit, a minijinja template of a drop-in over the options' effective values
          (`{{ services.example.settings.port }}`). Installed only while its text differs from what the built values give.
        '';
      };
      exempt = mkOption {
        type = types.listOf (
          types.submodule {
            options = {
              kind = mkOption {
                type = types.str;
                example = "package";
                description = "What `dynix verify` calls it: `unit`, `etc`, `package`, ...";
              };
              name = mkOption {
                type = types.str;
                example = "example-admin";
                description = "Which one.";
              };
              reason = mkOption {
                type = types.str;
                example = "it reads the built configuration file, which says the same of what it needs";
                description = "Why it may go on with the built values.";
              };
            };
          }
        );
        default = [ ];
        description = ''
          What of the system a rebuild would change with the values and need not follow them. `dynix verify` notes it, and
          calls the values sound all the same.
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
                  Program and arguments, no shell. In each word `{{ files["NAME"] }}` is the path of a staged file, and
                  `{{ file }}` that of the first, for a service that has one.
                '';
              };
              onTrial = mkOption {
                type = types.bool;
                default = false;
                description = ''
                  Whether the build tries it on the static values, and leaves it out with a warning where it does not accept
                  them. Otherwise it is used in any case.
                '';
              };
              deadline = seconds 10 "Seconds until it is given up.";
            };
          }
        );
        default = checks.${name} or null;
        defaultText = lib.literalMD ''
          null; for the services in `modules/dynamicism/checks.nix` the validator that their module runs in the build, on trial
        '';
        description = "A command run on the rendered files before they come into effect; where it fails, the values are refused.";
      };
      health = mkOption {
        type = types.nullOr (
          types.submodule {
            options = {
              probe = mkOption {
                type = types.attrTag {
                  command = mkOption {
                    type = types.nonEmptyListOf types.str;
                    description = "Healthy when it exits with 0. No shell.";
                  };
                  http = mkOption {
                    type = types.strMatching "http://.+";
                    example = "http://127.0.0.1:9090/-/ready";
                    description = "Healthy when a GET of this URL is answered with a status of 2xx.";
                  };
                  tcp = mkOption {
                    type = types.str;
                    example = "127.0.0.1:9090";
                    description = "Healthy when it accepts a connection.";
                  };
                  unix = mkOption {
                    type = types.path;
                    description = "Healthy when it accepts a connection on this socket.";
                  };
                };
                description = "What is tried.";
              };
              grace = mkOption {
                type = types.numbers.nonnegative;
                default = 0;
                description = "Seconds after the units were acted on in which nothing is tried.";
              };
              interval = seconds 0.1 "Seconds between tries.";
              deadline = seconds 10 "Seconds after the grace until a try has to succeed.";
            };
          }
        );
        default = null;
        description = "How to see that the service works on new values; where it does not, they are taken back.";
      };
      after = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "database" ];
        description = ''
          Services of `dynamicism.for` whose units are acted on, and seen to work, before those of this one. Those that are
          not enabled count for nothing; without an order, services are acted on at once.
        '';
      };
      watch = mkOption {
        type = types.nullOr (types.numbers.between 0 86400);
        default = null;
        description = "Seconds for which its units are watched after an apply; null for `dynamicism.watch`.";
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
                description = "What a changed file means for the unit.";
              };
              deadline = seconds 90 "Seconds until its job has to be done and it has to be active.";
              settle = mkOption {
                type = types.nullOr types.numbers.nonnegative;
                default = null;
                description = ''
                  Seconds for which the apply itself waits to see a unit stay up that does not say when it is ready; null for
                  not at all where the service is watched afterwards (`watch`).
                '';
              };
              privateMounts = mkOption {
                type = types.bool;
                default = false;
                description = ''
                  Whether the unit may have a mount namespace of its own, which a bound file gives it, although it starts
                  sessions of users or mounts file systems: what is mounted within is not mounted for the rest of the system.
                '';
              };
            };
          }
        );
        default = { };
        example = {
          "example.service".onChange = "reload";
        };
        defaultText = lib.literalMD "those of the service that name the file that is found";
        description = "The units that read the files, by full name. Where files are given, these have to be as well.";
      };
    };
  }
)
