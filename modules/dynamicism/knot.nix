# Knot: an empty line, or includes, come before the settings.
{
  dynamicism.shipped.knot = {
    options = [ "services.knot.settings" ];
    files."knot.conf" = {
      format = "knotConf";
      around = { };
    };
    units."knot.service" = { };
  };
}
