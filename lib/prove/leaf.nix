# Leaves of dynamic options, replaced by `throw`: the modules that do it, and what stands for a file made of them.
#
# Pure functions of an option ({ loc, type, value }).
{ lib }:
let
  inherit (builtins)
    attrNames
    attrValues
    concatMap
    elem
    filter
    head
    isAttrs
    isFunction
    listToAttrs
    mapAttrs
    replaceStrings
    stringLength
    substring
    tail
    tryEval
    deepSeq
    ;

  forced = throw "dynix: this value can be overridden";

  evaluates = value: (tryEval (deepSeq value true)).success;

  # A leaf where it is defined: what is made of it within the option is not to be read either.
  asDefined = option: path: {
    _file = "dynix";
    config = lib.setAttrByPath (option.loc ++ path) (lib.mkOverride (-1) forced);
  };

  replaceAt =
    path: value:
    if path == [ ] then
      forced
    else
      value // { ${head path} = replaceAt (tail path) value.${head path}; };

  isSet = value: isAttrs value && !(lib.isDerivation value);

  leaves =
    path: value:
    if isSet value && value != { } then
      concatMap (name: leaves (path ++ [ name ]) value.${name}) (attrNames value)
    else
      [ path ];

  # Whether each leaf of a value is made of the definitions of this very leaf and of nothing else.
  isPlain =
    seen: type:
    if
      elem type.name [
        "attrsOf"
        "either"
        "lazyAttrsOf"
        "listOf"
        "nullOr"
        "unique"
      ]
    then
      # A type of JSON has itself within it.
      lib.all (isPlain (seen // { ${type.description} = true; })) (
        filter (one: !(seen ? ${one.description})) (attrValues type.nestedTypes)
      )
    else
      type.nestedTypes == { }
      && !(elem type.name [
        "deferredModule"
        "submodule"
      ]);

  fileName = path: substring (stringLength builtins.storeDir + 34) (-1) path;

  # Another path for a generated file.
  renamed = path: "${builtins.storeDir}/11111111111111111111111111111111-${fileName path}";
in
rec {
  inherit isPlain leaves;

  # An option as a whole: nothing of it can be read, not even what its module adds.
  asWhole = option: asDefined option [ ];

  # Leaves of an option where they are read. Its value is made as ever, and they are replaced in the end: in a definition
  # they would be forced by the types of what is beside them.
  asRead = option: paths: {
    _file = "dynix";
    options = lib.setAttrByPath option.loc (
      lib.mkOption { apply = value: lib.foldl' (value: path: replaceAt path value) value paths; }
    );
  };

  # The leaves of an option that can't be told from `path`, itself among them; null where none can. `valueWith` gives the
  # option's value in a system with more modules.
  entangled =
    option: path: valueWith:
    if isPlain { } option.type then
      [ path ]
    else if option.type.name != "submodule" then
      null
    else
      let
        # Options of the submodule may be made of others in it.
        value = valueWith [ (asDefined option path) ];
        follows = other: !(evaluates (lib.getAttrFromPath other value));
      in
      if evaluates (attrNames value) then
        lib.unique ([ path ] ++ filter follows (leaves [ ] option.value))
      else
        null;

  # `pkgs`, where what makes one of `files` does not ask for its content and gives another path.
  pkgsWith =
    pkgs: files:
    let
      paths = listToAttrs (map (path: lib.nameValuePair (fileName path) (renamed path)) files);
      named =
        name: otherwise:
        if paths ? ${name} then
          {
            type = "derivation";
            inherit name;
            outPath = paths.${name};
            drvPath = "${paths.${name}}.drv";
            outputName = "out";
          }
        else
          otherwise;
      format =
        make: parameters:
        let
          made = make parameters;
        in
        made // { generate = name: value: named name (made.generate name value); };
    in
    pkgs
    // {
      formats = mapAttrs (_: make: if isFunction make then format make else make) pkgs.formats;
    }
    //
      lib.genAttrs
        [
          "writeScript"
          "writeShellScript"
          "writeText"
        ]
        (
          writer: name: text:
          named name (pkgs.${writer} name text)
        );

  # A text in which these files have their own paths again.
  rename = files: replaceStrings (map renamed files) files;

  # A unit's text without what only switch-to-configuration reads.
  settings =
    text:
    lib.concatStringsSep "\n" (
      filter (
        line: !(lib.hasPrefix "X-Restart-Triggers=" line || lib.hasPrefix "X-Reload-Triggers=" line)
      ) (lib.splitString "\n" text)
    );
}
