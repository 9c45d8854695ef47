# Option types in the words of JSON Schema (2020-12), as dynix reads them (docs/description.md).
#
# Takes an option's type, gives `{ schema, notes }`. dynix judges a value by the schema as the module system judges it by
# the type. Of what the schema can't say, dynix takes the built value alone (`unchecked`), with a note: it may refuse more
# than the module system, and never less. Rules by the types of nixpkgs' lib/types.nix, read from what an evaluated type
# shows of itself (name, description, functor, nestedTypes).
{
  lib,
  # Whether schemas say the defaults of the options within (`default`).
  defaults ? false,
  # Option paths that have another type besides, which decides alone where theirs can't be said.
  narrowed ? [ ],
}:
let
  inherit (lib)
    attrNames
    concatMap
    elemAt
    filterAttrs
    hasPrefix
    mapAttrs
    unique
    ;

  done = schema: {
    inherit schema;
    definitions = { };
    notes = [ ];
  };

  isNarrowed = path: lib.any (one: lib.take (lib.length one) path == one) narrowed;

  # The built value alone, because of what `why` says.
  fixed = path: why: {
    schema.unchecked = why;
    definitions = { };
    notes = [
      {
        inherit path;
        note = "${why}: only the built value is accepted";
      }
    ];
  };

  # What else the type takes is not known.
  unsayable =
    path: type: if isNarrowed path then done { } else fixed path (type.description or type.name);

  # From parts to a whole: the parts' notes and definitions are kept.
  combine = parts: schema: {
    inherit schema;
    definitions = lib.foldl' (all: part: all // part.definitions) { } parts;
    notes = concatMap (part: part.notes) parts;
  };

  # A part within a whole.
  wrap = part: combine [ part ];

  # Whether a type takes whatever there is: its check does not even look.
  takesAnything =
    type:
    let
      looked = builtins.tryEval (type.check (throw "the check looks at the value"));
    in
    looked.success && looked.value == true;

  # Whether a check is the type's own, and not one that somebody put there (`addCheck`, or by hand): that leaves the name,
  # and says where it is from. What `mkOptionType` inherits stands together.
  hasOwnCheck =
    type:
    let
      check = builtins.unsafeGetAttrPos "check" type;
      beside = builtins.unsafeGetAttrPos "getSubModules" type;
      distance = check.line - beside.line;
    in
    check == null
    || beside == null
    || (check.file == beside.file && -20 < distance && distance < 20)
    # Types of lib/types.nix that are made with `addCheck` themselves.
    ||
      builtins.match "(un)?signedInt.*|positiveInt|intBetween|number.*|passwdEntry .*" type.name != null
    || (type.name == "listOf" && hasPrefix "non-empty " type.description);

  # Bounds are only in the description: "16 bit unsigned integer; between 0 and 65535 (both inclusive)".
  bounds =
    path: type: name:
    let
      found = builtins.match ".*between (-?[0-9.e+-]+) and (-?[0-9.e+-]+) \\(both inclusive\\).*" type.description;
    in
    if found == null then
      unsayable path type
    else
      done {
        type = name;
        minimum = builtins.fromJSON (elemAt found 0);
        maximum = builtins.fromJSON (elemAt found 1);
      };

  string = more: done ({ type = "string"; } // more);

  # A string that builtins.match takes as a whole, and what messages call it.
  matching =
    pattern: description:
    string {
      inherit description;
      posixPattern = pattern;
    };

  # What is equal to a character is a matter of the locale ("[[=a=]]", "[[.a.]]").
  strMatching =
    path: type:
    let
      pattern = type.functor.payload.pattern or null;
    in
    if pattern == null || lib.hasInfix "[=" pattern || lib.hasInfix "[." pattern then
      unsayable path type
    else
      string { posixPattern = pattern; };

  # Paths as strings; a value that is a path of Nix can't be given at run time.
  pathWith =
    path: type:
    let
      payload = type.functor.payload or null;
      absolute = if payload == null then true else payload.absolute or null;
      inStore = if payload == null then null else payload.inStore or null;
      store = lib.escapeRegex builtins.storeDir;
      form =
        if inStore == true then
          matching "${store}/[0-9a-z]{32}-[^/]+(/.*)?" type.description
        else if absolute == null then
          string { }
        else if absolute then
          matching "/.*" type.description
        else
          matching "([^/].*)?" type.description;
    in
    if inStore != false then
      form
    else
      # Nor in it by a detour.
      string (
        form.schema
        // {
          not = {
            type = "string";
            posixPattern = ".*//.*|(.*/)?\\.\\.?(/.*)?|/?${lib.removePrefix "/" store}/.*|/?[0-9a-z]{52}(/.*)?";
          };
        }
      );

  # A set whose attributes are of one type.
  isSet = schema: schema.type or null == "object" && !(schema.properties or { } ? _type);

  # What the attributes of a freeform type's sets are: it is an attribute set of something, or can be one.
  valuesOf =
    definitions: schema:
    if schema ? "$ref" then
      valuesOf definitions definitions.${lib.removePrefix "#/$defs/" schema."$ref"}
    else if schema ? anyOf then
      valuesOf definitions (lib.findFirst isSet { } schema.anyOf)
    else if schema ? unchecked then
      { inherit (schema) unchecked; }
    else
      schema.additionalProperties or { };

  # What an attribute set that is one of those values may have in turn; false where none of them is a set.
  inside =
    definitions: schema:
    if schema == false || schema == { } || schema ? unchecked then
      schema
    else if schema ? "$ref" then
      inside definitions definitions.${lib.removePrefix "#/$defs/" schema."$ref"}
    else if schema ? anyOf then
      inside definitions (lib.findFirst isSet false schema.anyOf)
    else if schema.type or null == "object" then
      schema.additionalProperties or { }
    else
      false;

  # Names that mean something to the module system in a definition of a submodule.
  reserved =
    type:
    [ "_module" ]
    ++ lib.optionals (!(type.functor.payload.shorthandOnlyDefinesConfig or true)) [
      "_class"
      "_file"
      "config"
      "disabledModules"
      "freeformType"
      "imports"
      "key"
      "options"
      "require"
    ];

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
      properties =
        lib.optionalAttrs (beside != false) (lib.genAttrs (reserved type) (_: false))
        // mapAttrs (_: part: part.schema) properties;
      required = attrNames properties;
      additionalProperties = beside;
    }
    // {
      # A path is a module to import.
      converted = [
        {
          type = "string";
          posixPattern = "/.*";
          unchecked = "module";
        }
      ];
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
        part = element path seen (option.type or lib.types.unspecified);
        why =
          if option ? apply then
            "its value goes through a function (apply)"
          else if option.readOnly or false then
            "read-only"
          else
            null;
        beside = if why == null || isNarrowed path then done { } else fixed path why;
      in
      combine [
        part
        beside
      ] (part.schema // beside.schema // defaultOf option)
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

  # The kinds of values that a schema takes at the top; null where that is not known.
  kinds =
    schema:
    let
      all = map kinds schema.anyOf;
      ofValue = {
        bool = "boolean";
        float = "number";
        int = "integer";
        list = "array";
        set = "object";
      };
    in
    if schema ? enum then
      map (value: ofValue.${builtins.typeOf value} or (builtins.typeOf value)) schema.enum
    else if schema.type or null == "number" then
      [
        "integer"
        "number"
      ]
    else if schema ? type then
      [ schema.type ]
    else if schema ? anyOf then
      if lib.elem null all then null else lib.concatLists all
    else
      null;

  meet =
    one: other:
    let
      a = kinds one;
      b = kinds other;
    in
    a == null || b == null || lib.intersectLists a b != [ ];

  # Alternatives of alternatives are alternatives.
  flat = schema: if attrNames schema == [ "anyOf" ] then schema.anyOf else [ schema ];

  # The first that takes a value at its top decides, as with `either`.
  any =
    parts:
    let
      # What one alternative turns into something else, no other may take as it is.
      alternatives = lib.imap0 (
        index: part:
        let
          others = lib.take index parts ++ lib.drop (index + 1) parts;
          clashes = schema: lib.any (other: meet schema other.schema) others;
        in
        lib.filter clashes (part.converted or [ ]) ++ flat part.schema
      ) parts;
      all = unique (lib.concatLists alternatives);
      # Beside any string, particular ones say nothing.
      some =
        if lib.elem { type = "string"; } all then
          lib.filter (one: one.type or null != "string" || one == { type = "string"; } || one ? unchecked) all
        else
          all;
      # What may be anything decides last.
      isUnknown = one: attrNames one == [ "unchecked" ];
      schemas = lib.filter (one: !isUnknown one) some ++ lib.filter isUnknown some;
      open = lib.findFirst (one: one == { }) null schemas;
      hasDepth =
        one:
        kinds one == null
        ||
          lib.intersectLists (kinds one) [
            "array"
            "object"
          ] != [ ];
      whole =
        if open != null && !lib.any hasDepth (lib.remove { } schemas) then
          { }
        else if lib.length schemas == 1 then
          lib.head schemas
        else
          { anyOf = schemas; };
    in
    combine parts whole
    // {
      converted = concatMap (part: part.converted or [ ]) parts;
    };

  # A description contains those of the types within, so a type within one of the same description is that type again,
  # as in the values of JSON: it becomes a reference. Only alternatives can be such a type.
  element =
    path: seen: type:
    let
      key = lib.concatMapStrings (part: if lib.isString part then part else "-") (
        builtins.split "[^0-9A-Za-z]" type.description
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
      int = more: done ({ type = "integer"; } // more);
      coerced = same type.nestedTypes.coercedType;
      final = same type.nestedTypes.finalType;
      # What the function takes becomes something else, and no function can run on the machine.
      converted = map (
        schema: schema // { unchecked = "${type.nestedTypes.coercedType.description}, which is converted"; }
      ) (flat coerced.schema);
      clashes = lib.filter (meet final.schema) converted;
      known = {
        anything = done { };
        raw = done { };
        unspecified = done { };
        bool = done { type = "boolean"; };
        boolByOr = done { type = "boolean"; };
        int = int { };
        unsignedInt = int { minimum = 0; };
        positiveInt = int { minimum = 1; };
        float = done {
          type = "number";
          not.type = "integer";
        };
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
        nonEmptyStr = matching ".*[^ \t\n].*" "non-empty string";
        # The newline that it may end in is cut off by the module system.
        singleLineStr = matching "[^\n\r]*" "single-line string";
        path = pathWith path type;
        attrs = done { type = "object"; };
        luaInline = done {
          type = "object";
          properties._type.const = "lua-inline";
          required = [ "_type" ];
        };
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
        coercedTo = {
          inherit (final) notes;
          inherit converted;
          schema = if clashes == [ ] then final.schema else { anyOf = clashes ++ flat final.schema; };
          definitions = coerced.definitions // final.definitions;
        };
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
    if !hasOwnCheck type && !isNarrowed path then
      unsayable path type
    else if known ? ${type.name} then
      known.${type.name}
    else if hasPrefix "strMatching " type.name then
      strMatching path type
    else if builtins.match "passwdEntry (str|separatedString)" type.name != null then
      matching "[^:\n]*" type.description
    else if builtins.match "(unsigned|signed)Int[0-9]+|intBetween" type.name != null then
      bounds path type "integer"
    else if takesAnything type then
      done { }
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

  inherit defaultOf;
}
