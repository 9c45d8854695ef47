# What of a system can depend on the values of dynamic services: the evaluation behind `dynix prove`.
#
# Takes the system's own evaluation and its dynamic options, gives what each of their leaves flows into. Leaves are replaced
# by `throw`, and each part of the system is evaluated: evaluation is pure, so what gives a value all the same does not
# depend on the leaves, whatever they are. docs/soundness.md has the whole argument.
{
  lib,
  config,
  options,
  pkgs,
  extendModules,
  # By service: [ { name, loc, type, value } ].
  dynamicOptions,
  # By service: the files that the build found for it, and the units that read them.
  found ? { },
}:
let
  inherit (builtins)
    attrNames
    attrValues
    concatMap
    elem
    filter
    listToAttrs
    mapAttrs
    toJSON
    unsafeDiscardStringContext
    ;
  inherit (lib) showOption;
  pieces = import ../verify/pieces.nix { inherit lib; };
  file = import ../verify/files.nix { inherit lib; };
  leaf = import ./leaf.nix { inherit lib; };

  inherit (leaf) evaluates;
  inherit (pieces) try;

  services = config.dynamicism.description.services;
  unitsOf = service: attrNames services.${service}.units ++ found.${service}.units or [ ];
  ownUnits = concatMap unitsOf (attrNames services);
  # The generated files of a service, as its units or the scripts of these name them.
  generated =
    service:
    filter (lib.hasPrefix builtins.storeDir) (
      map (file: pieces.plain file.static) (attrValues services.${service}.files)
      ++ found.${service}.files or [ ]
    );

  # All that is compared, by kind.
  all =
    system:
    pieces.parts system.config
    // {
      rest.rest = pieces.rest system.config;
      assertion.assertions = pieces.failedAssertions system.options;
      warning.warnings = pieces.warningsOf system.options;
    };
  # What the rest is made of, to name what is in it.
  inRest = system: pieces.restParts system.config;

  # A system in which only the leaves are replaced. What comes of the parts that are held says nothing; only whether it
  # comes.
  plainly = modules: extendModules { modules = modules ++ [ (pieces.hold held) ]; };
  held = {
    dynamicism.generated = standIn "generated";
    system =
      lib.optionalAttrs (config.system ? activationScripts) {
        inherit (config.system) activationScripts;
      }
      // {
        path = standIn "path";
        build = mapAttrs (
          name: _: if name == "etcActivationCommands" then "" else standIn name
        ) config.system.build;
      };
  };
  standIn = name: {
    type = "derivation";
    inherit name;
    outPath = "${builtins.storeDir}/00000000000000000000000000000000-${name}";
    drvPath = "${builtins.storeDir}/00000000000000000000000000000000-${name}.drv";
    outputName = "out";
    # What systemd's module asks of /etc.
    targets = [ ];
  };

  # A system in which the generated files have other paths as well, that their content has no part in. Types force more
  # than a value depends on, a service's `ExecStart` for one; here it only names a file. So what is as it was depends on
  # no leaf and on no such file.
  besidesFiles =
    files: modules:
    extendModules {
      modules = modules ++ [
        (pieces.hold config)
        (file.replacing pkgs files)
      ];
    };

  base = {
    inherit config options;
  };

  namesOf = mapAttrs (_: attrNames);
  without = names: mapAttrs (kind: lib.subtractLists (names.${kind} or [ ]));
  flat = lib.filterAttrs (_: names: names != [ ]);
  together = lists: lib.zipAttrsWith (_: lists: lib.unique (lib.concatLists lists)) lists;

  # Of the names of each kind, those that fail the test. "*" is which names there are at all: where it fails, all of the
  # kind does; where it is wanted, all of the kind is looked at.
  failing =
    test: given: was: wanted:
    flat (
      mapAttrs (
        kind: names:
        let
          known = attrNames was.${kind};
          looked = if elem every names then known else names;
        in
        if !(evaluates (attrNames given.${kind})) || attrNames given.${kind} != known then
          [ every ]
        else
          filter (name: !(test kind name given.${kind}.${name})) looked
      ) wanted
    );
  every = "*";

  forcing =
    given:
    failing (
      _: _: value:
      evaluates value
    ) given given;

  # What differs from what it was, or can't be evaluated, in a system made by besidesFiles.
  changing =
    parts: given:
    let
      was = parts base;
    in
    failing (
      kind: name: value:
      let
        tried = try value;
      in
      tried.success && tried.value == was.${kind}.${name}
    ) (parts given) was;

  # The units of a service that differ in more than the files that they name, by themselves or in their scripts. `same` is
  # a system with nothing replaced but the paths of these files.
  ownFlows =
    service: given: same:
    let
      # A script that names a file has another path too; then only another system with that path can tell.
      isSame =
        was: now: rename:
        now // { text = leaf.settings (rename now.text); } == was // { text = leaf.settings was.text; };
      follows =
        name:
        let
          now = try (all given).unit.${name};
          was = (all base).unit.${name};
          known = try (all same).unit.${name};
        in
        !(
          now.success
          && (
            isSame was now.value (file.rename (generated service))
            || same != null && known.success && isSame known.value now.value lib.id
          )
        );
    in
    flat {
      unit = filter (name: (all base).unit ? ${name} && follows name) (unitsOf service);
    };

  # Whether an option is declared by itself and has no function of its own: not one of those within another's values.
  isDeclared =
    option:
    let
      found = lib.attrByPath option.loc { } options;
    in
    found._type or null == "option" && !(found ? apply);

  # An option's value where a path in it is defined once more, as overrides are (lib/verify): at the highest priority of all.
  once =
    option: path: value:
    let
      declared = lib.getAttrFromPath option.loc options;
      definitions = map (
        one: one // { value = lib.mkOverride declared.highestPrio one.value; }
      ) declared.definitionsWithLocations;
      more = lib.setAttrByPath path (lib.mkOverride (-1) value);
      extended = plainly [
        {
          _file = "dynix";
          config = lib.setAttrByPath option.loc more;
        }
      ];
    in
    if isDeclared option then
      (lib.modules.mergeDefinitions option.loc option.type (
        definitions
        ++ [
          {
            file = "dynix";
            value = more;
          }
        ]
      )).mergedValue
    else
      lib.getAttrFromPath option.loc extended.config;

  allOptions = lib.concatLists (attrValues dynamicOptions);
  whole = option: {
    inherit option;
    paths = [ [ ] ];
  };

  # The dynamic values whose definitions read one of those that are replaced, whatever service they are of.
  following =
    replaced:
    let
      system = plainly (
        map (
          { option, paths }: if isDeclared option then leaf.asRead option paths else leaf.asWhole option
        ) replaced
      );
      isReplaced = option: lib.any (one: one.option.loc == option.loc) replaced;
      # Before it is replaced for those who read it.
      defined = option: pieces.merged (lib.getAttrFromPath option.loc system.options);
      follows = option: path: !(evaluates (lib.attrByPath path leaf.forced (defined option)));
    in
    concatMap (
      option:
      map (path: showOption (option.loc ++ path)) (
        if isDeclared option then
          filter (follows option) (leaf.leaves [ ] option.value)
        # Its definitions can't be looked at: whether it follows itself can't be known.
        else if isReplaced option || !(evaluates (lib.getAttrFromPath option.loc system.config)) then
          [ [ ] ]
        else
          [ ]
      )
    ) allOptions;
  followersOfAll = following (map whole allOptions);
in
{
  # All that is evaluated.
  namesOf = without { unit = ownUnits; } (namesOf (all base));

  # `skip`: names that are not evaluated, and count as depending on everything.
  prove =
    {
      skip ? { },
    }:
    let
      everything = map leaf.asWhole allOptions;
      # Of a kind of which the names can't be known, that alone.
      names = mapAttrs (_: part: if evaluates (attrNames part) then attrNames part else [ every ]) (
        all first
      );
      wanted = without skip (without { unit = ownUnits; } names);
      # Once for all services: on most systems nothing is left.
      first = plainly everything;
      forced = forcing (all first) wanted;

      # What of it is left besides the files, in a system with these modules.
      left =
        service: suspects: modules:
        let
          given = besidesFiles (generated service) modules;
          flows = changing all given (together [
            suspects
            # The units of others force their own leaves.
            { unit = lib.subtractLists (unitsOf service) ownUnits; }
          ]);
          within = if flows ? rest then changing inRest given (namesOf (inRest base)) else { };
        in
        together [
          skip
          flows
          within
          (ownFlows service given (besidesFiles (generated service) [ ]))
        ];

      # A flow of `rest` stands for what is in it, of which some has the name of a kind of its own.
      suspectsOf =
        flows:
        without { unit = ownUnits; } (
          flat (
            mapAttrs (kind: filter (name: name == every || (all base).${kind} ? ${name})) (
              lib.filterAttrs (kind: _: (all base) ? ${kind}) flows
            )
          )
        );

      # Nor is on most systems any unit of a dynamic service one that follows more than its own files.
      ownOfAll =
        let
          given = besidesFiles (concatMap generated (attrNames services)) everything;
        in
        together (map (service: ownFlows service given null) (attrNames services));

      proveService =
        service: options:
        let
          ofOthers =
            if skip == { } && forced == { } && ownOfAll == { } then
              { }
            else
              left service forced (map leaf.asWhole options);
          # By the option's name.
          entangled = listToAttrs (
            map (
              option: lib.nameValuePair (showOption option.loc) (leaf.entangled option (once option))
            ) options
          );
          isEntangled =
            option:
            lib.any (one: one == null || one.told != [ ]) (attrValues entangled.${showOption option.loc});
          followers = if followersOfAll == [ ] then [ ] else following (map whole options);
          flows = together [
            ofOthers
            (flat {
              value = followers;
              # For values that there are not yet: dynix sets each by itself.
              within = map (option: showOption option.loc) (filter isEntangled options);
            })
          ];
          ofPath =
            option: path:
            let
              one = entangled.${showOption option.loc}.${toJSON path};
              replaced = {
                inherit option;
                paths = one.read;
              };
            in
            {
              path = option.loc ++ path;
              # Null: as all of the service.
              flows =
                if one == null then
                  null
                else
                  together [
                    (
                      if ofOthers == { } then
                        { }
                      else
                        left service (suspectsOf ofOthers) [ (leaf.asRead option one.read) ]
                    )
                    (flat {
                      value =
                        map (path: showOption (option.loc ++ path)) one.told
                        ++ lib.optionals (followers != [ ]) (following [ replaced ]);
                    })
                  ];
            };
        in
        {
          inherit flows;
          paths =
            if flows == { } then
              [ ]
            else
              concatMap (option: map (ofPath option) (leaf.leaves [ ] option.value)) options;
        };
    in
    {
      version = 2;
      generated = unsafeDiscardStringContext config.dynamicism.generated.outPath;
      parts = lib.foldl' (sum: names: sum + lib.length names) 0 (attrValues wanted);
      services = mapAttrs proveService dynamicOptions;
    };
}
