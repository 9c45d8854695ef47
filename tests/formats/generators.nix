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
map (case: write.${case.format} case.parameters case.input) (
  builtins.fromJSON (builtins.readFile cases)
)
