# What overrides make of a whole system, besides what dynix does: the evaluation behind `dynix verify`.
#
# Takes the system's own evaluation (`config`, and `extendModules` for the same with more modules) and overrides, gives
# what differs with them, as plain values. Both systems are evaluated in one process and share all that the overrides do
# not reach. Judging and naming what differs is dynix's (src/verify).
{
  lib,
  config,
  options,
  pkgs,
  extendModules,
  # By service: the files that the build found for it, and the units that read them.
  found ? { },
}:
let
  inherit (builtins)
    attrNames
    deepSeq
    filter
    mapAttrs
    tryEval
    ;
  pieces = import ./pieces.nix { inherit lib; };
  inherit (pieces) orElse try;
  file = import ./files.nix { inherit lib; };

  # Overrides ({ path, value, id }) as dynix has them in effect, at a priority below every other.
  toModule = overrides: {
    _file = "the recorded overrides";
    config = lib.mkMerge (
      map (one: lib.setAttrByPath one.path (lib.mkOverride (-one.id) one.value)) overrides
    );
  };

  # The names of a kind, and what can't even be named.
  named =
    kind:
    let
      names = tryEval (deepSeq (attrNames kind) (attrNames kind));
    in
    if names.success then names.value else null;

  # What differs, by name: { before, after }, where null is what is not there. `fails` is what can be evaluated without
  # the overrides alone; what can't be evaluated at all says nothing.
  compareKind =
    before: after:
    let
      old = named before;
      new = named after;
      one =
        name:
        let
          b =
            if before ? ${name} then
              try before.${name}
            else
              {
                success = true;
                value = null;
              };
          a =
            if after ? ${name} then
              try after.${name}
            else
              {
                success = true;
                value = null;
              };
        in
        if !b.success then
          null
        else if !a.success then
          { fails = true; }
        else if a.value == b.value then
          null
        else
          {
            before = b.value;
            after = a.value;
          };
    in
    if old == null then
      { }
    else if new == null then
      { "*".fails = true; }
    else
      lib.filterAttrs (_: difference: difference != null) (lib.genAttrs (lib.unique (old ++ new)) one);

  # What differs of units in more than the files that the build found, which their description doesn't name.
  besidesFound =
    overrides:
    { files, units }:
    let
      unitsWith =
        modules:
        let
          system = extendModules {
            modules = modules ++ [
              (pieces.hold config)
              (file.replacing pkgs files)
            ];
          };
        in
        lib.getAttrs units (pieces.parts system.config).unit;
      renamed =
        side:
        if side ? text && side.text != null then side // { text = file.rename files side.text; } else side;
    in
    mapAttrs (
      _: difference: if difference ? fails then difference else mapAttrs (_: renamed) difference
    ) (compareKind (unitsWith [ ]) (unitsWith [ (toModule overrides) ]));

  # What dynix itself changes of a system: its services' files and the units that read them.
  ofService =
    config: name:
    let
      service = config.dynamicism.description.services.${name};
    in
    {
      options = mapAttrs (_: option: pieces.plain option.static) service.options;
      files = mapAttrs (_: file: pieces.plain file.static) service.files;
    };

  merge = lib.foldl' (all: kinds: all // mapAttrs (kind: one: all.${kind} or { } // one) kinds) { };
in
{
  verify =
    {
      overrides,
    }:
    let
      overridden = extendModules {
        modules = [
          (toModule overrides)
          (pieces.hold config)
        ];
      };
      compare =
        kinds:
        let
          after = kinds overridden.config;
        in
        mapAttrs (kind: before: compareKind before after.${kind}) (kinds config);
      compared = compare pieces.parts;
      # A unit that is there on one side only is not one that reads other files.
      differing = filter (
        name:
        (compared.unit.${name}.before or null) != null && (compared.unit.${name}.after or null) != null
      ) (attrNames compared.unit);
      byService = mapAttrs (_: one: one // { units = lib.intersectLists one.units differing; }) found;
      parts = compared // {
        unit = lib.foldl' (
          units: one:
          if one.units == [ ] then units else removeAttrs units one.units // besidesFound overrides one
        ) compared.unit (lib.attrValues byService);
      };
      rest = try (pieces.rest overridden.config);
      restIsEqual = rest.success && rest.value == pieces.rest config;
      named = merge [
        parts
        (lib.optionalAttrs (parts.etc != { }) (compare pieces.etcParts))
        # The units name a script, which says nothing by its path.
        (lib.optionalAttrs (parts.unit ? "firewall.service" || parts.unit ? "nftables.service") (
          compare pieces.firewall
        ))
        (lib.optionalAttrs (!restIsEqual) (compare pieces.restParts))
      ];
      untold = !restIsEqual && named == parts;
      changed =
        if untold then
          merge [
            named
            { rest."*".fails = !rest.success; }
          ]
        else
          named;
    in
    {
      version = 1;
      changed = lib.filterAttrs (_: kind: kind != { }) changed;
      compared = lib.foldl' (sum: kind: sum + lib.length (attrNames kind)) 0 (
        lib.attrValues (pieces.parts config)
      );
      # Those that the overrides are to blame for.
      failedAssertions = pieces.newFailedAssertions options overridden.options;
      newWarnings = pieces.newWarnings options overridden.options;
      services = mapAttrs (name: _: {
        before = ofService config name;
        after = orElse null (try (ofService overridden.config name));
      }) config.dynamicism.description.services;
    };
}
