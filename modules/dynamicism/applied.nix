# Options that change their value on the way through (`apply`), below an option.
#
# Takes a type and its evaluated value, gives the paths of those of which a definition with their present value would give
# another: an override records what comes out of the function, and a rebuild would put it in once more.
{ lib }:
let
  ofOption =
    path: option: value:
    let
      isFixed = option.type.check value && builtins.toJSON (option.apply value) == builtins.toJSON value;
      tried = builtins.tryEval isFixed;
    in
    lib.optional (option ? apply && !(tried.success && tried.value)) path
    ++ ofType path option.type value;

  ofOptions =
    path: tree: value:
    lib.concatLists (
      lib.mapAttrsToList (
        name: below:
        if lib.hasPrefix "_" name || !(lib.isAttrs value && value ? ${name}) then
          [ ]
        else if below._type or null == "option" then
          ofOption (path ++ [ name ]) below value.${name}
        else
          ofOptions (path ++ [ name ]) below value.${name}
      ) tree
    );

  ofType =
    path: type: value:
    let
      inherit (type) nestedTypes;
      kinds = {
        submodule = ofOptions path (type.getSubOptions path) value;
        attrsOf = lib.concatLists (
          lib.mapAttrsToList (name: ofType (path ++ [ name ]) nestedTypes.elemType) value
        );
        lazyAttrsOf = kinds.attrsOf;
        # An override replaces a list whole.
        listOf = lib.unique (
          map (_: path) (lib.concatMap (ofType (path ++ [ "*" ]) nestedTypes.elemType) value)
        );
        nullOr = if value == null then [ ] else ofType path nestedTypes.elemType value;
        either = ofType path (
          if nestedTypes.left.check value then nestedTypes.left else nestedTypes.right
        ) value;
        coercedTo = ofType path nestedTypes.finalType value;
        unique = ofType path nestedTypes.elemType value;
      };
    in
    kinds.${type.name} or [ ];
in
ofType
