# What a rebuild with some overrides would change of a system: the evaluation behind options that are evaluated
# (`dynamicism.options`).
#
# Takes the system's own evaluation and overrides; gives the change set as plain values, and what of the store it names.
# Whether it can be put into effect without a rebuild is dynix's to judge (src/evaluated).
{
  lib,
  config,
  options,
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

  # Packages that are there on one side alone. That one is there twice makes no difference.
  packageDifferences =
    before: after:
    let
      unique = mapAttrs (_: list: lib.unique (lib.sort (a: b: a < b) list));
    in
    differences (unique before) (unique after);

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
in
{
  change =
    {
      overrides,
    }:
    let
      problems = filter (one: one != null) (map (one: problem one.path) overrides);
      with_ = extendModules {
        modules = [
          (toModule overrides)
          (pieces.hold config)
        ];
      };
      after = with_.config;

      beforeParts = pieces.parts config;
      afterParts = pieces.parts after;
      units = differences (unitsOf config.systemd.units) (unitsOf after.systemd.units);
      userUnits = differences (unitsOf config.systemd.user.units) (unitsOf after.systemd.user.units);
      entries = differences (etc config) (etc after);
      unitPackages = packageDifferences beforeParts.unitPackage afterParts.unitPackage;
      unitOptions = lib.filterAttrs (name: _: lib.hasPrefix "systemd." name) (
        differences beforeParts.option afterParts.option
      );
      otherOptions = lib.filterAttrs (name: _: !lib.hasPrefix "systemd." name) (
        differences beforeParts.option afterParts.option
      );
      wholes = differences (whole config) (whole after);
      # Where units come of packages as well, only Nix knows the directory that they make together.
      unitDirectories = lib.optionalAttrs (unitPackages != { } || unitOptions != { }) {
        system = sourceOf after.environment.etc."systemd/system";
        user = sourceOf after.environment.etc."systemd/user";
      };
      services = differences (ofServices config) (ofServices after);

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
        # The system that this configuration is without the overrides.
        system = unsafeDiscardStringContext config.system.build.toplevel.outPath;
        inherit
          units
          userUnits
          services
          context
          ;
        etc = entries;
        overlay = config.system.etc.overlay.enable or false;
        unitDirectories = mapAttrs (_: unsafeDiscardStringContext) unitDirectories;
        packages = packageDifferences beforeParts.package afterParts.package;
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
        failedAssertions = pieces.newFailedAssertions options with_.options;
        warnings = pieces.newWarnings options with_.options;
      };
}
