# What a rebuild with some overrides would change of a system: the evaluation behind options that are evaluated
# (`dynamicism.options`).
#
# Takes the system's own evaluation and overrides; gives the change set as plain values, and what of the store it names.
# Whether it can be put into effect without a rebuild is dynix's to judge (src/evaluated).
{
  lib,
  config,
  options,
  pkgs,
  extendModules,
  ...
}:
let
  inherit (builtins)
    attrNames
    filter
    getContext
    head
    isAttrs
    mapAttrs
    tail
    unsafeDiscardStringContext
    ;
  pieces = import ../verify/pieces.nix { inherit lib; };
  inherit (pieces) orElse plain try;
  file = import ../verify/files.nix { inherit lib; };

  # Why an override of this path can't be evaluated, as far as the option tree says; null where it can.
  problem =
    path:
    let
      told = kind: more: { inherit path kind; } // more;
      walk =
        done: node: rest:
        if node._type or null == "option" then
          if node.readOnly or false then
            told "readOnly" { option = done; }
          else if node.internal or false then
            told "internal" { option = done; }
          else
            null
        else if rest == [ ] then
          told "set" { names = attrNames node; }
        else if isAttrs node && node ? ${head rest} then
          walk (done ++ [ (head rest) ]) node.${head rest} (tail rest)
        else
          told "missing" {
            below = done;
            name = head rest;
            names = attrNames node;
          };
    in
    walk [ ] options path;

  # A priority below every other, the newest record the lowest.
  toModule = overrides: {
    _file = "the recorded overrides";
    config = lib.mkMerge (
      map (one: lib.setAttrByPath one.path (lib.mkOverride (-one.id) one.value)) overrides
    );
  };

  # What differs, by name: { before, after }, null for what is not there. `fails`: it can't be evaluated with the overrides.
  differences =
    before: after:
    let
      side =
        all: name:
        if all ? ${name} then
          try all.${name}
        else
          {
            success = true;
            value = null;
          };
      one =
        name:
        let
          b = side before name;
          a = side after name;
        in
        if !a.success then
          if b.success then { fails = true; } else null
        else if !b.success then
          { fails = true; }
        else if a.value == b.value then
          null
        else
          {
            before = b.value;
            after = a.value;
          };
    in
    lib.filterAttrs (_: difference: difference != null) (
      lib.genAttrs (lib.unique (attrNames before ++ attrNames after)) one
    );

  # Packages by name. That one is there twice makes no difference.
  unique = mapAttrs (_: list: lib.unique (lib.sort (a: b: a < b) list));

  # What of the whole system goes into it besides /etc, packages and the activation, which are compared by themselves.
  whole =
    config:
    mapAttrs (_: plain) (
      removeAttrs config.system.build.toplevel.drvAttrs [
        "activationScript"
        "dryActivationScript"
        "passAsFile"
      ]
    );

  # What dynix itself changes of a service: another option may decide it too.
  ofServices =
    config:
    mapAttrs (_: service: {
      options = mapAttrs (_: option: plain option.static) service.options;
      files = mapAttrs (_: file: plain file.static) service.files;
    }) config.dynamicism.description.services;

  # An entry of /etc. Its source is a path, which has to be one in the store.
  sourceOf = entry: "${entry.source}";
  etcEntry =
    entry:
    if !(entry.enable or true) then
      { enable = false; }
    else
      {
        inherit (entry) target mode;
        source = unsafeDiscardStringContext (sourceOf entry);
        user = entry.user or "+${toString (entry.uid or 0)}";
        group = entry.group or "+${toString (entry.gid or 0)}";
        text = plain (entry.text or null);
      };
  etc =
    config:
    mapAttrs (_: etcEntry) (
      removeAttrs config.environment.etc [
        "systemd/system"
        "systemd/user"
      ]
    );
  unitsOf =
    units:
    mapAttrs (
      _: unit:
      if !(unit.enable or true) then
        {
          enable = false;
          aliases = unit.aliases or [ ];
          wantedBy = unit.wantedBy or [ ];
          requiredBy = unit.requiredBy or [ ];
          upheldBy = unit.upheldBy or [ ];
        }
      else
        {
          enable = true;
          text = plain (if unit.text or null == null then "" else unit.text);
          overrideStrategy = unit.overrideStrategy or "asDropinIfExists";
          aliases = unit.aliases or [ ];
          wantedBy = unit.wantedBy or [ ];
          requiredBy = unit.requiredBy or [ ];
          upheldBy = unit.upheldBy or [ ];
        }
    ) units;

  # Units of services whose files the build found, under the names of the built files: what differs in nothing else is
  # left out, for dynix puts its own files in the place of these.
  besidesFound =
    overrides: compared: one:
    let
      names = lib.intersectLists one.units (attrNames compared);
      sideWith =
        modules:
        let
          evaluated = extendModules {
            modules = modules ++ [
              (pieces.hold config)
              (file.replacing pkgs one.files)
            ];
          };
          all = evaluated.config.systemd.units;
        in
        unitsOf (lib.getAttrs (filter (name: all ? ${name}) names) all);
      renamed =
        side:
        if side == null || !(side ? text) then
          side
        else
          side // { text = file.rename one.files side.text; };
    in
    if names == [ ] then
      compared
    else
      removeAttrs compared names
      // mapAttrs (
        _: difference: if difference ? fails then difference else mapAttrs (_: renamed) difference
      ) (differences (sideWith [ ]) (sideWith [ (toModule overrides) ]));

  # All that is compared of one side, by kind and name.
  sideOf =
    config:
    let
      parts = pieces.parts config;
    in
    {
      units = unitsOf config.systemd.units;
      userUnits = unitsOf config.systemd.user.units;
      etc = etc config;
      packages = unique parts.package;
      unitPackages = unique parts.unitPackage;
      options = parts.option;
      whole = whole config;
      services = ofServices config;
    };

  # A derivation by its paths alone. What is made of it has the same path as if it was made of the derivation itself.
  pathsOf = derivation: {
    out = plain derivation;
    drv = plain derivation.drvPath;
  };
  ofPaths = paths: {
    type = "derivation";
    name = builtins.substring 33 (-1) (baseNameOf paths.out);
    outPath = builtins.appendContext paths.out { ${paths.drv}.outputs = [ "out" ]; };
    drvPath = paths.drv;
  };

  # The side without overrides in a form that can be kept, for the evaluations that follow on the same system.
  keptOf = config: {
    version = keptVersion;
    system = unsafeDiscardStringContext config.system.build.toplevel.outPath;
    side = sideOf config;
    activation = plain config.system.activationScripts.script;
    warnings = pieces.warningsOf options;
    hold = {
      generated = pathsOf config.dynamicism.generated;
      path = pathsOf config.system.path;
      build = mapAttrs (_: plain) (pieces.heldBuild config);
    };
  };
  keptVersion = 1;
  # What `hold` needs of the kept side, in the place of its configuration.
  heldOf = kept: {
    dynamicism.generated = ofPaths kept.hold.generated;
    system = {
      path = ofPaths kept.hold.path;
      inherit (kept.hold) build;
    };
  };
in
{
  change =
    {
      overrides,
      # What only the build knows, where services' values are among the overrides: { SERVICE = { files, units }; }.
      found ? { },
      # A file with the kept side of the system that runs: then only what differs from it is evaluated without overrides.
      built ? null,
      # Whether that side is to be given, for a file.
      keep ? false,
    }:
    let
      problems = filter (one: one != null) (map (one: problem one.path) overrides);
      given = if built == null then null else builtins.fromJSON (builtins.readFile built);
      kept = if given.version or 0 == keptVersion then given else null;
      with_ = extendModules {
        modules = [
          (toModule overrides)
          (pieces.hold (if kept == null then config else heldOf kept))
        ];
      };
      after = with_.config;

      own = sideOf config;
      before = if kept == null then own else kept.side;
      now = sideOf after;
      compared = mapAttrs (kind: differences before.${kind}) now;
      # Where something differs from what runs, it has to be for the overrides.
      isAsBuilt =
        let
          sameIn =
            kind: names:
            lib.all (
              name: orElse null (try (own.${kind}.${name} or null)) == kept.side.${kind}.${name} or null
            ) names;
        in
        lib.all (kind: sameIn kind (attrNames compared.${kind})) (attrNames compared)
        && (
          plain script == kept.activation || plain config.system.activationScripts.script == kept.activation
        );
      units = lib.foldl' (besidesFound overrides) compared.units (lib.attrValues found);
      inherit (compared) userUnits unitPackages services;
      entries = compared.etc;
      wholes = compared.whole;
      unitOptions = lib.filterAttrs (name: _: lib.hasPrefix "systemd." name) compared.options;
      otherOptions = lib.filterAttrs (name: _: !lib.hasPrefix "systemd." name) compared.options;
      # Where units come of packages as well, only Nix knows the directory that they make together.
      unitDirectories = lib.optionalAttrs (unitPackages != { } || unitOptions != { }) {
        system = sourceOf after.environment.etc."systemd/system";
        user = sourceOf after.environment.etc."systemd/user";
      };

      # With context.
      script = after.system.activationScripts.script;
      dryScript = after.system.dryActivationScript or "";
      named =
        lib.concatMap (
          name: lib.optional (after.systemd.units ? ${name}) (after.systemd.units.${name}.text or null)
        ) (attrNames units)
        ++ lib.concatMap (
          name:
          lib.optional (after.systemd.user.units ? ${name}) (after.systemd.user.units.${name}.text or null)
        ) (attrNames userUnits)
        ++ lib.concatMap (
          name:
          lib.optional (after.environment.etc ? ${name} && after.environment.etc.${name}.enable or true) (
            sourceOf after.environment.etc.${name}
          )
        ) (attrNames entries)
        ++ lib.attrValues unitDirectories
        ++ [
          script
          dryScript
        ];
      context = mapAttrs (_: one: one.outputs or [ ]) (
        getContext (lib.concatStrings (filter (one: one != null) named))
      );
    in
    if problems != [ ] then
      {
        version = 1;
        inherit problems;
      }
    else
      {
        version = 1;
        problems = [ ];
        # The system that this configuration is without the overrides; empty where it is not the one that was kept.
        system =
          if kept == null then
            unsafeDiscardStringContext config.system.build.toplevel.outPath
          else if isAsBuilt then
            kept.system
          else
            "";
        built = if keep then keptOf config else null;
        inherit
          units
          userUnits
          services
          context
          ;
        etc = entries;
        overlay = config.system.etc.overlay.enable or false;
        unitDirectories = mapAttrs (_: unsafeDiscardStringContext) unitDirectories;
        inherit (compared) packages;
        inherit unitPackages;
        options = otherOptions;
        activation = plain script;
        dryActivation = plain dryScript;
        whole = wholes;
        restParts =
          if wholes == { } then
            { }
          # Only its name: nothing else is asked for, for nothing else need be possible to evaluate.
          else if attrNames wholes == [ "name" ] then
            lib.filterAttrs (name: _: name == "networking.hostName") (
              differences { "networking.hostName" = config.networking.hostName or null; } {
                "networking.hostName" = after.networking.hostName or null;
              }
            )
          else
            differences (pieces.restParts config).option (pieces.restParts after).option;
        failedAssertions =
          # What was built has none.
          if kept == null then
            pieces.newFailedAssertions options with_.options
          else
            orElse [ "the assertions can't be evaluated" ] (try (pieces.failedAssertions with_.options));
        warnings =
          if kept == null then
            pieces.newWarnings options with_.options
          else
            lib.subtractLists kept.warnings (orElse [ ] (try (pieces.warningsOf with_.options)));
      };
}
