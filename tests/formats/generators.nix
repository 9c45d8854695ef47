# What lib.generators and builtins.toJSON write for the cases in a file, as a JSON list of strings.
# The conventions that the native serialisers take as named parameters are passed as the functions that modules pass.
{ lib, cases }:
let
  inherit (lib)
    escape
    generators
    isList
    isString
    mapAttrs
    optionalAttrs
    splitString
    elemAt
    ;

  # The functions for one case's parameters.
  arguments =
    parameters:
    let
      separator = parameters.separator or "=";
      # Of a list that is one value, elements have no key.
      booleans = splitString "/" (
        if parameters.booleans or "" == "key/comment" then
          "true/false"
        else
          parameters.booleans or "true/false"
      );
      nulls = parameters.nulls or "null";
      strings = parameters.strings or "plain";
      quote = {
        plain = text: text;
        double-quoted = text: "\"${text}\"";
        single-quoted = text: "'${text}'";
        json = builtins.toJSON;
        shell = lib.escapeShellArg;
      };
      mkValueString =
        value:
        if value == true then
          elemAt booleans 0
        else if value == false then
          elemAt booleans 1
        else if value == null then
          (if nulls == "null" then "null" else "")
        else if isString value then
          quote.${strings} value
        else if builtins.isFloat value && parameters.floats or "fixed" == "json" then
          builtins.toJSON value
        else
          generators.mkValueStringDefault { } value;
      key = name: if parameters.escapeKeys or true then escape [ separator ] name else name;
    in
    {
      mkKeyValue =
        name: value:
        if nulls == "comment" && value == null then
          "# ${name} is unset"
        else if parameters.booleans or "" == "key/comment" && lib.isBool value then
          if value then name else "# setting `${name}` explicitly set to false"
        else
          "${key name}${separator}${mkValueString value}";
      listToValue =
        elements:
        lib.concatMapStringsSep parameters.listToValue (
          element: if isString element then element else mkValueString element
        ) elements;
    };

  joinLists =
    parameters: attrs:
    if parameters.listToValue or null == null then
      attrs
    else
      mapAttrs (_: value: if isList value then (arguments parameters).listToValue value else value) attrs;

  dropNulls =
    parameters: attrs:
    if parameters.nulls or "null" == "omit" then
      lib.filterAttrs (_: value: value != null) attrs
    else
      attrs;

  section = parameters: attrs: dropNulls parameters (joinLists parameters attrs);

  common = parameters: {
    inherit (arguments parameters) mkKeyValue;
    listsAsDuplicateKeys = parameters.listsAsDuplicateKeys or false;
  };

  ini =
    parameters:
    common parameters
    // optionalAttrs (parameters.sectionNames or "escaped" == "plain") { mkSectionName = name: name; };

  # As in pkgs/pkgs-lib/formats/systemd/default.nix.
  systemd = {
    listsAsDuplicateKeys = true;
    mkKeyValue =
      name: value:
      if value == null then
        "# ${name} is unset"
      else
        "${name} = ${generators.mkValueStringDefault { } value}";
  };

  write = {
    ini = parameters: value: generators.toINI (ini parameters) (mapAttrs (_: section parameters) value);
    iniWithGlobalSection =
      parameters: value:
      generators.toINIWithGlobalSection (ini parameters) {
        globalSection = section parameters value.globalSection;
        sections = mapAttrs (_: section parameters) value.sections;
      };
    keyValue =
      parameters: value:
      generators.toKeyValue (common parameters // { indent = parameters.indent or ""; }) (
        section parameters value
      );
    systemd = _: generators.toINI systemd;
    json = _: builtins.toJSON;
    gitIni = _: generators.toGitINI;
    plist = parameters: generators.toPlist { escape = parameters.escape or true; };
    lua = parameters: generators.toLua parameters;
    # The rest is not in lib: pkgs/pkgs-lib/formats, without the derivations around the text.
    hcl1 = _: value: builtins.toJSON (mapAttrs (_: block) value);
    php =
      parameters: value:
      let
        result = "${php value};\n";
        variable = parameters.finalVariable or null;
      in
      "<?php\ndeclare(strict_types=1);\n"
      + (if variable == null then "return ${result}" else "\$${variable} = ${result}");
    nixConf =
      parameters: value:
      let
        text =
          value:
          if value == null then
            ""
          else if isList value then
            toString (lib.unique value)
          else
            generators.mkValueStringDefault { } value;
        part =
          extra:
          lib.concatStringsSep "\n" (
            lib.mapAttrsToList (name: value: "${escape [ "=" ] name} = ${text value}") (
              lib.filterAttrs (name: _: lib.hasPrefix "extra-" name == extra) value
            )
          );
      in
      ''
        # WARNING: this file is generated from the nix.* options in
        # your NixOS configuration, typically
        # /etc/nixos/configuration.nix.  Do not edit it!
        ${part false}
        ${part true}
        ${parameters.extraOptions or ""}
      '';
  };

  isSet = value: builtins.isAttrs value;
  notNull = lib.filterAttrs (_: value: value != null);
  lines = lib.concatStringsSep "\n";
  yesNo = truth: if truth then "yes" else "no";

  # As the modules of these services write them (nixos/modules/services of nixpkgs), without the lines that they add.
  modules = {
    # networking/ssh/sshd.nix
    sshdConf =
      value:
      generators.toKeyValue
        {
          mkKeyValue = generators.mkKeyValueDefault {
            mkValueString =
              value:
              if lib.isInt value then
                toString value
              else if isString value then
                value
              else if lib.isBool value then
                yesNo value
              else
                throw "unsupported type";
          } " ";
        }
        (
          mapAttrs (
            name: value:
            if !isList value then
              value
            else if
              lib.elem name [
                "Ciphers"
                "KexAlgorithms"
                "Macs"
              ]
            then
              lib.concatStringsSep "," value
            else if
              lib.elem name [
                "AuthorizedKeysFile"
                "AllowGroups"
                "AllowUsers"
                "DenyGroups"
                "DenyUsers"
              ]
            then
              lib.concatStringsSep " " value
            else
              throw "list value for unknown key"
          ) (notNull value)
        );
    # databases/postgresql.nix
    postgresqlConf =
      value:
      lines (
        lib.mapAttrsToList (
          name: value:
          "${name} = ${
            if lib.isBool value then
              yesNo value
            else if isString value then
              "'${lib.replaceStrings [ "'" ] [ "''" ] value}'"
            else
              toString value
          }"
        ) (notNull value)
      );
    # mail/postfix.nix
    postfixConf =
      value:
      lines (
        lib.mapAttrsToList (
          name: value:
          "${lib.replaceStrings [ "$" ] [ "$$" ] name} =${
            if isList value then
              "\n  " + lib.concatStringsSep ",\n  " value
            else
              " " + (if lib.isBool value then yesNo value else toString value)
          }"
        ) (notNull value)
      )
      + "\n";
    # networking/unbound.nix
    unboundConf =
      dialect: value:
      let
        one =
          indent: name: value:
          if builtins.isFloat value then
            "${indent}${name}: ${builtins.toJSON value}"
          else if lib.isInt value then
            "${indent}${name}: ${toString value}"
          else if lib.isBool value then
            "${indent}${name}: ${yesNo value}"
          else if isString value then
            "${indent}${name}: ${value}"
          else if isList value then
            lib.concatMapStringsSep "\n" (one indent name) value
          else if isSet value then
            lines ([ "${indent}${name}:" ] ++ lib.mapAttrsToList (one "${indent}  ") value)
          else
            throw "unexpected type";
        tag = if value.server.define-tag != "" then "  define-tag: ${value.server.define-tag}" else "";
        hasTag = dialect == "define-tag";
      in
      "server:\n"
      + lib.optionalString hasTag "${tag}\n"
      + lines (
        lib.mapAttrsToList (one "  ") (removeAttrs value.server (lib.optional hasTag "define-tag"))
      )
      + "\n"
      + lines (lib.mapAttrsToList (one "") (removeAttrs value [ "server" ]) ++ [ "" ])
      + "\n";
    # mail/dovecot.nix
    dovecotConf =
      value:
      let
        versions = [
          "dovecot_config_version"
          "dovecot_storage_version"
        ];
        titleOf =
          name: set:
          if set ? _section then
            lib.concatStringsSep " " (
              lib.filter (part: part != null) [
                set._section.type
                set._section.name
              ]
            )
          else
            name;
        one =
          indent: name: value:
          if value == null then
            ""
          else if lib.isInt value then
            "${indent}${name} = ${toString value}"
          else if lib.isBool value then
            "${indent}${name} = ${yesNo value}"
          else if isString value then
            "${indent}${name} = ${value}"
          else if isList value then
            if lib.all isString value then
              "${indent}${name} = ${lib.concatStringsSep " " value}"
            else if indent == "" then
              map (one indent name) value
            else
              throw "a list has no text"
          else if isSet value then
            lines (
              [ "${indent}${titleOf name value} {" ]
              ++ lib.mapAttrsToList (one "${indent}  ") (removeAttrs value [ "_section" ])
              ++ [ "${indent}}" ]
            )
          else
            throw "unexpected type";
      in
      lines (
        map (name: one "" name value.${name}) (lib.filter (name: value.${name} or null != null) versions)
        ++ lib.flatten (lib.mapAttrsToList (one "") (removeAttrs value versions))
      );
    # networking/knot.nix
    knotConf =
      value:
      let
        quoted = value: "\"${toString value}\"";
        text =
          indent: value:
          if isSet value then
            lib.concatStringsSep "\n${indent}" (
              lib.mapAttrsToList (
                name: value: "${name}:${if isSet value then "\n${indent}  " else " "}${text "${indent}  " value}"
              ) value
            )
            + "\n"
          else if isList value then
            "[ ${lib.concatMapStringsSep ", " quoted value} ]"
          else if lib.isBool value then
            (if value then "on" else "off")
          else
            quoted value;
        plain = name: lib.optionalString (value ? ${name}) (text "" { ${name} = value.${name}; });
        item =
          first: id: rest:
          "  - ${text "" { ${first} = id; }}    ${text "    " rest}\n";
        listed =
          first: name:
          lib.optionalString (value ? ${name}) (
            "${name}:\n"
            + (
              if isList value.${name} then
                lib.concatMapStrings (one: item first one.${first} (removeAttrs one [ first ])) value.${name}
              else
                lib.concatStrings (lib.mapAttrsToList (item first) value.${name})
            )
          );
        sections = lib.splitString " " "module server xdp control log statistics database keystore key remote remotes acl submission policy template zone include";
        unknown = lib.filter (name: !(lib.hasPrefix "mod-" name || lib.elem name sections)) (
          builtins.attrNames value
        );
      in
      if unknown != [ ] then
        throw "unknown sections"
      else
        lib.concatStrings (
          [ (listed "id" "module") ]
          ++ map plain [
            "server"
            "xdp"
            "control"
          ]
          ++ [ (listed "target" "log") ]
          ++ map plain [
            "statistics"
            "database"
          ]
          ++ map (listed "id") [
            "keystore"
            "key"
            "remote"
            "remotes"
            "acl"
            "submission"
            "policy"
          ]
          ++ map (listed "id") (lib.filter (lib.hasPrefix "mod-") (builtins.attrNames value))
          ++ [
            (listed "id" "template")
            (listed "domain" "zone")
            (plain "include")
          ]
        );
  };

  writeOfModule = {
    sshdConf = _: modules.sshdConf;
    postgresqlConf = _: modules.postgresqlConf;
    postfixConf = _: modules.postfixConf;
    unboundConf = modules.unboundConf;
    dovecotConf = _: modules.dovecotConf;
    knotConf = _: modules.knotConf;
  };

  block =
    value:
    if builtins.isAttrs value then
      [ (mapAttrs (_: block) value) ]
    else if isList value then
      map block value
    else
      value;

  php =
    value:
    if isString value then
      "'${escape [ "'" "\\" ] value}'"
    else if isList value then
      "[${lib.concatMapStringsSep ", " php value}]"
    else if builtins.isAttrs value then
      "[${
        lib.concatStringsSep ", " (lib.mapAttrsToList (name: value: "${php name} => ${php value}") value)
      }]"
    else
      generators.mkValueStringDefault { } value;
in
map (
  case:
  if writeOfModule ? ${case.format} then
    let
      # What a module refuses has no text.
      tried = builtins.tryEval (writeOfModule.${case.format} (case.dialect or "") case.input);
    in
    if tried.success then tried.value else null
  else
    write.${case.format} case.parameters case.input
) (builtins.fromJSON (builtins.readFile cases))
