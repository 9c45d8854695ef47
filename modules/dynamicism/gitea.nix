# Gitea: lines of other options come before the settings, and `extraConfig` after them.
{ dynamicism.shipped.gitea.around = { }; }
