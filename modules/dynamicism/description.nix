# The description: what the modules say, as one JSON value (docs/description.md).
#
# Takes the evaluated configuration and options, gives the description and what could not be said in it. Of a unit only
# its own text is read: the stubs are drop-ins of a package, so nothing here waits for them.
{
  lib,
  config,
  options,
}:
let
  inherit (lib) mapAttrs showOption;
  cfg = config.dynamicism;
  schema = import ./schema.nix { inherit lib; };
  inherit (import ./mk-dynamic.nix) marks;

  isPrefix = prefix: path: lib.take (lib.length prefix) path == prefix;

  # A source file as people know it: without the store path of a flake or channel.
  sourceFile =
    file:
    let
      text = builtins.unsafeDiscardStringContext (toString file);
      inStore = builtins.match "${lib.escapeRegex builtins.storeDir}/[^/]+/(.*)" text;
    in
    if inStore == null then text else lib.head inStore;

  # The one store path NAME that the texts of units name, with the context that it has there.
  namedByUnits =
    place: name: units:
    let
      pattern = "(${lib.escapeRegex builtins.storeDir}/[0-9a-z]{32}-${lib.escapeRegex name})";
      find =
        unit:
        let
          text =
            (config.systemd.units.${unit}
              or (throw "${place}: there is no unit ${unit}; set units to the units that read the file")
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
      static = if file.static == null then namedByUnits place name units else "${file.static}";
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
          { inherit (file.attach) environment; }
        else
          { bind = if file.attach.bind == null then static else file.attach.bind; };
    }
    // lib.optionalAttrs (file.units != null) { inherit (file) units; };

  # Paths (full ones) below an option, relative to it.
  relative = path: map (lib.drop (lib.length path));

  describeOption =
    service: path:
    let
      place = "dynamicism.for.${service.name}.options";
      option = lib.attrByPath path (throw "${place}: there is no option ${showOption path}") options;
      ofType = schema.toSchema path option.type;
      static = option.value;
      pins = lib.filter (pin: isPrefix path pin.path) service.value.pinned;
      pin =
        { path, reason, ... }:
        lib.foldr
          (name: schema: {
            properties.${name} = schema;
            required = [ name ];
          })
          {
            const = lib.getAttrFromPath path static;
            description = reason;
          }
          path;
      # The rules of pins are beside the type's: definitions stay where references expect them.
      pinned =
        if pins == [ ] then
          ofType.schema
        else
          {
            allOf = [
              (removeAttrs ofType.schema [ "$defs" ])
            ]
            ++ map (one: pin (one // { path = lib.drop (lib.length path) one.path; })) pins;
          }
          // lib.optionalAttrs (ofType.schema ? "$defs") { inherit (ofType.schema) "$defs"; };
    in
    if option._type or null != "option" then
      throw "${place}: ${showOption path} is a set of options; name each of them"
    else
      {
        inherit (ofType) notes;
        description = {
          inherit static;
          schema = pinned;
          dynamic =
            if service.allowed == null then
              null
            else
              relative path (lib.filter (isPrefix path) service.allowed);
          definedIn = lib.remove "<unknown-file>" (lib.unique (map sourceFile option.files));
        };
      };

  # The paths that may change: those that are named, else those that are marked, else all of them (null).
  allowed =
    service:
    let
      marked = lib.concatMap (
        path: map (below: path ++ below) (marks (lib.getAttrFromPath path options))
      ) service.options;
    in
    if service.dynamic != null then
      service.dynamic
    else if marked == [ ] then
      null
    else
      marked;

  describeService =
    name: value:
    let
      service = {
        inherit name value;
        allowed = allowed value;
      };
      described = map (
        path: lib.nameValuePair (showOption path) (describeOption service path)
      ) value.options;
    in
    {
      notes = lib.concatMap (one: one.value.notes) described;
      description = {
        options = lib.listToAttrs (map (one: lib.nameValuePair one.name one.value.description) described);
        files = mapAttrs (describeFile service) value.files;
        inherit (value) dropIns check health;
        units = mapAttrs (_: lib.filterAttrs (_: value: value != null)) value.units;
      };
    };

  services = mapAttrs describeService (lib.filterAttrs (_: service: service.enable) cfg.for);
in
{
  description = {
    version = 1;
    inherit (cfg)
      onSwitch
      overridesFile
      keep
      evaluator
      ;
    services = mapAttrs (_: service: service.description) services;
  };
  # What the schemas don't say, by option path.
  unchecked = lib.concatMap (service: service.notes) (lib.attrValues services);
}
