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
  # have `configuration`, home-assistant and kanidm's kin `config`. The others are variables of the unit.
  usual = [
    "settings"
    "configuration"
    "config"
    "environment"
    "environmentVariables"
    "extraEnvironment"
  ];

  # Where modules have several of a service, each with settings of its own.
  holders = [
    "instances"
    "servers"
  ];

  # Most services have none of these.
  known = genAttrs (usual ++ holders) (_: null);

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

  # How the configuration has a unit, for messages.
  namedUnit =
    name:
    if lib.hasPrefix "user/" name then
      "systemd.user.units.${lib.removePrefix "user/" name}"
    else
      "systemd.units.${name}";
in
rec {
  # getty@tty1.service is an instance of getty@.service.
  templateOf =
    unit:
    let
      parts = builtins.match "([^@]+@)[^@]*(\\.[a-z]+)" unit;
    in
    if parts == null then unit else lib.concatStrings parts;

  # A unit of the configuration, or null: `user/NAME` is one of the users' service managers.
  unitOf =
    name:
    if lib.hasPrefix "user/" name then
      config.systemd.user.units.${lib.removePrefix "user/" name} or null
    else
      config.systemd.units.${name} or config.systemd.units.${templateOf name} or null;

  # The unit, for a service that names it: one that can be started.
  startable =
    service: name: unit:
    if unit.enable or true then
      unit
    else
      throw "dynamicism.for.${service}.units: ${name} is masked (${namedUnit name}.enable is false), so systemd never starts it";

  # The usual settings options of a service that there are, by their paths: lists of those that belong together.
  candidates =
    name:
    let
      below = options.services.${name} or { };
      plain = filter (one: isSettings (below.${one} or { })) usual;
      several = filter (
        one: below.${one}._type or null == "option" && isSettings (settingsIn below.${one})
      ) holders;
      # An instance without `enable` is there.
      enabled =
        holder: attrNames (lib.filterAttrs (_: one: one.enable or true) config.services.${name}.${holder});
      path =
        below:
        [
          "services"
          name
        ]
        ++ below;
    in
    # An option with this name is no set of options.
    if below._type or null == "option" || builtins.intersectAttrs known below == { } then
      [ ]
    else
      map (one: [ (path [ one ]) ]) plain
      ++ filter (paths: paths != [ ]) (
        map (
          holder:
          map (
            one:
            path [
              holder
              one
              "settings"
            ]
          ) (enabled holder)
        ) several
      );

  # The option `settings` within the values of an option that are sets of options, or nothing.
  settingsIn =
    holder:
    let
      element = holder.type.nestedTypes.elemType or null;
    in
    if holder.type.name == "attrsOf" && element.name or null == "submodule" then
      (element.getSubOptions holder.loc).settings or { }
    else
      { };

  # The services that are enabled and have settings, but for those of the names given, with the reason why they can't
  # change, where the options themselves show one. What the services' modules are made of decides their `enable` anyway, so
  # asking for it costs little; no value and no unit is looked at.
  others =
    names:
    let
      isPlain = option: option._type or null == "option" && option.visible or true != false;
      isOn =
        name:
        let
          below = options.services.${name};
        in
        below._type or null != "option"
        && isPlain (below.enable or { })
        && candidates name != [ ]
        && (builtins.tryEval (below.enable.value == true)).value;
      describe =
        name:
        let
          paths = lib.head (candidates name);
          path = lib.head paths;
          option = optionBelow path;
        in
        {
          options = map lib.showOption paths;
          problem =
            if option ? apply then
              "${lib.showOption path} goes through a function (apply) of its module, which can't run on the machine"
            else if option.readOnly or false then
              "${lib.showOption path} is read-only"
            else
              null;
        };
    in
    genAttrs (filter isOn (lib.subtractLists names (attrNames (options.services or { })))) describe;

  settingsOf =
    name:
    let
      found = candidates name;
      names = map (one: "services.${name}.${one}") (lib.take 3 usual);
    in
    if found == [ ] then
      throw "dynamicism.for.${name}.options: there is no option ${lib.concatStringsSep ", " names} with settings; set options to the option that the service's configuration file is made of"
    else
      lib.head found;

  # The option at a path, or null: one of the configuration, or one within the values of an option that are sets of options
  # themselves (`services.frp.instances.server.settings`).
  optionBelow =
    path:
    let
      # What is within the value of an option goes through that one's function as well.
      through =
        option: found:
        if found == null || found ? apply || !(option ? apply) then
          found
        else
          found // { inherit (option) apply; };
      within =
        type: left:
        if left == [ ] then
          { inherit type; }
        else if
          elem type.name [
            "attrsOf"
            "lazyAttrsOf"
          ]
        then
          within type.nestedTypes.elemType (lib.tail left)
        else if type.name == "nullOr" then
          within type.nestedTypes.elemType left
        # The one of two types that has such names.
        else if type.name == "either" then
          let
            found = within type.nestedTypes.left left;
          in
          if found != null then found else within type.nestedTypes.right left
        else if type.name == "submodule" then
          down (type.getSubOptions path) left
        else
          null;
      down =
        tree: left:
        if tree._type or null == "option" then
          if left == [ ] then tree else through tree (within tree.type left)
        else if left == [ ] then
          tree
        else if tree ? ${lib.head left} then
          down tree.${lib.head left} (lib.tail left)
        else
          null;
      found = down options path;
      # What is within a value has no option of its own: its type is the options', its value the configuration's.
      outer = lib.findFirst (
        length:
        let
          above = lib.attrByPath (lib.take length path) { } options;
        in
        above._type or null == "option"
      ) null (lib.range 1 (lib.length path));
      holder = lib.getAttrFromPath (lib.take outer path) options;
    in
    if found == null || outer == null || outer == lib.length path then
      found
    else if found ? type && lib.hasAttrByPath path config then
      found
      // {
        _type = "option";
        loc = path;
        value = lib.getAttrFromPath path config;
        files = holder.files or [ ];
        inherit (holder) declarations;
        definitionsWithLocations = [ ];
      }
    else
      null;

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
      # What the file is made of; with null each option is one.
      value ? null,
      # Parameters of its format.
      parameters ? { },
      # What is around it in the file; null for nothing.
      around ? null,
      # Whether a command with the prefix `+` only passes its path on.
      passedOn ? false,
    }:
    let
      declarations = lib.unique (concatMap (option: option.declarations) from);
      etc = filter (file: config.environment.etc.${file}.enable or false) (
        definedIn declarations options.environment.etc
      );
      # A service that only the users' managers have.
      userUnits = filter (unit: (unitOf unit).enable or false) (
        map (unit: "user/${unit}.service") (definedIn declarations (options.systemd.user.services or { }))
      );
      ofSystem = unitsOf name declarations;
      looked =
        if units != null then
          units
        else if ofSystem == [ ] then
          userUnits
        else
          ofSystem;
      text =
        unit:
        let
          found = unitOf unit;
        in
        if found == null then
          throw "dynamicism.for.${name}.units: there is no unit ${unit}"
        else
          (startable name unit found).text;
    in
    {
      store = builtins.storeDir;
      type = (lib.head from).type.description or "";
      units =
        if looked == [ ] then
          throw "dynamicism.for.${name}: the configuration has no unit that ${lib.concatStringsSep ", " declarations} defines, nor ${name}.service; enable the service, or set units to those that read its file"
        else
          genAttrs looked text;
      etc = genAttrs etc (file: {
        inherit (config.environment.etc.${file}) mode target;
        source = "${config.environment.etc.${file}.source}";
      });
    }
    // lib.optionalAttrs (value != null) { inherit value; }
    // lib.optionalAttrs (parameters != { }) { inherit parameters; }
    // lib.optionalAttrs (around != null) { inherit around; }
    // lib.optionalAttrs passedOn { inherit passedOn; };
}
