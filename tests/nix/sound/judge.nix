# One random tree judged: whether proof and verify say what trying all values says.
#
# Takes a tree's modules, gives counts and, where something is wrong, what. What a system is like is read here by other
# means than lib/verify's.
{ lib, trees }:
let
  inherit (builtins)
    attrNames
    deepSeq
    filter
    tryEval
    ;

  # Values to try at each path, besides the built ones.
  values = {
    "settings.a" = [ 5 ];
    "settings.log.level" = [ "debug" ];
    "settings.new" = [ 3 ];
    "threads" = [ 9 ];
    "sub.p" = [ 4 ];
    "ports.http" = [ 8080 ];
  };
  dynamic = [
    "ports"
    "settings"
    "sub"
    "threads"
  ];
  paths = attrNames values;
  pathOf = name: [ "s" ] ++ lib.splitString "." name;

  # All choices: of each path nothing, or one of its values.
  choices = lib.foldl' (
    made: name:
    lib.concatMap (
      one:
      [ one ]
      ++ map (
        value:
        one
        ++ [
          {
            path = pathOf name;
            inherit name value;
            id = 1;
          }
        ]
      ) values.${name}
    ) made
  ) [ [ ] ] paths;

  judge =
    modules:
    let
      base = import ./machine.nix { inherit lib modules; };

      # A dynamic option's value as dynix has it in effect.
      effective =
        overrides: name:
        lib.foldl' (
          value: one:
          let
            below = lib.drop 2 one.path;
          in
          if below == [ ] then one.value else lib.recursiveUpdate value (lib.setAttrByPath below one.value)
        ) base.config.s.${name} (filter (one: lib.elemAt one.path 1 == name) overrides);

      # What of a system is not the service's own, as text; of what is its own, all but the file that it names; and which
      # values are others than in effect.
      seen =
        overrides: system:
        let
          inherit (system) config;
          own = config.dynamicism.description.services.s.files."s.json".static;
          part =
            value:
            let
              tried = tryEval (deepSeq value (builtins.toJSON value));
            in
            if tried.success then builtins.unsafeDiscardStringContext tried.value else "fails";
          units = lib.mapAttrs (
            name: unit:
            part (
              if name == "s.service" then lib.replaceStrings [ "${own}" ] [ "FILE" ] unit.text else unit.text
            )
          ) config.systemd.units;
        in
        {
          unit = units;
          etc = lib.mapAttrs (_: file: part file.text) config.environment.etc;
          user = lib.mapAttrs (_: part) config.users.users;
          activation = lib.mapAttrs (_: part) config.system.activationScripts;
          package = lib.listToAttrs (
            map (
              package: lib.nameValuePair package.name (part package.outPath)
            ) config.environment.systemPackages
          );
          assertion.assertions = part (messages system);
          value = lib.genAttrs (filter (
            name:
            part config.s.${lib.removePrefix "s." name}
            != part (effective overrides (lib.removePrefix "s." name))
          ) (map (name: "s.${name}") dynamic)) (_: "another");
        };

      messages =
        { options, ... }:
        map (one: one.message) (
          filter (one: !one.assertion) (
            options.assertions.type.merge [ ] options.assertions.definitionsWithLocations
          )
        );

      with' =
        overrides:
        base.extendModules {
          modules = [
            {
              config = lib.mkMerge (
                map (one: lib.setAttrByPath one.path (lib.mkOverride (-1) one.value)) overrides
              );
            }
          ];
        };

      before = seen [ ] base;
      differing =
        overrides:
        let
          after = seen overrides (with' overrides);
        in
        lib.filterAttrs (_: names: names != [ ]) (
          lib.mapAttrs (
            kind: all:
            filter (name: all.${name} or null != before.${kind}.${name} or null) (
              attrNames (before.${kind} // all)
            )
          ) after
        );

      proof = (base.prove { }).services.s;
      flowsAt =
        name:
        let
          found = filter (one: one.path == pathOf name) proof.paths;
          exact = (lib.head found).flows;
        in
        # Of a path that was not there nothing more exact is known; nor of one that can't be told from others.
        if found == [ ] || exact == null then
          together [
            (removeAttrs proof.flows [ "within" ])
            { value = filter (option: lib.hasPrefix "${option}." "s.${name}.") (proof.flows.within or [ ]); }
          ]
        else
          exact;
      together = lib.foldAttrs (names: all: names ++ all) [ ];
      # A value is told by its option.
      byOption =
        flows:
        lib.filterAttrs (_: names: names != [ ]) (
          flows
          // lib.optionalAttrs (flows ? value) {
            value = map (name: lib.concatStringsSep "." (lib.take 2 (lib.splitString "." name))) flows.value;
          }
        );
      counted = lib.filterAttrs (
        kind: _:
        !(lib.elem kind [
          "rest"
          "warning"
        ])
      );
      flows = lib.genAttrs paths (name: byOption (counted (flowsAt name)));
      foreign = removeAttrs proof.flows [
        "value"
        "within"
      ];
      free = filter (name: flows.${name} == { }) paths;

      truth = map (overrides: {
        inherit overrides;
        differs = differing overrides;
        seen = seen overrides (with' overrides);
      }) choices;
      changing = filter (one: one.differs != { }) truth;

      # A change that only touches free paths, and something differs: the proof is wrong.
      falseFree = filter (one: lib.all (override: lib.elem override.name free) one.overrides) changing;
      # What differs with one path's value alone has to be among what the path is said to flow into.
      alone = filter (one: lib.length one.overrides == 1) changing;
      untold = filter (
        one:
        let
          said = flows.${(lib.head one.overrides).name};
        in
        !(lib.all (
          kind:
          lib.all (
            name: lib.elem name said.${kind} or [ ] || lib.elem "*" said.${kind} or [ ]
          ) one.differs.${kind}
        ) (attrNames one.differs))
      ) alone;
      # What a path is said to flow into and no value shows: whatever the others are, nothing differs with it and without.
      shows =
        name: one:
        let
          others = filter (override: override.name != name) one.overrides;
        in
        others != one.overrides && one.seen != (seenWith others);
      seenWith = overrides: (lib.head (filter (one: one.overrides == overrides) truth)).seen;
      needless = filter (name: flows.${name} != { } && !(lib.any (shows name) truth)) paths;

      # Verify, on a few of the choices.
      verified =
        one:
        let
          given = base.verify { inherit (one) overrides; };
          own = given.services.s;
          unmasked =
            let
              change = given.changed.unit."s.service";
            in
            change ? fails
            ||
              lib.replaceStrings [ own.after.files."s.json" ] [ own.before.files."s.json" ] change.after.text
              != change.before.text;
          # One that fails no more is no harm.
          expected =
            removeAttrs one.differs [ "assertion" ]
            // lib.optionalAttrs (lib.subtractLists (messages base) (messages (with' one.overrides)) != [ ]) {
              assertion = [ "assertions" ];
            };
          values = filter (
            name: own.after.options.${name} != effective one.overrides (lib.removePrefix "s." name)
          ) (map (name: "s.${name}") dynamic);
          units = filter (name: name != "s.service" || unmasked) (attrNames given.changed.unit or { });
          told =
            lib.mapAttrs (_: attrNames) (
              lib.getAttrs (filter (kind: given.changed ? ${kind}) [
                "activation"
                "etc"
                "package"
                "user"
              ]) given.changed
            )
            // lib.optionalAttrs (values != [ ]) { value = values; }
            // lib.optionalAttrs (units != [ ]) { unit = units; }
            // lib.optionalAttrs (given.failedAssertions != [ ]) { assertion = [ "assertions" ]; };
        in
        told == expected;
      picked = [
        (lib.elemAt truth 1)
        (lib.elemAt truth (lib.length truth / 2))
        (lib.last truth)
      ];
      misjudged = filter (one: !(verified one)) picked;
    in
    {
      independent = foreign == { };
      trulyIndependent = lib.all (one: removeAttrs one.differs [ "value" ] == { }) truth;
      paths = lib.length paths;
      free = lib.length free;
      needless = lib.length needless;
      wrong = {
        falseIndependent =
          foreign == { } && lib.any (one: removeAttrs one.differs [ "value" ] != { }) truth;
        falseFree = map (one: one.overrides) falseFree;
        untold = map (one: { inherit (one) overrides differs; }) untold;
        misjudged = map (one: {
          inherit (one) overrides differs;
          given = removeAttrs (base.verify { inherit (one) overrides; }) [ "services" ];
        }) misjudged;
      };
    };
in
map judge trees
