//! Timers that outlive the process that starts them: transient units of systemd (systemd-run(1) starts the same), and
//! unit files for a system that is about to boot.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use zbus::Variant;

use super::hardening;
use super::transient::{self, Properties};
use crate::exit::Exit;
use crate::host::templates::{self, TemplateError};

/// A timer and the service that it starts: `NAME.timer` and `NAME.service`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// The units' name, without a suffix.
    pub name: String,
    /// The description of its unit.
    pub description: String,
    /// When it elapses, first and again.
    pub when: Vec<When>,
    /// Program (absolute) and arguments that it runs, as root. No shell, and nothing in them is substituted.
    pub command: Vec<String>,
}

/// When a timer elapses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So long after its start. The time that a machine is suspended for does not count.
    In(Duration),
    /// At a time of the clock: at once if the clock is set beyond it, or the machine wakes up after it. A time that has
    /// passed when the timer starts never comes (systemd.timer(5), `OnCalendar=`).
    At(SystemTime),
}

/// How exactly a timer elapses; systemd's default is a minute (systemd.timer(5), `AccuracySec=`).
const ACCURACY: Duration = Duration::from_millis(100);

impl Timer {
    /// `NAME.timer`
    #[must_use]
    pub fn unit(&self) -> String {
        format!("{}.timer", self.name)
    }

    /// `NAME.service`
    #[must_use]
    pub fn service(&self) -> String {
        format!("{}.service", self.name)
    }

    fn delays(&self) -> impl Iterator<Item = Duration> {
        self.when.iter().filter_map(|when| match when {
            When::In(delay) => Some(*delay),
            When::At(_) => None,
        })
    }

    fn times(&self) -> impl Iterator<Item = String> {
        self.when.iter().filter_map(|when| match when {
            When::At(time) => Some(calendar(*time)),
            When::In(_) => None,
        })
    }

    /// The properties of the timer for `StartTransientUnit` (org.freedesktop.systemd1(5); the names are those of
    /// `bus_append_timer_property`, src/shared/bus-unit-util.c).
    pub(super) fn properties(&self) -> Properties {
        let mut properties = vec![
            ("Description", Variant::new(self.description.clone())),
            ("AccuracyUSec", Variant::new(micros(ACCURACY))),
            // Nothing is left of it after it elapsed.
            ("RemainAfterElapse", Variant::new(false)),
            ("CollectMode", Variant::new("inactive-or-failed".to_owned())),
        ];
        // One property for each: an empty list would reset everything before it.
        properties.extend(
            self.delays()
                .map(|delay| ("TimersMonotonic", Variant::new(vec![("OnActiveSec".to_owned(), micros(delay))]))),
        );
        properties
            .extend(self.times().map(|time| ("TimersCalendar", Variant::new(vec![("OnCalendar".to_owned(), time)]))));
        properties
    }

    /// The same for the service. It is started again whenever it is killed or fails.
    pub(super) fn service_properties(&self) -> Properties {
        let mut properties = transient::service(&self.description, &self.command);
        properties.extend(tried_again());
        properties
    }

    /// The same as unit files, for systemd to find when it starts: the timer's text and the service's.
    pub fn files(&self) -> Result<(String, String), TemplateError> {
        #[derive(Serialize)]
        struct Context<'t> {
            description: &'t str,
            times: Vec<String>,
            seconds: Vec<f64>,
            accuracy: u128,
            program: &'t str,
            arguments: &'t [String],
            hardening: Vec<String>,
        }
        let (program, arguments) = self.command.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
        let context = Context {
            description: &self.description,
            times: self.times().collect(),
            seconds: self.delays().map(|delay| delay.as_secs_f64()).collect(),
            accuracy: ACCURACY.as_millis(),
            program,
            arguments,
            hardening: hardening::lines(),
        };
        let text = |template| templates::unit(template, &context);
        Ok((
            text(include_str!("../../../templates/expiry.timer"))?,
            text(include_str!("../../../templates/expiry.service"))?,
        ))
    }
}

/// The properties of a service that is started again, at growing intervals, if it is killed or fails because of
/// something outside, as `crate::exit::Exit::Failed` says.
pub(super) fn tried_again() -> Properties {
    vec![
        ("Restart", Variant::new("on-abnormal".to_owned())),
        ("RestartForceExitStatus", Variant::new((vec![Exit::Failed as i32], Vec::<i32>::new()))),
        ("RestartUSec", Variant::new(micros(Duration::from_secs(1)))),
        ("RestartSteps", Variant::new(8_u32)),
        ("RestartMaxDelayUSec", Variant::new(micros(Duration::from_secs(300)))),
    ]
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// As systemd.time(7) writes it: whole seconds, in UTC.
fn calendar(time: SystemTime) -> String {
    crate::time::text(time).replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_files_say_what_the_transient_units_say() {
        let timer = Timer {
            name: "dynix-expiry".to_owned(),
            description: "100% over".to_owned(),
            when: vec![
                When::At(SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_718_000)),
                When::In(Duration::from_millis(1500)),
            ],
            command: ["/bin/dynix", "--plan", "/a b/$x", "apply"].map(str::to_owned).to_vec(),
        };
        let (timer, service) = timer.files().unwrap();
        insta::assert_snapshot!(format!("{timer}--\n{service}"));
    }
}
