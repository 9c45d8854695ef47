# HedgeDoc: the settings of its one environment.
{ dynamicism.for.hedgedoc.value.attrs.production.option = "services.hedgedoc.settings"; }
