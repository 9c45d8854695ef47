# Option types in the words of JSON Schema (2020-12).
#
# Takes an option's type, gives `{ schema, notes }`. What JSON Schema can't say becomes "anything", or the nearest wider
# type, and has a note: nothing is dropped silently. Rules by the types of nixpkgs' lib/types.nix, read from what an
# evaluated type shows of itself (name, description, functor, nestedTypes).
{
  lib,
  # Whether schemas say the defaults of the options within (`default`).
  defaults ? false,
}:
let
  inherit (lib)
    attrNames
    concatMap
    elemAt
    filterAttrs
    hasPrefix
    mapAttrs
    stringToCharacters
    unique
    ;

  done = schema: {
    inherit schema;
    definitions = { };
    notes = [ ];
  };

  noted = path: note: schema: {
    inherit schema;
    definitions = { };
    notes = [ { inherit path note; } ];
  };

  unsayable = path: type: noted path "${type.description or type.name}: not checked" { };

  # From parts to a whole: the parts' notes and definitions are kept.
  combine = parts: schema: {
    inherit schema;
    definitions = lib.foldl' (all: part: all // part.definitions) { } parts;
    notes = concatMap (part: part.notes) parts;
  };

  wrap = part: schema: part // { inherit schema; };

  # Bounds are only in the description: "16 bit unsigned integer; between 0 and 65535 (both inclusive)".
  bounds =
    path: type: name:
    let
      found = builtins.match ".*between (-?[0-9.e+-]+) and (-?[0-9.e+-]+) \\(both inclusive\\).*" type.description;
    in
    if found == null then
      noted path "${type.description}: bounds not checked" { type = name; }
    else
      done {
        type = name;
        minimum = builtins.fromJSON (elemAt found 0);
        maximum = builtins.fromJSON (elemAt found 1);
      };

  # POSIX extended, as builtins.match takes it, to the regular expressions of JSON Schema (ECMA 262); null where the two
  # disagree on what it means: backslashes and brackets within brackets, collating elements, back references.
  pattern =
    posix:
    let
      classes = {
        "[:alnum:]" = "0-9A-Za-z";
        "[:alpha:]" = "A-Za-z";
        "[:blank:]" = " \\t";
        "[:digit:]" = "0-9";
        "[:lower:]" = "a-z";
        "[:space:]" = " \\t\\n\\r\\f\\v";
        "[:upper:]" = "A-Z";
        "[:xdigit:]" = "0-9A-Fa-f";
      };
      plain = lib.replaceStrings (attrNames classes) (map (_: "a") (attrNames classes)) posix;
      # Whether brackets hold what reads differently: true as soon as one does.
      differs =
        (lib.foldl'
          (
            state: char:
            if state.inside then
              {
                inside = !(char == "]" && !state.first);
                first = state.first && char == "^";
                bad = state.bad || char == "\\" || char == "[" || (char == "]" && state.first);
                escaped = false;
              }
            else
              {
                inside = char == "[" && !state.escaped;
                first = true;
                bad = state.bad || (state.escaped && builtins.match "[0-9A-Za-z]" char != null);
                escaped = char == "\\" && !state.escaped;
              }
          )
          {
            inside = false;
            first = false;
            bad = false;
            escaped = false;
          }
          (stringToCharacters plain)
        ).bad;
    in
    if differs then
      null
    else
      "^(?:${lib.replaceStrings (attrNames classes) (lib.attrValues classes) posix})$";

  strMatching =
    path: type:
    let
      translated = pattern type.functor.payload.pattern;
    in
    if type.functor.payload.pattern or null == null || translated == null then
      noted path "${type.description}: pattern not checked" { type = "string"; }
    else
      done {
        type = "string";
        pattern = translated;
      };

  # What the attributes of a freeform type's sets are: it is an attribute set of something, or can be one.
  valuesOf =
    definitions: schema:
    if schema ? "$ref" then
      valuesOf definitions definitions.${lib.removePrefix "#/$defs/" schema."$ref"}
    else if schema ? anyOf then
      valuesOf definitions (lib.findFirst (one: one.type or null == "object") { } schema.anyOf)
    else
      schema.additionalProperties or { };

  # What an attribute set that is one of those values may have in turn; false where none of them is a set.
  inside =
    definitions: schema:
    if schema == false || schema == { } then
      schema
    else if schema ? "$ref" then
      inside definitions definitions.${lib.removePrefix "#/$defs/" schema."$ref"}
    else if schema ? anyOf then
      inside definitions (lib.findFirst (one: one.type or null == "object") false schema.anyOf)
    else if schema.type or null == "object" then
      schema.additionalProperties or { }
    else
      false;

  # A submodule's evaluated value has every one of its options: a new one without them would lack the defaults that only
  # the module system knows, so they are required.
  submodule =
    path: seen: type:
    let
      declared = filterAttrs (name: option: !hasPrefix "_" name) (type.getSubOptions path);
      freeform = type.nestedTypes.freeformType or null;
      rest = if freeform == null then null else element (path ++ [ "<name>" ]) seen freeform;
      beside = if rest == null then false else valuesOf rest.definitions rest.schema;
      # What is not declared is of the freeform type, beside options that are deeper down as well.
      deeper = schema: if rest == null then false else inside rest.definitions schema;
      properties = mapAttrs (
        name: option: below (path ++ [ name ]) seen deeper (deeper beside) option
      ) declared;
    in
    combine (lib.attrValues properties ++ lib.optional (rest != null) rest) {
      type = "object";
      properties = mapAttrs (_: part: part.schema) properties;
      required = attrNames properties;
      additionalProperties = beside;
    };

  # A default that is plain data. One with a text in its place (`defaultText`) is computed, and would be another elsewhere.
  defaultOf =
    option:
    let
      isData =
        value:
        if lib.isList value then
          lib.all isData value
        else if lib.isAttrs value then
          !(value ? _type) && value.type or null != "derivation" && lib.all isData (lib.attrValues value)
        else if lib.isString value then
          !(builtins.hasContext value)
        else
          value == null || lib.isBool value || lib.isInt value || lib.isFloat value;
    in
    lib.optionalAttrs (
      defaults
      && option ? default
      && !(option ? defaultText)
      && (builtins.tryEval (isData option.default)).value
    ) { inherit (option) default; };

  # Options below a submodule: an option, or a set of options, with what else may be in the set.
  below =
    path: seen: deeper: beside: option:
    if option._type or null == "option" then
      let
        part = element path seen (option.type or { name = "unspecified"; });
      in
      part
      // {
        schema = part.schema // defaultOf option;
      }
      // lib.optionalAttrs (option ? apply) {
        notes = part.notes ++ [
          {
            inherit path;
            note = "its value goes through a function (apply), which is not run";
          }
        ];
      }
    else
      let
        parts = mapAttrs (name: below (path ++ [ name ]) seen deeper (deeper beside)) (
          filterAttrs (name: _: !hasPrefix "_" name) option
        );
      in
      combine (lib.attrValues parts) {
        type = "object";
        properties = mapAttrs (_: part: part.schema) parts;
        required = attrNames parts;
        additionalProperties = beside;
      };

  tag =
    path: seen: tags:
    let
      parts = mapAttrs (name: below (path ++ [ name ]) seen (_: false) false) tags;
    in
    combine (lib.attrValues parts) {
      oneOf = lib.mapAttrsToList (name: part: {
        type = "object";
        properties.${name} = part.schema;
        required = [ name ];
        additionalProperties = false;
      }) parts;
    };

  # Alternatives of alternatives are alternatives.
  flat = schema: if attrNames schema == [ "anyOf" ] then schema.anyOf else [ schema ];

  any =
    parts:
    let
      all = unique (concatMap (part: flat part.schema) parts);
      # Beside any string, particular ones say nothing.
      schemas =
        if lib.elem { type = "string"; } all then
          lib.filter (one: one.type or null != "string" || one == { type = "string"; }) all
        else
          all;
      # That an integer passes as a float is nothing to note where integers are allowed beside it.
      whole = combine parts (if lib.elem { } schemas then { } else { anyOf = schemas; });
    in
    if lib.elem { type = "integer"; } schemas then
      whole // { notes = lib.filter (one: one.note != integerPasses) whole.notes; }
    else
      whole;

  integerPasses = "floating point number: an integer passes too";

  # A description contains those of the types within, so a type within one of the same description is that type again,
  # as in the values of JSON: it becomes a reference. Only alternatives can be such a type.
  element =
    path: seen: type:
    let
      key = lib.concatStrings (
        map (char: if builtins.match "[0-9A-Za-z]" char == null then "-" else char) (
          stringToCharacters type.description
        )
      );
      part = convert path (seen // { ${key} = true; }) type;
      reference = {
        "$ref" = "#/$defs/${key}";
      };
    in
    if
      !(lib.elem type.name [
        "nullOr"
        "either"
      ])
    then
      convert path seen type
    else if seen ? ${key} then
      {
        schema = reference;
        definitions.${key} = null;
        notes = [ ];
      }
    else if part.definitions ? ${key} then
      {
        schema = reference;
        definitions = part.definitions // {
          ${key} = part.schema;
        };
        inherit (part) notes;
      }
    else
      part;

  convert =
    path: seen: type:
    let
      each = element (path ++ [ "*" ]) seen type.nestedTypes.elemType;
      named = element (path ++ [ "<name>" ]) seen type.nestedTypes.elemType;
      same = element path seen;
      string = more: done ({ type = "string"; } // more);
      known = {
        anything = done { };
        raw = done { };
        bool = done { type = "boolean"; };
        boolByOr = done { type = "boolean"; };
        int = done { type = "integer"; };
        unsignedInt = done {
          type = "integer";
          minimum = 0;
        };
        positiveInt = done {
          type = "integer";
          minimum = 1;
        };
        float = noted path integerPasses { type = "number"; };
        numberBetween = bounds path type "number";
        numberNonnegative = done {
          type = "number";
          minimum = 0;
        };
        numberPositive = done {
          type = "number";
          exclusiveMinimum = 0;
        };
        str = string { };
        string = string { };
        separatedString = string { };
        nonEmptyStr = string { pattern = "[^ \\t\\n]"; };
        # The newline that it may end in is cut off by the module system.
        singleLineStr = string { pattern = "^[^\\n\\r]*$"; };
        path = string { pattern = "^/"; };
        package = string { pattern = "^${lib.escapeRegex builtins.storeDir}/[0-9a-z]{32}-[^/]+$"; };
        shellPackage = known.package;
        attrs = done { type = "object"; };
        enum = done { enum = type.functor.payload.values or type.functor.payload; };
        nullOr = any [
          (done { type = "null"; })
          (same type.nestedTypes.elemType)
        ];
        either = any (
          map same [
            type.nestedTypes.left
            type.nestedTypes.right
          ]
        );
        # Only what it is in the end: the function that makes it so can't run on the machine.
        coercedTo = same type.nestedTypes.finalType;
        unique = same type.nestedTypes.elemType;
        listOf = wrap each (
          {
            type = "array";
            items = each.schema;
          }
          // lib.optionalAttrs (hasPrefix "non-empty " type.description) { minItems = 1; }
        );
        attrsOf = wrap named {
          type = "object";
          additionalProperties = named.schema;
        };
        lazyAttrsOf = known.attrsOf;
        loaOf = known.attrsOf;
        submodule = submodule path seen type;
        attrTag = tag path seen type.nestedTypes;
      };
    in
    if known ? ${type.name} then
      known.${type.name}
    else if hasPrefix "strMatching " type.name then
      strMatching path type
    else if hasPrefix "passwdEntry " type.name then
      string { pattern = "^[^:\\n]*$"; }
    else if builtins.match "(unsigned|signed)Int[0-9]+|intBetween" type.name != null then
      bounds path type "integer"
    else
      unsayable path type;
in
{
  # The schema of an option's type at `path` (names, for the notes).
  toSchema =
    path: type:
    let
      part = element path { } type;
      definitions = filterAttrs (_: definition: definition != null) part.definitions;
    in
    {
      schema =
        part.schema
        // lib.optionalAttrs (definitions != { }) {
          "$defs" = definitions;
        };
      notes = map ({ path, note }: "${lib.showOption path}: ${note}") part.notes;
    };

  inherit pattern defaultOf;
}
