# Of nixos/lib/utils.nix, what an old nixpkgs does not have yet, with today's results: how arguments are escaped for systemd,
# and the shell that replaces `{ _secret = FILE; }` in settings while a service starts.
{ lib, pkgs }:
rec {
  escapeSystemdExecArg =
    arg:
    lib.replaceStrings [ "%" "$" ] [ "%%" "$$" ] (
      builtins.toJSON (if lib.isPath arg then "${arg}" else toString arg)
    );
  escapeSystemdExecArgs = lib.concatMapStringsSep " " escapeSystemdExecArg;

  genJqSecretsReplacement =
    {
      attr ? "_secret",
      loadCredential ? false,
    }:
    set: output:
    let
      secretsIn =
        path: value:
        if lib.isAttrs value && value ? ${attr} then
          [
            {
              inherit path;
              file = value.${attr};
            }
          ]
        else if lib.isAttrs value then
          lib.concatLists (lib.mapAttrsToList (name: secretsIn (path ++ [ name ])) value)
        else if lib.isList value then
          lib.concatLists (lib.imap0 (index: secretsIn (path ++ [ index ])) value)
        else
          [ ];
      secrets = lib.imap0 (index: secret: secret // { index = toString (index + 1); }) (
        secretsIn [ ] set
      );
      file =
        secret: if loadCredential then "$CREDENTIALS_DIRECTORY/secret-${secret.index}" else secret.file;
      places = map (
        secret: "getpath(${builtins.toJSON secret.path}) = $ENV.secret${secret.index}"
      ) secrets;
    in
    {
      credentials = lib.optionals loadCredential (
        map (secret: "secret-${secret.index}:${secret.file}") secrets
      );
      script = ''
        umask 0177
        ${lib.concatMapStringsSep "\n" (secret: ''
          secret${secret.index}=$(<'${file secret}')
          export secret${secret.index}
        '') secrets}
        ${pkgs.jq}/bin/jq >'${output}' '${
          if places == [ ] then "." else lib.concatStringsSep " | " places
        }' <<'EOF'
        ${builtins.toJSON set}
        EOF
      '';
    };
  genJqSecretsReplacementSnippet = set: output: (genJqSecretsReplacement { } set output).script;
}
