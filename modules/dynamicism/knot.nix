# Knot: an empty line, or includes, come before the settings.
{
  dynamicism.for.knot = {
    options = [ "services.knot.settings" ];
    files."knot.conf" = {
      format = "knotConf";
      around = { };
    };
    units."knot.service" = { };
  };
}
