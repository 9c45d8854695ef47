# HedgeDoc: the settings of its one environment.
{ dynamicism.shipped.hedgedoc.value.attrs.production.option = "services.hedgedoc.settings"; }
