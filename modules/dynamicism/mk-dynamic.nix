# Marks: which paths below an option may change at run time.
#
# Takes values and options, gives marked values and lists of marked paths. Pure; needs nothing but builtins.
let
  # Stronger than mkDefault (1000), so that marking a value that a NixOS module already sets with mkDefault is no
  # conflict; weaker than a plain definition (100). No other function of nixpkgs uses this priority.
  priority = 950;

  isMark = value: value._type or null == "override" && value.priority == priority;
in
{
  # A default that also marks its option path as one that may change at run time:
  #
  #   services.harmonia.settings.workers = lib.mkDynamic 4;
  mkDynamic = content: {
    _type = "override";
    inherit priority content;
  };

  # The marked paths below an evaluated option, each a list of names; [ ] is the option itself.
  #
  # A mark within a freeform setting is found whether its value won or not. One on a whole option is seen only while no
  # plain definition overrides it: the module system has dropped it otherwise.
  marks =
    option:
    let
      below =
        path: value:
        if isMark value then
          [ path ]
        else if value._type or null == "if" then
          if value.condition then below path value.content else [ ]
        else if value._type or null == "merge" then
          builtins.concatMap (below path) value.contents
        else if value._type or null == "override" || value._type or null == "order" then
          below path value.content
        else if builtins.isAttrs value && !(value ? _type) && value.type or null != "derivation" then
          builtins.concatMap (name: below (path ++ [ name ]) value.${name}) (builtins.attrNames value)
        else
          [ ];
      definitions = map (definition: definition.value) option.definitionsWithLocations;
      unique = builtins.attrValues (
        builtins.listToAttrs (
          map (path: {
            name = builtins.toJSON path;
            value = path;
          }) (builtins.concatMap (below [ ]) definitions)
        )
      );
    in
    if option.highestPrio or null == priority then [ [ ] ] else unique;
}
