# The bounds within which an option may be changed by others than root: of a rule of the daemon, and of a source.
{ lib }:
let
  inherit (lib) mkOption types;
in
{
  options = {
    methods = mkOption {
      type = types.listOf (
        types.enum [
          "append"
          "unset"
          "rollback"
          "reset"
          "apply"
        ]
      );
      default = [
        "append"
        "unset"
        "apply"
      ];
      description = ''
        The methods that may change it. For `rollback` and `reset`, dynix looks at everything that they would change: each
        path needs a rule that allows the method.
      '';
    };
    minimum = mkOption {
      type = types.nullOr types.number;
      default = null;
      description = "The smallest number that may be set. With null, the option's type decides.";
    };
    maximum = mkOption {
      type = types.nullOr types.number;
      default = null;
      description = "The largest number that may be set. With null, the option's type decides.";
    };
    values = mkOption {
      type = types.nullOr (types.listOf types.anything);
      default = null;
      description = "The only values that may be set. With null, the option's type decides.";
    };
    rate = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "10/min";
      description = "How often each user may change it, as a count and a time; null for any number of times.";
    };
  };
}
