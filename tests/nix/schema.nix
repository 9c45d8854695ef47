# Option types and the JSON Schema that they have to become, with what has to be noted.
{ lib }:
let
  inherit (lib) mkOption types;
  inherit (import ../../modules/dynamicism/schema.nix { inherit lib; }) toSchema;

  string = {
    type = "string";
  };
  integer = {
    type = "integer";
  };
  open = { };
  float = {
    type = "number";
    not.type = "integer";
  };
  matching = pattern: string // { posixPattern = pattern; };
  described = description: schema: schema // { inherit description; };

  case = type: schema: {
    inherit type schema;
    notes = [ ];
  };
  noted = type: schema: notes: { inherit type schema notes; };
  # The built value alone.
  fixed =
    type: why: noted type { unchecked = why; } [ "x: ${why}: only the built value is accepted" ];

  json =
    types.nullOr (
      types.oneOf [
        types.bool
        types.int
        types.float
        types.str
        (types.attrsOf json)
        (types.listOf json)
      ]
    )
    // {
      description = "JSON value";
    };

  cases = {
    bool = case types.bool { type = "boolean"; };
    int = case types.int integer;
    unsigned = case types.ints.unsigned (integer // { minimum = 0; });
    positive = case types.ints.positive (integer // { minimum = 1; });
    between = case (types.ints.between (-5) 7) (
      integer
      // {
        minimum = -5;
        maximum = 7;
      }
    );
    u8 = case types.ints.u8 (
      integer
      // {
        minimum = 0;
        maximum = 255;
      }
    );
    s16 = case types.ints.s16 (
      integer
      // {
        minimum = -32768;
        maximum = 32767;
      }
    );
    port = case types.port (
      integer
      // {
        minimum = 0;
        maximum = 65535;
      }
    );
    float = case types.float float;
    number = case types.number {
      anyOf = [
        integer
        float
      ];
    };
    numberBetween = case (types.numbers.between 0.5 2) {
      type = "number";
      minimum = 0.5;
      maximum = 2;
    };
    str = case types.str string;
    lines = case types.lines string;
    nonEmptyStr = case types.nonEmptyStr (described "non-empty string" (matching ".*[^ \t\n].*"));
    singleLineStr = case types.singleLineStr (described "single-line string" (matching "[^\n\r]*"));
    strMatching = case (types.strMatching "[a-z]+\\.[[:digit:]]+") (matching "[a-z]+\\.[[:digit:]]+");
    strMatching-equal = fixed (types.strMatching "[[=a=]]") "string matching the pattern [[=a=]]";
    passwdEntry = case (types.passwdEntry types.str) (
      described "string, not containing newlines or colons" (matching "[^:\n]*")
    );
    enum =
      case
        (types.enum [
          "a"
          1
          null
        ])
        {
          enum = [
            "a"
            1
            null
          ];
        };
    path = case types.path (described types.path.description (matching "/.*"));
    package = fixed types.package "package";
    nullOr = case (types.nullOr types.int) {
      anyOf = [
        { type = "null"; }
        integer
      ];
    };
    oneOf =
      case
        (types.oneOf [
          types.int
          types.bool
          types.str
        ])
        {
          anyOf = [
            integer
            { type = "boolean"; }
            string
          ];
        };
    listOf = case (types.listOf types.str) {
      type = "array";
      items = string;
    };
    nonEmptyListOf = case (types.nonEmptyListOf types.str) {
      type = "array";
      items = string;
      minItems = 1;
    };
    attrsOf = case (types.attrsOf types.int) {
      type = "object";
      additionalProperties = integer;
    };
    lazyAttrsOf = case (types.lazyAttrsOf types.int) {
      type = "object";
      additionalProperties = integer;
    };
    attrs = case types.attrs { type = "object"; };
    anything = case types.anything open;
    coercedTo = case (types.coercedTo types.int toString types.str) string;
    uniq = case (types.uniq types.str) string;
    submodule =
      case
        (types.submodule {
          options.a = mkOption { type = types.int; };
          options.b.c = mkOption { type = types.str; };
        })
        {
          type = "object";
          properties = {
            a = integer;
            b = {
              type = "object";
              properties.c = string;
              required = [ "c" ];
              additionalProperties = false;
            };
          };
          required = [
            "a"
            "b"
          ];
          additionalProperties = false;
        };
    freeform =
      case
        (types.submodule {
          freeformType = types.attrsOf types.str;
          options.port = mkOption { type = types.int; };
        })
        {
          type = "object";
          properties = {
            _module = false;
            port = integer;
          };
          required = [ "port" ];
          additionalProperties = string;
        };
    freeform-nested =
      case
        (types.submodule {
          freeformType = types.attrsOf (types.attrsOf types.str);
          options.server.port = mkOption { type = types.int; };
        })
        {
          type = "object";
          properties._module = false;
          properties.server = {
            type = "object";
            properties.port = integer;
            required = [ "port" ];
            additionalProperties = string;
          };
          required = [ "server" ];
          additionalProperties = {
            type = "object";
            additionalProperties = string;
          };
        };
    freeform-nested-scalars =
      case
        (types.submodule {
          freeformType = types.attrsOf types.str;
          options.server.port = mkOption { type = types.int; };
        })
        {
          type = "object";
          properties._module = false;
          properties.server = {
            type = "object";
            properties.port = integer;
            required = [ "port" ];
            additionalProperties = false;
          };
          required = [ "server" ];
          additionalProperties = string;
        };
    apply =
      noted
        (types.submodule {
          options.a = mkOption {
            type = types.str;
            apply = lib.toUpper;
          };
        })
        {
          type = "object";
          properties.a = string // {
            unchecked = "its value goes through a function (apply)";
          };
          required = [ "a" ];
          additionalProperties = false;
        }
        [ "x.a: its value goes through a function (apply): only the built value is accepted" ];
    readOnly =
      noted
        (types.submodule {
          options.a = mkOption {
            type = types.int;
            readOnly = true;
          };
        })
        {
          type = "object";
          properties.a = integer // {
            unchecked = "read-only";
          };
          required = [ "a" ];
          additionalProperties = false;
        }
        [ "x.a: read-only: only the built value is accepted" ];
    attrTag = case (types.attrTag { a = mkOption { type = types.int; }; }) {
      oneOf = [
        {
          type = "object";
          properties.a = integer;
          required = [ "a" ];
          additionalProperties = false;
        }
      ];
    };
    recursive = case json {
      "$ref" = "#/$defs/JSON-value";
      "$defs".JSON-value.anyOf = [
        { type = "null"; }
        { type = "boolean"; }
        integer
        float
        string
        {
          type = "object";
          additionalProperties."$ref" = "#/$defs/JSON-value";
        }
        {
          type = "array";
          items."$ref" = "#/$defs/JSON-value";
        }
      ];
    };
    freeform-of-json = case (types.submodule { freeformType = json; }) {
      type = "object";
      properties._module = false;
      required = [ ];
      additionalProperties."$ref" = "#/$defs/JSON-value";
      "$defs" = cases.recursive.schema."$defs";
    };
    function =
      let
        why = "function that evaluates to a(n) string";
      in
      noted (types.listOf (types.functionTo types.str)) {
        type = "array";
        items.unchecked = why;
      } [ "x.*: ${why}: only the built value is accepted" ];
    module = fixed types.deferredModule "module";
    custom = fixed (types.mkOptionType {
      name = "even";
      check = number: lib.mod number 2 == 0;
    }) "even";
    custom-open = case (types.mkOptionType { name = "whatever"; }) open;
    checked = fixed (types.addCheck types.str (text: text != "x")) "string";
    # What is converted is refused where another type would take it as it is.
    coercedTo-within =
      case
        (types.either (types.coercedTo types.bool (yes: if yes then "yes" else "no") types.str) types.bool)
        {
          anyOf = [
            {
              type = "boolean";
              unchecked = "boolean, which is converted";
            }
            string
            { type = "boolean"; }
          ];
        };
    # What may be anything decides last.
    custom-or-str = noted (types.either cases.custom.type types.str) {
      anyOf = [
        string
        { unchecked = "even"; }
      ];
    } cases.custom.notes;
  };
in
lib.mapAttrs (
  _: case:
  let
    given = toSchema [ "x" ] case.type;
    expected = { inherit (case) schema notes; };
  in
  {
    inherit given expected;
    agrees = given == expected;
  }
) cases
