# Types and values, and what the module system makes of each value as the definition of an option of each type.
#
# Takes a lib, gives `schemas` of the types, as a description has them, `values`, and `outcomes`: by the name of a type, a
# list with one for each value. `tests/nix/run types` compares them with tests/fixtures/types.json.
{ lib }:
let
  inherit (lib) mkOption types;
  inherit (import ../../modules/dynamicism/schema.nix { inherit lib; }) toSchema;

  option = type: mkOption { inherit type; };

  value =
    types.nullOr (
      types.oneOf [
        types.bool
        types.int
        types.float
        types.str
        types.path
        (types.attrsOf value)
        (types.listOf value)
      ]
    )
    // {
      description = "YAML value";
    };

  lua =
    types.nullOr (
      types.oneOf [
        types.bool
        types.int
        types.str
        types.luaInline
        (types.attrsOf lua)
        (types.listOf lua)
      ]
    )
    // {
      description = "Lua value";
    };

  atom = types.nullOr (
    types.oneOf [
      types.bool
      types.int
      types.float
      types.str
    ]
  );

  yesNo = types.coercedTo types.bool (yes: if yes then "yes" else "no") types.str;

  all = with types; {
    inherit
      anything
      attrs
      bool
      boolByOr
      commas
      externalPath
      float
      int
      lines
      nonEmptyStr
      number
      path
      pathInStore
      port
      raw
      singleLineStr
      str
      unspecified
      ;
    inherit (ints)
      positive
      s8
      s16
      s32
      u8
      u32
      unsigned
      ;
    attrTag = attrTag {
      a = option int;
      b = option str;
    };
    attrs-of-attrs = attrsOf (attrsOf str);
    attrs-of-int = attrsOf int;
    attrs-of-null-or-int = attrsOf (nullOr int);
    between = ints.between (-5) 7;
    checked-int = addCheck int (number: lib.mod number 2 == 0);
    checked-list = addCheck (listOf int) (list: lib.length list < 2);
    checked-by-hand = attrsOf int // {
      check = set: lib.isAttrs set && set ? a;
    };
    coerced = coercedTo int toString str;
    coerced-list = coercedTo str lib.singleton (listOf str);
    coerced-to-its-own = coercedTo str lib.toUpper str;
    coerced-within = either yesNo (either bool int);
    custom = mkOptionType {
      name = "even";
      check = number: lib.isInt number && lib.mod number 2 == 0;
    };
    custom-open = mkOptionType { name = "whatever"; };
    custom-or-str = either all.custom str;
    deferredModule = deferredModule;
    either-int-auto = either ints.positive (enum [ "auto" ]);
    either-int-str = either int str;
    either-lists = either (listOf int) (listOf str);
    either-list-or-anything = either (listOf int) anything;
    either-module-or-str = either (submodule { options.a = option int; }) str;
    either-tag-or-attrs = either all.attrTag (attrsOf str);
    empty-enum = enum [ ];
    enum-mixed = enum [
      "a"
      2
      1.5
      null
      [ 1 ]
      { a = 1; }
    ];
    enum-strings = enum [
      "a"
      "auto"
      "yes"
    ];
    freeform = submodule {
      freeformType = attrsOf str;
      options.a = option int;
    };
    freeform-nested = submodule {
      freeformType = attrsOf (attrsOf int);
      options.b.c = option str;
    };
    freeform-value = submodule { freeformType = value; };
    functionTo = functionTo str;
    ini = attrsOf (attrsOf (either atom (listOf atom)));
    lazy = lazyAttrsOf int;
    list-of-int = listOf int;
    list-of-list = listOf (listOf int);
    list-of-str = listOf str;
    non-empty-list = nonEmptyListOf int;
    null-or-coerced = nullOr (coercedTo int toString str);
    null-or-int = nullOr int;
    null-or-module = nullOr (submodule {
      options.a = option int;
    });
    numbers-between = numbers.between 0.5 2;
    numbers-nonnegative = numbers.nonnegative;
    numbers-positive = numbers.positive;
    one-of = oneOf [
      bool
      int
      float
      str
    ];
    one-of-lua = lua;
    passwd = passwdEntry str;
    path-any = pathWith { };
    path-relative = pathWith { absolute = false; };
    pattern = strMatching "[a-z]+\\.?[[:digit:]]*";
    pattern-alternatives = strMatching "(a|yes|/.*|)";
    pattern-any = strMatching ".*";
    pattern-backslash = strMatching "[\\a]+";
    pattern-bytes = strMatching ".{2}";
    pattern-class = strMatching "[^[:space:]]*";
    pattern-empty = strMatching "";
    pattern-equal = strMatching "[[=a=]]";
    read-only = submodule {
      options.a = option int // {
        readOnly = true;
      };
    };
    submodule = submodule {
      options.a = option int;
      options.b.c = option str;
    };
    submodule-applied = submodule {
      options.a = option str // {
        apply = lib.toUpper;
      };
    };
    submodule-defaults = submodule {
      options.a = option int // {
        default = 1;
      };
    };
    submodule-full = submoduleWith {
      modules = [
        {
          freeformType = attrsOf int;
          options.a = option int;
        }
      ];
    };
    uniq = uniq str;
    yaml = value;
  };

  store = "/nix/store/00000000000000000000000000000000-x";
  values = [
    null
    true
    false
    0
    1
    (-1)
    2
    (-5)
    7
    8
    (-128)
    127
    255
    256
    (-32769)
    65535
    65536
    4294967295
    4294967296
    9223372036854775807
    (-9223372036854775807 - 1)
    0.0
    1.0
    1.5
    0.5
    (-2.5)
    1.0e300
    ""
    " "
    "a"
    "A"
    "yes"
    "auto"
    "1"
    "1.5"
    "null"
    "a.5"
    "a b"
    "é"
    "\\"
    "a\n"
    "a\nb"
    "a:b"
    "/"
    "/etc/x"
    "/nonexistent/../nix/x"
    "./x"
    store
    "${store}/y"
    [ ]
    [ 1 ]
    [
      1
      2
    ]
    [ 1.0 ]
    [ "a" ]
    [
      "a"
      1
    ]
    [ null ]
    [ [ 1 ] ]
    [ [ ] ]
    [ { } ]
    { }
    { a = 1; }
    { a = "x"; }
    { a = null; }
    { a = 1.0; }
    { a = { }; }
    { a = [ 1 ]; }
    { b = "x"; }
    {
      a = 1;
      b = "x";
    }
    {
      a = 1;
      b.c = "x";
    }
    { b.c = "x"; }
    {
      b.c = "x";
      d.e = 1;
    }
    {
      b.c = "x";
      d.e = "x";
    }
    {
      a = 1;
      z = 2;
    }
    { a.b.c = 1; }
    {
      a = 1;
      config = 2;
    }
    {
      a = 1;
      _module = "x";
    }
  ];

  # What becomes of a value; that evaluation ends in another way is a refusal as well.
  outcome =
    type: value:
    let
      evaluated = lib.evalModules {
        modules = [
          { options.x = option type; }
          { x = value; }
        ];
      };
      text = builtins.toJSON evaluated.config.x;
      tried = builtins.tryEval (builtins.deepSeq text text);
    in
    if !tried.success then
      "refused"
    else if tried.value == builtins.toJSON value then
      "accepted"
    else
      "changed";
in
{
  inherit (lib) version;
  schemas = lib.mapAttrs (_: type: (toSchema [ "x" ] type).schema) all;
  # As text: JSON readers have one kind of number.
  values = map builtins.toJSON values;
  outcomes = lib.mapAttrs (_: type: map (outcome type) values) all;
}
