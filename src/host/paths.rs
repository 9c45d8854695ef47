//! Every path that dynix touches, all derived from one root.

use camino::{Utf8Path, Utf8PathBuf};

use super::home::Home;

/// Files of dynix's own in the directory that the services' directories are in ([`Paths::run`]).
pub const OWN_FILES: [&str; 17] = [
    "dynix.sock",
    "evaluated",
    "evaluated.lock",
    "evaluator",
    "evaluator.sock",
    "key",
    "lock",
    "metrics.json",
    "metrics.lock",
    "prove.lock",
    "state.json",
    "switch.lock",
    "system",
    "uses.json",
    "verdict.json",
    "verify-next.lock",
    "verify.lock",
];

/// The machine's paths below one root (`/` on a live system; another tree with `--root`).
#[derive(Clone, Debug)]
pub struct Paths {
    root: Utf8PathBuf,
    overrides: Utf8PathBuf,
    plan: Utf8PathBuf,
    activated: Option<Utf8PathBuf>,
    home: Option<Home>,
}

impl Paths {
    /// Paths below `root`; `plan` and `overrides` replace the default paths if given (taken as they are, not below
    /// `root`).
    #[must_use]
    pub fn new(root: &Utf8Path, plan: Option<Utf8PathBuf>, overrides: Option<Utf8PathBuf>) -> Self {
        Self {
            overrides: overrides.unwrap_or_else(|| root.join("etc/nixos/dynamic.nix")),
            plan: plan.unwrap_or_else(|| root.join("etc/dynix/plan.json")),
            root: root.to_owned(),
            activated: None,
            home: None,
        }
    }

    /// The paths of a user's own services.
    #[must_use]
    pub fn at_home(home: Home, plan: Option<Utf8PathBuf>, overrides: Option<Utf8PathBuf>) -> Self {
        Self {
            overrides: overrides.unwrap_or_else(|| home.state.join("dynix/dynamic.nix")),
            plan: plan.unwrap_or_else(|| home.config.join("dynix/plan.json")),
            root: "/".into(),
            activated: None,
            home: Some(home),
        }
    }

    /// The places of the user whose services these are, if they are not those of the system.
    #[must_use]
    pub fn home(&self) -> Option<&Home> {
        self.home.as_ref()
    }

    /// A place of a user, or else the one of the system.
    fn place(&self, of_user: impl Fn(&Home) -> Utf8PathBuf, of_system: &str) -> Utf8PathBuf {
        self.home.as_ref().map_or_else(|| self.root.join(of_system), of_user)
    }

    /// The root itself.
    #[must_use]
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// `path` (absolute, as in plans) below the root.
    #[must_use]
    pub fn below_root(&self, path: &Utf8Path) -> Utf8PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The same while `system` is being activated: it is the one that runs as soon as that is done.
    #[must_use]
    pub fn activating(self, system: Option<Utf8PathBuf>) -> Self {
        Self { activated: system, ..self }
    }

    /// The system that is being activated.
    #[must_use]
    pub fn activated(&self) -> Option<&Utf8Path> {
        self.activated.as_deref()
    }

    /// The link to the running system.
    #[must_use]
    pub fn current_system(&self) -> Utf8PathBuf {
        self.root.join("run/current-system")
    }

    /// The compiled plan of the running system.
    #[must_use]
    pub fn plan(&self) -> &Utf8Path {
        &self.plan
    }

    /// The append-only log of overrides.
    #[must_use]
    pub fn overrides(&self) -> &Utf8Path {
        &self.overrides
    }

    /// The directory that relative paths in expressions of the log are below.
    #[must_use]
    pub fn expressions(&self) -> &Utf8Path {
        self.overrides.parent().unwrap_or(Utf8Path::new("/"))
    }

    /// The files of the warm evaluator.
    #[must_use]
    pub fn evaluator(&self) -> Utf8PathBuf {
        self.run().join("evaluator")
    }

    /// The log of overrides where /etc/nixos can't keep one.
    #[must_use]
    pub fn state_log(&self) -> Utf8PathBuf {
        self.place(|home| home.state.join("dynix/dynamic.nix"), "var/lib/dynix/dynamic.nix")
    }

    /// Disposable data that makes reading the log fast.
    #[must_use]
    pub fn cache(&self) -> Utf8PathBuf {
        self.place(|home| home.cache.join("dynix"), "var/cache/dynix")
    }

    /// The proof of the running system, by `dynix prove`.
    #[must_use]
    pub fn proof(&self) -> Utf8PathBuf {
        self.cache().join("proof.json")
    }

    /// The known-good values; kept across boots.
    #[must_use]
    pub fn known_good(&self) -> Utf8PathBuf {
        self.place(|home| home.state.join("dynix/known-good.json"), "var/lib/dynix/known-good.json")
    }

    /// The last verdict on the values in effect.
    #[must_use]
    pub fn verdict(&self) -> Utf8PathBuf {
        self.run().join("verdict.json")
    }

    /// The counts since the boot.
    #[must_use]
    pub fn counters(&self) -> Utf8PathBuf {
        self.run().join("metrics.json")
    }

    /// The daemon's counts of its callers.
    #[must_use]
    pub fn uses(&self) -> Utf8PathBuf {
        self.run().join("uses.json")
    }

    /// Rendered generations, the state file and the lock.
    #[must_use]
    pub fn run(&self) -> Utf8PathBuf {
        self.place(|home| home.runtime.join("dynix"), "run/dynix")
    }

    /// Held while applying.
    #[must_use]
    pub fn lock(&self) -> Utf8PathBuf {
        self.run().join("lock")
    }

    /// The stand-ins for the system, with the overrides that were evaluated.
    #[must_use]
    pub fn evaluated(&self) -> Utf8PathBuf {
        self.run().join("evaluated")
    }

    /// Held while overrides are evaluated and put into effect.
    #[must_use]
    pub fn evaluated_lock(&self) -> Utf8PathBuf {
        self.run().join("evaluated.lock")
    }

    /// The same, kept for the next boot.
    #[must_use]
    pub fn evaluated_for_boot(&self) -> Utf8PathBuf {
        self.place(|home| home.state.join("dynix/evaluated"), "var/lib/dynix/evaluated")
    }

    /// The source of /etc.
    #[must_use]
    pub fn etc_static(&self) -> Utf8PathBuf {
        self.root.join("etc/static")
    }

    /// The state file: what is in effect.
    #[must_use]
    pub fn state(&self) -> Utf8PathBuf {
        self.run().join("state.json")
    }

    /// One service's generations.
    #[must_use]
    pub fn service(&self, service: &str) -> Utf8PathBuf {
        self.run().join(service)
    }

    /// The file that a link under /etc leads to, as the link says it: the root is that of its readers.
    #[must_use]
    pub fn etc_target(&self, service: &str, file: &str) -> Utf8PathBuf {
        Utf8Path::new("/run/dynix").join(service).join("current").join(file)
    }

    /// The kernel's own values of settings that a service changed.
    #[must_use]
    pub fn kernel_settings(&self, service: &str) -> Utf8PathBuf {
        self.run().join(format!("{service}.sysctl"))
    }

    /// The file with which systemd-sysctl restores the kernel's values for a service: read before any other file
    /// (sysctl.d(5)).
    #[must_use]
    pub fn settings_to_return(&self, service: &str) -> Utf8PathBuf {
        self.root.join(format!("run/sysctl.d/00-dynix-{service}.conf"))
    }

    /// The directory of drop-ins that follow a value.
    #[must_use]
    pub fn runtime_units(&self) -> Utf8PathBuf {
        self.place(|home| home.runtime.join("systemd/user"), "run/systemd/system")
    }

    /// The lock of NixOS's switch-to-configuration; home-manager has none, so for a user's own it is one more of dynix's.
    #[must_use]
    pub fn switch_lock(&self) -> Utf8PathBuf {
        self.place(|home| home.runtime.join("dynix/switch.lock"), "run/nixos/switch-to-configuration.lock")
    }
}
