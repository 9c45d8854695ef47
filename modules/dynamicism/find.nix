# Where a service's settings are, found in the evaluated configuration.
#
# Takes the configuration and its options, gives the option that a service's settings are, and what the build looks
# through for the file that they become: the texts of the service's units and its files under /etc. Nothing is built and
# nothing read from the store: the texts carry their context, so that `dynix generate` finds all that they name.
{
  lib,
  config,
  options,
}:
let
  inherit (lib)
    attrNames
    concatMap
    elem
    filter
    genAttrs
    ;

  # Where modules keep the whole of a configuration file, in this order. `settings` is RFC 42's name; loki and promtail
  # have `configuration`, home-assistant and kanidm's kin `config`.
  usual = [
    "settings"
    "configuration"
    "config"
  ];

  # Text is no settings: only a function of the module knows what is in it.
  isText =
    type:
    elem type.name [
      "str"
      "string"
      "lines"
      "separatedString"
      "path"
      "package"
    ];

  isSettings =
    option:
    option._type or null == "option"
    && !(isText option.type)
    && !(option.type.name == "nullOr" && isText option.type.nestedTypes.elemType);

  # What the definitions of an option in these files say, by their names. Conditions are seen: what they exclude is not
  # in the configuration.
  definedIn =
    files: option:
    lib.unique (
      concatMap (
        definition:
        if elem definition.file files && lib.isAttrs definition.value then
          attrNames definition.value
        else
          [ ]
      ) (option.definitionsWithLocations or [ ])
    );

  # getty@tty1.service is an instance of getty@.service.
  templateOf =
    unit:
    let
      parts = builtins.match "([^@]+@)[^@]*(\\.[a-z]+)" unit;
    in
    if parts == null then unit else lib.concatStrings parts;
in
rec {
  # The usual settings options of a service that there are, by their paths.
  candidates =
    name:
    let
      below = options.services.${name} or { };
    in
    # An option with this name is no set of options.
    if below._type or null == "option" then
      [ ]
    else
      map (one: [
        "services"
        name
        one
      ]) (filter (one: isSettings (below.${one} or { })) usual);

  settingsOf =
    name:
    let
      found = candidates name;
      names = map (one: "services.${name}.${one}") usual;
    in
    if found == [ ] then
      throw "dynamicism.for.${name}.options: there is no option ${lib.concatStringsSep ", " names} with settings; set options to the option that the service's configuration file is made of"
    else
      lib.head found;

  # The units of a service: those that the modules that declare its options define, and those of its name.
  #
  # A module defines under `systemd.services` what it runs, so the file that declares an option and the file that defines
  # a unit being one is how a module says that they belong together. Which of the units reads a file is seen in the build.
  unitsOf =
    name: declarations:
    let
      defined =
        definedIn declarations options.systemd.services
        ++ filter (unit: unit == name) (attrNames config.systemd.services);
      full = map (unit: "${unit}.service") (lib.unique defined);
    in
    filter (unit: config.systemd.units.${unit}.enable or false) full;

  # What `dynix generate` looks through.
  find =
    {
      name,
      # The options, as options.
      from,
      # The units to look at; with null those of the service.
      units ? null,
    }:
    let
      declarations = lib.unique (concatMap (option: option.declarations) from);
      etc = filter (file: config.environment.etc.${file}.enable or false) (
        definedIn declarations options.environment.etc
      );
      userUnits = map (unit: "${unit}.service") (
        definedIn declarations (options.systemd.user.services or { })
      );
      looked = if units == null then unitsOf name declarations else units;
      text =
        unit:
        (config.systemd.units.${unit} or config.systemd.units.${templateOf unit}
        or (throw "dynamicism.for.${name}.units: there is no unit ${unit}")
        ).text;
    in
    {
      store = builtins.storeDir;
      type = (lib.head from).type.description or "";
      units =
        if looked == [ ] && userUnits == [ ] then
          throw "dynamicism.for.${name}: the configuration has no unit that ${lib.concatStringsSep ", " declarations} defines, nor ${name}.service; enable the service, or set units to those that read its file"
        else
          genAttrs looked text;
      etc = genAttrs etc (file: {
        inherit (config.environment.etc.${file}) mode target;
        source = "${config.environment.etc.${file}.source}";
      });
      inherit userUnits;
    };
}
