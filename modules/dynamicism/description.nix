# The description: what the modules say, as one JSON value (docs/description.md).
#
# Takes the evaluated configuration and options, gives the description and what could not be said in it. Of a unit only
# its own text is read: the stubs are drop-ins of a package, so nothing here waits for them.
{
  lib,
  config,
  options,
  # Where nixpkgs is, to name its modules as they are named there.
  nixpkgs,
}:
let
  inherit (lib) mapAttrs showOption;
  cfg = config.dynamicism;
  schemaOf =
    narrowed:
    import ./schema.nix {
      inherit lib narrowed;
      defaults = true;
    };
  inherit (import ./mk-dynamic.nix) marks;
  inherit (import ./find.nix { inherit lib config options; })
    settingsOf
    others
    find
    optionBelow
    unitOf
    startable
    templateOf
    ;

  # The services, each with its options: the usual one where none are named.
  enabled = mapAttrs (
    name: service:
    service
    // {
      options = if service.options == [ ] then settingsOf name else service.options;
    }
  ) (lib.filterAttrs (_: service: service.enable) cfg.for);

  isPrefix = prefix: path: lib.take (lib.length prefix) path == prefix;

  # A source file as people know it: without the store path of a flake or channel, or the place of nixpkgs. Of other files
  # only the name: the system is the same wherever its configuration lies.
  sourceFile =
    file:
    let
      text = lib.removePrefix "${toString nixpkgs}/" (
        builtins.unsafeDiscardStringContext (toString file)
      );
      inStore = builtins.match "${lib.escapeRegex builtins.storeDir}/[^/]+/(.*)" text;
    in
    if inStore != null then
      lib.head inStore
    else if lib.hasPrefix "/" text then
      baseNameOf text
    else
      text;

  appliedBelow = import ./applied.nix { inherit lib; };

  documentationOf = import ./documentation.nix { inherit lib sourceFile; };

  # The one store path NAME that the texts of units name, with the context that it has there.
  namedByUnits =
    place: name: units:
    let
      pattern = "(${lib.escapeRegex builtins.storeDir}/[0-9a-z]{32}-${lib.escapeRegex name})";
      find =
        unit:
        let
          text =
            (
              let
                found = unitOf unit;
              in
              if found == null then
                throw "${place}: there is no unit ${unit}; enable the service, or set units to those that read the file"
              else
                found
            ).text;
          context = lib.filterAttrs (
            key: _: lib.hasSuffix "-${name}" key || lib.hasSuffix "-${name}.drv" key
          ) (builtins.getContext text);
          paths = lib.filter lib.isList (builtins.split pattern (builtins.unsafeDiscardStringContext text));
        in
        map (path: builtins.appendContext (lib.head path) context) paths;
      found = lib.unique (lib.concatMap find units);
    in
    if lib.length found == 1 then
      lib.head found
    else if found == [ ] then
      throw "${place}.static: ${lib.concatStringsSep ", " units} names no ${builtins.storeDir}/...-${name}; name the file as Nix names it, or set static to what Nix generated"
    else
      throw "${place}.static: ${lib.concatStringsSep ", " units} names several of that name (${lib.concatStringsSep ", " found}); set static to what Nix generated";

  describeFile =
    service: name: file:
    let
      place = "dynamicism.for.${service.name}.files.${lib.strings.escapeNixIdentifier name}";
      units = if file.units == null then lib.attrNames service.value.units else file.units;
      static =
        if file.static != null then
          "${file.static}"
        else if file.attach.variables != null then
          "/etc/systemd/system/${lib.head units}"
        else if file.attach.etc != null then
          "${(etcEntry place file.attach.etc).source}"
        else
          namedByUnits place name units;
      onlyOption =
        if lib.length service.value.options == 1 then
          { option = showOption (lib.head service.value.options); }
        else
          throw "${place}.value: ${service.name} has ${toString (lib.length service.value.options)} options; say which of them the file is made of";
    in
    {
      inherit (file) mode owner group;
      inherit static;
      format = lib.filterAttrs (_: value: value != null) file.format;
      value = if file.value == null then onlyOption else file.value;
      attach =
        if file.attach.environment != null then
          {
            environment = removeAttrs file.attach.environment (
              lib.optional (file.attach.environment.built == null) "built"
            );
          }
        else if file.attach.variables != null then
          {
            variables = {
              built = file.attach.variables;
              files = lib.filterAttrs (_: own: own.above != [ ]) (
                lib.genAttrs units (unit: {
                  below = [ ];
                  above = environmentFiles "${place}.attach.variables" unit;
                })
              );
            };
          }
        else if file.attach.etc != null then
          { etc = "/etc/${(etcEntry place file.attach.etc).target}"; }
        else
          { bind = if file.attach.bind == null then static else file.attach.bind; };
    }
    // lib.optionalAttrs (file.around != null) { inherit (file) around; }
    // lib.optionalAttrs (file.units != null) { inherit (file) units; };

  # The files of variables that a service has itself.
  environmentFiles =
    place: unit:
    let
      service = config.systemd.services.${lib.removeSuffix ".service" (templateOf unit)} or { };
      files = map toString (lib.toList (service.serviceConfig.EnvironmentFile or [ ]));
    in
    if lib.any (lib.hasInfix "%") files then
      throw "${place}: an EnvironmentFile= of ${unit} has a specifier of systemd, and only the path itself can be kept on top"
    else
      files;

  # The entry of a file under /etc that is a link which can be swapped: one that NixOS makes in an /etc that is no overlay.
  etcEntry =
    place: path:
    let
      named = lib.filter (one: (one.enable or true) && "/etc/${one.target}" == path) (
        lib.attrValues config.environment.etc
      );
    in
    if config.system.etc.overlay.enable or false then
      throw "${place}.attach.etc: with system.etc.overlay.enable, ${path} is no link that could lead elsewhere; use attach.bind"
    else if named == [ ] then
      throw "${place}.attach.etc: environment.etc has no ${path}"
    else if
      !(lib.elem (lib.head named).mode [
        "symlink"
        "direct-symlink"
      ])
    then
      throw "${place}.attach.etc: ${path} has a mode of its own (environment.etc), so it is a copy and no link; use attach.bind"
    else
      lib.head named;

  # A renamed option is an alias of another (lib.modules, doRename); what it stands for is read, without the trace that
  # reading the alias gives.
  unaliased =
    option:
    let
      description = option.description.text or option.description or "";
      prefix = "Alias of {option}`";
      isAlias =
        option.visible or true == false && lib.isString description && lib.hasPrefix prefix description;
      path = lib.splitString "." (lib.removeSuffix "`." (lib.removePrefix prefix description));
    in
    if isAlias && lib.hasAttrByPath path options then lib.getAttrFromPath path options else option;

  # Paths (full ones) below an option, relative to it.
  relative = path: map (lib.drop (lib.length path));

  # A rule for what is at a path (names), with more for each set on the way.
  at = more: rule: lib.foldr (name: rule: { properties.${name} = rule; } // more name) rule;

  optionAt =
    service: path:
    unaliased (
      let
        option = optionBelow path;
      in
      if option == null then
        throw "dynamicism.for.${service}.options: there is no option ${showOption path}"
      else
        option
    );

  describeOption =
    service: path:
    let
      place = "dynamicism.for.${service.name}.options";
      option = optionAt service.name path;
      schema = schemaOf (map (one: one.path) service.value.narrowed);
      ofType = schema.toSchema path option.type;
      # What overrides are put on top of is what goes into the function, not what comes out of it.
      static =
        if option ? apply && option.definitionsWithLocations != [ ] then
          (lib.modules.mergeDefinitions path option.type option.definitionsWithLocations).mergedValue
        else
          option.value;
      # Those that may change, or that something may change below.
      twice = lib.filter (
        one:
        service.allowed == null
        || lib.any (allowed: isPrefix allowed one || isPrefix one allowed) service.allowed
      ) (appliedBelow path option.type static);
      secret = relative path (lib.filter (isPrefix path) service.value.secret);
      below = lib.filter (one: isPrefix path one.path);
      names = one: lib.drop (lib.length path) one.path;
      narrower = map (one: {
        inherit (one) path;
        inherit ((schemaOf [ ]).toSchema one.path one.type) schema;
      }) (below service.value.narrowed);
      narrow = one: at (_: { }) (removeAttrs one.schema [ "$defs" ]) (names one);
      definitions = lib.foldl' (all: schema: all // schema."$defs" or { }) { } (
        [ ofType.schema ] ++ map (one: one.schema) narrower
      );
      pin =
        one:
        if lib.hasAttrByPath (names one) static then
          at (name: { required = [ name ]; }) {
            const = lib.getAttrFromPath (names one) static;
            description = one.reason;
          } (names one)
        else
          at (_: { }) false (names one);
      rules = map narrow narrower ++ map pin (below service.value.pinned);
      # Further rules are beside the type's: definitions stay where references expect them.
      ruled =
        if rules == [ ] then
          ofType.schema
        else
          {
            allOf = [ (removeAttrs ofType.schema [ "$defs" ]) ] ++ rules;
          }
          // lib.optionalAttrs (definitions != { }) { "$defs" = definitions; };
    in
    if option._type or null != "option" then
      throw "${place}: ${showOption path} is a set of options; name each of them"
    else if option ? apply && !lib.elem path service.value.applied then
      throw "${place}: ${showOption path} goes through a function (apply) of its module, which can't run on the machine"
    else if option.readOnly or false then
      throw "${place}: ${showOption path} is read-only"
    else if twice != [ ] then
      throw "${place}: ${showOption (lib.head twice)} goes through a function (apply) of its module, which gives another value if its result goes in, so a rebuild would change what is recorded; name the paths beside it in dynamic"
    else
      {
        inherit (ofType) notes;
        description = {
          inherit static;
          schema = ruled // schema.defaultOf option;
          dynamic =
            if service.allowed == null then
              null
            else
              relative path (lib.filter (isPrefix path) service.allowed);
          definedIn = lib.remove "<unknown-file>" (lib.unique (map sourceFile option.files));
        }
        // lib.optionalAttrs (secret != [ ]) { inherit secret; };
      };

  # The paths that may change: those that are named, else those that are marked, else all of them (null).
  allowed =
    name: service:
    let
      marked = lib.concatMap (
        path: map (below: path ++ below) (marks (optionAt name path))
      ) service.options;
    in
    if service.dynamic != null then
      service.dynamic
    else if marked == [ ] then
      null
    else
      marked;

  # What a unit says, for the build to see what it can't be made to do; without its context, for nothing is built of it.
  # Null where another package says it all.
  unitText =
    service: name:
    let
      unit = unitOf name;
    in
    if unit == null then
      null
    else
      builtins.unsafeDiscardStringContext (startable service name unit).text;

  # The drop-ins, and one for each unit that some values restart although others only reload it: a drop-in that changes
  # is read by a restart. The values stand in comments.
  dropInsOf =
    value:
    let
      marked = lib.filterAttrs (_: unit: unit.restartFor != [ ]) value.units;
      line =
        path:
        let
          value = templatePath path;
        in
        "# Restart={% if ${value} is none %}null{% else %}{{ ${value} | default(\"\") }}{% endif %}";
      restarts = mapAttrs (
        _: unit: "[Unit]\n" + lib.concatMapStrings (path: "${line path}\n") unit.restartFor
      ) marked;
    in
    lib.zipAttrsWith (_: lib.concatStringsSep "\n") [
      value.dropIns
      restarts
    ];

  # A path in a template: names that are no plain names are in brackets.
  templatePath =
    path:
    lib.concatStrings (
      lib.imap0 (
        index: name:
        if builtins.match "[A-Za-z_][A-Za-z0-9_]*" name == null then
          "[${builtins.toJSON name}]"
        else if index == 0 then
          name
        else
          ".${name}"
      ) path
    );

  describeService =
    name: value:
    let
      service = {
        inherit name value;
        allowed = allowed name value;
      };
      described = map (
        path: lib.nameValuePair (showOption path) (describeOption service path)
      ) value.options;
      documented = map (
        path: lib.nameValuePair (showOption path) (documentationOf (optionAt name path))
      ) value.options;
      # What the module system calls them, not an alias.
      from = map (optionAt name) value.options;
      # Where no file is described, the build finds it.
      isFound =
        if value.files != { } && value.value != null then
          throw "dynamicism.for.${name}.value: it is for a file that is looked for, and files are given; say it in files.<name>.value"
        else if value.files != { } && value.parameters != { } then
          throw "dynamicism.for.${name}.parameters: they are for a file that is looked for, and files are given; say them in files.<name>.format.parameters"
        else
          value.files == { };
      # A name that nobody has is left for `dynix generate` to refuse.
      after = lib.filter (other: cfg.for.${other}.enable or (!(cfg.shipped ? ${other}))) value.after;
    in
    {
      notes = lib.concatMap (one: one.value.notes) described;
      documentation = lib.listToAttrs documented;
      description = {
        options = lib.listToAttrs (map (one: lib.nameValuePair one.name one.value.description) described);
        files = mapAttrs (describeFile service) value.files;
        inherit (value) health;
        dropIns = dropInsOf value;
        check =
          if value.check == null || value.check.onTrial then
            value.check
          else
            removeAttrs value.check [ "onTrial" ];
        units = mapAttrs (
          unit: said:
          lib.filterAttrs (_: value: value != null && value != false) (removeAttrs said [ "restartFor" ])
          // lib.optionalAttrs (!isFound && unitText name unit != null) { text = unitText name unit; }
        ) value.units;
      }
      // lib.optionalAttrs (value.exempt != [ ]) { inherit (value) exempt; }
      // lib.optionalAttrs (after != [ ]) { inherit after; }
      // lib.optionalAttrs (value.watch != null) { inherit (value) watch; }
      // lib.optionalAttrs isFound {
        find = find {
          inherit name from;
          inherit (value)
            value
            parameters
            around
            passedOn
            ;
          units = if value.units == { } then null else lib.attrNames value.units;
        };
      };
    };

  services = mapAttrs describeService enabled;
in
{
  description = {
    version = 1;
    inherit (cfg)
      onSwitch
      overridesFile
      keep
      verify
      watch
      ;
    evaluator =
      if cfg.evaluator == null then
        null
      else
        cfg.evaluator
        // lib.optionalAttrs cfg.warmEvaluator.enable { warm = cfg.warmEvaluator.description; };
    services = mapAttrs (_: service: service.description) services;
    candidates = others (lib.attrNames enabled);
    documentation = lib.foldl' (all: service: all // service.documentation) { } (
      lib.attrValues services
    );
  }
  // lib.optionalAttrs (cfg.options != [ ]) {
    inherit (cfg) options;
  }
  // lib.optionalAttrs (cfg.sources != { }) {
    sources =
      let
        inherit (import ./layers.nix { inherit lib; } cfg.sources) below above;
        of =
          overHost:
          map (name: {
            inherit name overHost;
          });
      in
      of false below ++ of true above;
  }
  // lib.optionalAttrs (cfg.metrics.textfile != null) {
    metrics = { inherit (cfg.metrics) textfile; };
  }
  // lib.optionalAttrs cfg.daemon.enable {
    daemon = {
      inherit (cfg.daemon)
        allow
        window
        idle
        connectionsPerUser
        ;
    };
  };
  # The options themselves, by service.
  dynamicOptions = mapAttrs (
    name: service:
    map (path: {
      inherit (optionAt name path) loc type value;
    }) service.options
  ) enabled;
  # What the schemas don't say, by option path.
  unchecked = lib.concatMap (service: service.notes) (lib.attrValues services);
}
