# harmonia: a TOML file, named by an environment variable.
#
# Where nixpkgs has moved the option to services.harmonia.cache.settings, the old name is an alias of it.
{
  dynamicism.for.harmonia = {
    options = [ "services.harmonia.settings" ];
    files."harmonia.toml" = { };
    units."harmonia.service" = { };
  };
}
