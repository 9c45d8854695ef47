# What a rebuild makes of a configuration, in named pieces that can be compared.
#
# Takes `config`, gives { KIND.NAME = plain value; }, each evaluated only when it is asked for. Nothing is built: a
# derivation is its output path, which is known without a build.
{ lib }:
let
  inherit (builtins)
    deepSeq
    isAttrs
    isFunction
    isList
    isPath
    isString
    listToAttrs
    mapAttrs
    toString
    tryEval
    unsafeDiscardStringContext
    ;

  # A value as a whole, if it can be evaluated.
  try = value: tryEval (deepSeq value value);
  orElse = default: tried: if tried.success then tried.value else default;

  # Any value as one that can be compared and printed.
  plain =
    value:
    if isString value then
      unsafeDiscardStringContext value
    else if isPath value then
      toString value
    else if isList value then
      map plain value
    else if isFunction value then
      "<function>"
    else if !isAttrs value then
      value
    else if value ? outPath then
      plain value.outPath
    else if value ? __toString then
      plain (toString value)
    else
      mapAttrs (_: plain) value;

  # An attribute that another NixOS may not have.
  under =
    path: default: config:
    lib.attrByPath path default config;

  # An option's value before `hold` takes it away.
  merged = option: option.type.merge option.loc option.definitionsWithLocations;

  # Of what is not installed, nothing else is ever read.
  unlessDisabled = one: value: if one.enable or true then value else { enable = false; };

  units =
    units:
    mapAttrs (
      _: unit:
      plain (
        unlessDisabled unit {
          text = unit.text or null;
          overrideStrategy = unit.overrideStrategy or null;
          aliases = unit.aliases or [ ];
          wantedBy = unit.wantedBy or [ ];
          requiredBy = unit.requiredBy or [ ];
          upheldBy = unit.upheldBy or [ ];
        }
      )
    ) units;

  # Made of the units, which are compared one by one.
  fromUnits = [
    "systemd/system"
    "systemd/user"
  ];

  etcFile =
    entry:
    plain (
      unlessDisabled entry {
        inherit (entry)
          target
          mode
          source
          ;
        owner = "${entry.user or ""}:${entry.group or ""}";
        ids = "${toString (entry.uid or "")}:${toString (entry.gid or "")}";
        text = entry.text or null;
      }
    );

  # Scripts with a name each; beside them the option keeps the whole script made of them, on older systems nothing else.
  scripts =
    all:
    let
      named = removeAttrs all [ "script" ];
      text = script: if isAttrs script then script.text or "" else script;
    in
    mapAttrs (_: script: plain (text script)) (
      lib.filterAttrs (_: script: isAttrs script || isString script) (if named == { } then all else named)
    );

  # Packages by name. A name is known without the package being evaluated.
  packages =
    list:
    mapAttrs (_: map (package: unsafeDiscardStringContext "${package}")) (
      lib.groupBy (package: package.pname or (builtins.parseDrvName (nameOf package)).name) (
        lib.filter (one: one != null) list
      )
    );
  nameOf =
    package:
    package.name
      or (builtins.substring 33 (-1) (unsafeDiscardStringContext (baseNameOf (toString package))));

  # Those of the options that this NixOS has, by name.
  options =
    config: names:
    listToAttrs (
      lib.concatMap (
        name:
        let
          path = lib.splitString "." name;
        in
        lib.optional (lib.hasAttrByPath path config) (
          lib.nameValuePair name (plain (lib.getAttrFromPath path config))
        )
      ) names
    );

  warningsOf = options: plain (merged options.warnings);
  # What /etc is made of.
  heldBuild =
    base:
    lib.getAttrs (lib.filter (name: base.system.build ? ${name}) [
      "etc"
      "etcActivationCommands"
      "etcBasedir"
      "etcMetadataImage"
    ]) base.system.build;

  failedAssertions =
    options:
    map (one: plain one.message) (lib.filter (one: !one.assertion) (merged options.assertions));
in
{
  inherit
    merged
    orElse
    plain
    try
    ;

  # Of what system.build.toplevel is made, that of which single parts can be told apart: all that is in /etc, units among
  # it, and all packages.
  parts = config: {
    # As plans name them: those of the users' service managers begin with user/.
    unit =
      units (under [ "systemd" "units" ] { } config)
      // lib.mapAttrs' (name: lib.nameValuePair "user/${name}") (
        units (under [ "systemd" "user" "units" ] { } config)
      );
    # Packages whose units are installed as well.
    unitPackage = packages (under [ "systemd" "packages" ] [ ] config);
    etc = mapAttrs (_: etcFile) (removeAttrs (under [ "environment" "etc" ] { } config) fromUnits);
    package = packages (under [ "environment" "systemPackages" ] [ ] config);
    option = options config [
      "environment.extraOutputsToInstall"
      "environment.extraSetup"
      "environment.pathsToLink"
      "systemd.additionalUpstreamSystemUnits"
      "systemd.additionalUpstreamUserUnits"
      "systemd.ctrlAltDelUnit"
      "systemd.defaultUnit"
      "systemd.package"
      "systemd.suppressedSystemUnits"
      "systemd.suppressedUserUnits"
    ];
  };

  # All of the rest in one: the system made of the same /etc and packages as `base`, and of the same derivation of dynix,
  # which would be another with every static value. Assertions and warnings are compared by themselves.
  hold = base: {
    _file = "dynix";
    options = lib.genAttrs [ "assertions" "warnings" ] (_: lib.mkOption { apply = _: [ ]; });
    config = {
      dynamicism.heldGenerated = base.dynamicism.generated;
      system = {
        path = lib.mkForce base.system.path;
        build = mapAttrs (_: lib.mkForce) (heldBuild base);
      }
      # The script that sets up /etc is a text of NixOS's own that names /etc: merging reads it, also where it does not count.
      //
        lib.optionalAttrs (base.system ? activationScripts.etc && heldBuild base ? etcActivationCommands)
          {
            activationScripts.etc = lib.mkForce base.system.activationScripts.etc;
          };
    };
  };
  rest = config: unsafeDiscardStringContext config.system.build.toplevel.drvPath;

  # What can be in the rest, to name what differs there.
  restParts = config: {
    activation = scripts (under [ "system" "activationScripts" ] { } config);
    userActivation = scripts (under [ "system" "userActivationScripts" ] { } config);
    user = mapAttrs (_: plain) (under [ "users" "users" ] { } config);
    group = mapAttrs (_: plain) (under [ "users" "groups" ] { } config);
    wrapper = mapAttrs (_: plain) (under [ "security" "wrappers" ] { } config);
    option = options config [
      "boot.kernelPackages.kernel"
      "boot.kernelParams"
      "hardware.deviceTree.package"
      "hardware.firmware"
      "i18n.glibcLocales"
      "networking.hostName"
      "system.build.bootStage2"
      "system.build.initialRamdisk"
      "system.build.initialRamdiskSecretAppender"
      "system.build.installBootLoader"
      "system.checks"
      "system.extraDependencies"
      "system.extraSystemBuilderCmds"
      "system.modulesTree"
      "system.nixos.label"
      "system.systemBuilderArgs"
      "system.systemBuilderCommands"
    ];
  };

  # Where a text of /etc is made of options, these say more.
  etcParts = config: {
    sysctl = mapAttrs (_: plain) (under [ "boot" "kernel" "sysctl" ] { } config);
    tmpfiles = {
      rules = plain (under [ "systemd" "tmpfiles" "rules" ] [ ] config);
    }
    // mapAttrs (_: plain) (under [ "systemd" "tmpfiles" "settings" ] { } config);
  };

  firewall = config: {
    firewall = mapAttrs (_: plain) (
      lib.filterAttrs (name: _: name != "package") (under [ "networking" "firewall" ] { } config)
    );
  };

  inherit failedAssertions warningsOf heldBuild;

  # The assertions that fail after a change, and did not before it.
  newFailedAssertions =
    before: after:
    let
      was = try (failedAssertions before);
      now = try (failedAssertions after);
    in
    if !was.success then
      [ ]
    else if !now.success then
      [ "the assertions can't be evaluated" ]
    else
      lib.subtractLists was.value now.value;

  # The same of warnings.
  newWarnings =
    before: after: lib.subtractLists (warningsOf before) (orElse [ ] (try (warningsOf after)));
}
