# Leaves of dynamic options, replaced by `throw`: the modules that do it, and what else a rebuild does to those beside them.
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
    listToAttrs
    tail
    toJSON
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

  # Whether each leaf of a value is made of the definitions of this very leaf and of nothing else, as far as they count.
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
in
rec {
  inherit evaluates forced leaves;

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

  # What else a rebuild changes within an option where one of its leaves is overridden, by the leaf's path as JSON: `read`,
  # the leaves that may have other values then, itself among them, and `told`, those that dynix leaves as they are; null
  # where the leaf can't be told from the others. `once` gives the option's value where a path is defined once more.
  entangled =
    option: once:
    let
      all = leaves [ ] option.value;
      valueAt = path: lib.getAttrFromPath path option.value;
      # Against a set that is forced, what is defined in it does not hold at all.
      ignored = path: evaluates (lib.attrByPath path forced (once path forced));
      # The same for what would be new in an empty one.
      ignoredBelow =
        path: isSet (valueAt path) && valueAt path == { } && evaluates (once (path ++ [ "new" ]) forced);
      found =
        path: others:
        let
          self = lib.optional (ignored path || ignoredBelow path) path;
        in
        {
          read = [ path ] ++ others;
          told = self ++ others;
        };

      # Of the definitions of a set, only those of the highest priority count (lib/modules.nix, filterOverrides'). So where a
      # set around the leaf has another one, all that is in it is lost but for the leaf. That is the same for all leaves of
      # one set.
      lostWith =
        path:
        let
          value = once path (valueAt path);
          isLost =
            other:
            let
              now = lib.attrByPath other forced value;
            in
            !(evaluates now) || now != valueAt other;
        in
        filter isLost (lib.remove path all);
      ofSet =
        paths:
        let
          first = head paths;
          lost = lostWith first;
          isIgnored = ignored first;
        in
        listToAttrs (
          map (
            path:
            let
              others = if lost == [ ] then [ ] else lib.remove path ([ first ] ++ lost);
            in
            lib.nameValuePair (toJSON path) {
              read = [ path ] ++ others;
              told = lib.optional (isIgnored || ignoredBelow path) path ++ others;
            }
          ) paths
        );

      # Options of a submodule may be made of others in it.
      within =
        path:
        let
          value = once path forced;
          follows = other: !(evaluates (lib.attrByPath other forced value));
        in
        if evaluates (attrNames value) then found path (filter follows (lib.remove path all)) else null;
    in
    # Where it is one, it is all there is.
    if all == [ [ ] ] then
      { "[]" = found [ ] [ ]; }
    else if isPlain { } option.type then
      lib.foldl' (sets: paths: sets // ofSet paths) { } (
        attrValues (lib.groupBy (path: toJSON (lib.init path)) all)
      )
    else if option.type.name == "submodule" then
      listToAttrs (map (path: lib.nameValuePair (toJSON path) (within path)) all)
    else
      listToAttrs (map (path: lib.nameValuePair (toJSON path) null) all);

  # A unit's text without what only switch-to-configuration reads.
  settings =
    text:
    lib.concatStringsSep "\n" (
      filter (
        line: !(lib.hasPrefix "X-Restart-Triggers=" line || lib.hasPrefix "X-Reload-Triggers=" line)
      ) (lib.splitString "\n" text)
    );
}
