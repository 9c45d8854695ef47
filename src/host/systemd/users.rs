//! Several service managers as one: the one that dynix works for, and those of the users.
//!
//! In a plan of the system, `user/pipewire.service` is this unit in the manager of every user (systemd --user). Such a unit
//! is acted on wherever it is wanted at that moment, and counts as working if it works for everybody. A manager that starts
//! later reads the files that are in effect by then. `user@1000/pipewire.service` is the unit of one user.
//!
//! What belongs to a user can hinder nobody else for long: a manager that does not answer is left alone.

mod combined;
mod name;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
pub(super) use name::Named;
use name::of_one;
pub use name::{EVERY, bare, is_of_users, of_users};

use super::connection::Connection;
use super::reach::{Reach, UserManager};
use super::{Asking, Job, JobFault, Lasting, ManagerError, Observed, ServiceManager, Timer, UnitStatus, Watch};
use crate::host::accounts::Database;
use crate::host::fs;

/// Where the runtime directories of the users are (`pam_systemd(8)`).
const RUNTIME: &str = "/run/user";
/// How often it is looked whether the jobs of users are done, or interrupted.
const INTERVAL: Duration = Duration::from_millis(5);
/// For how long a manager that does not answer is not asked again.
const SHUNNED: Duration = Duration::from_secs(60);

/// The managers.
#[derive(Debug)]
pub struct Managers {
    main: Connection,
    runtime: Utf8PathBuf,
    users: Mutex<BTreeMap<u32, Arc<Connection>>>,
    /// Those that did not answer, and when.
    silent: Mutex<BTreeMap<u32, Instant>>,
}

impl Default for Managers {
    fn default() -> Self {
        Self::of(Reach::System)
    }
}

type Results = Vec<(usize, Result<(), JobFault>)>;

impl Managers {
    /// The managers for whom units without a user are those of `main`.
    #[must_use]
    pub fn of(main: Reach) -> Self {
        Self { main: Connection::to(main), runtime: RUNTIME.into(), users: Mutex::default(), silent: Mutex::default() }
    }

    /// The one that units without a user belong to.
    #[must_use]
    pub fn main(&self) -> &Reach {
        self.main.reach()
    }

    /// Whether that one is starting what it starts by itself: at a boot, or the start of a session.
    pub fn is_starting(&self) -> Result<bool, ManagerError> {
        self.main.is_starting()
    }

    fn silent(&self) -> MutexGuard<'_, BTreeMap<u32, Instant>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The managers of users that run now.
    fn running(&self) -> Vec<(u32, Arc<Connection>)> {
        let names = fs::list(&self.runtime).unwrap_or_default();
        let uids = names.iter().filter_map(|name| name.parse::<u32>().ok());
        let there = uids.map(|uid| UserManager::at(uid, &self.runtime.join(uid.to_string())));
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = |user: UserManager| {
            let uid = user.uid;
            let found = users.entry(uid).or_insert_with(|| Arc::new(Connection::to(Reach::User(user))));
            (uid, Arc::clone(found))
        };
        let silent = self.silent();
        let answers = |user: &UserManager| silent.get(&user.uid).is_none_or(|since| since.elapsed() > SHUNNED);
        there.filter(|user| user.is_there() && answers(user)).map(connection).collect()
    }

    fn user(&self, uid: u32) -> Option<Arc<Connection>> {
        self.running().into_iter().find(|(one, _)| *one == uid).map(|(_, connection)| connection)
    }

    /// What each running manager says of a unit; those that can't be asked are left out.
    fn everywhere<T>(&self, ask: impl Fn(&Connection) -> Result<T, ManagerError>) -> Vec<(u32, T)> {
        let asked = self.running().into_iter().map(|(uid, connection)| (uid, ask(&connection)));
        let answered = asked.filter_map(|(uid, answer)| {
            let answer = answer.inspect_err(|_| {
                self.silent().insert(uid, Instant::now());
            });
            Some((uid, answer.ok()?))
        });
        answered.collect()
    }

    /// The state of a unit for each user for whom it can be acted on.
    fn wanted(&self, unit: &str) -> Vec<(u32, UnitStatus)> {
        let unit = [unit.to_owned()];
        let all = self.everywhere(|connection| connection.status(&unit));
        let one = all.into_iter().filter_map(|(uid, mut statuses)| Some((uid, statuses.pop()?)));
        one.filter(|(_, status)| status.is_wanted() && status.is_usable()).collect()
    }

    /// What one manager says of a unit, or several together. A manager that is not there says nothing.
    fn of_unit<T>(
        &self,
        unit: &str,
        one: impl Fn(&Connection, &str) -> Result<Option<T>, ManagerError>,
        called: impl Fn(&str, T) -> T,
        together: impl Fn(&str, &mut dyn Iterator<Item = T>) -> T,
    ) -> Result<T, ManagerError> {
        let nothing = || together(unit, &mut std::iter::empty());
        match Named::read(unit) {
            Named::Main => Ok(one(&self.main, unit)?.unwrap_or_else(nothing)),
            Named::Of(uid, name) => {
                let found = self.user(uid).map(|connection| one(&connection, name)).transpose()?.flatten();
                Ok(found.map_or_else(nothing, |found| called(unit, found)))
            }
            Named::Every(name) => {
                let all = self.everywhere(|connection| one(connection, name));
                Ok(together(unit, &mut all.into_iter().filter_map(|(_, found)| found)))
            }
        }
    }

    fn status_of(&self, unit: &str) -> Result<UnitStatus, ManagerError> {
        let one = |manager: &Connection, unit: &str| manager.status(&[unit.to_owned()]).map(|mut found| found.pop());
        self.of_unit(unit, one, combined::called, |unit, all| combined::status(unit, all))
    }

    fn observe_one(&self, unit: &str) -> Result<Observed, ManagerError> {
        let one = |manager: &Connection, unit: &str| manager.observe(&[unit.to_owned()]).map(|mut found| found.pop());
        self.of_unit(unit, one, combined::seen, |unit, all| combined::observed(unit, all))
    }

    /// The jobs of each user, each with its place among all.
    fn shares(&self, jobs: &[(usize, &Job)]) -> BTreeMap<u32, Vec<(usize, Job)>> {
        let mut shares: BTreeMap<u32, Vec<(usize, Job)>> = BTreeMap::new();
        for (place, job) in jobs {
            let (uids, name) = match Named::read(&job.unit) {
                Named::Main => continue,
                Named::Of(uid, name) => (vec![uid], name),
                Named::Every(name) => (self.wanted(name).into_iter().map(|(uid, _)| uid).collect(), name),
            };
            let own = Job { unit: name.to_owned(), ..(*job).clone() };
            for uid in uids {
                shares.entry(uid).or_default().push((*place, own.clone()));
            }
        }
        shares
    }

    /// Runs the jobs of users, all users at once.
    fn run_for_users(&self, jobs: &[(usize, &Job)], interrupted: &dyn Fn() -> bool) -> Results {
        let shares = self.shares(jobs);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let is_over = &is_over;
            let threads: Vec<_> = shares
                .into_iter()
                .map(|(uid, share)| scope.spawn(move || self.run_for(uid, &share, &|| is_over.load(Ordering::Relaxed))))
                .collect();
            while threads.iter().any(|thread| !thread.is_finished()) {
                if interrupted() {
                    is_over.store(true, Ordering::Relaxed);
                }
                std::thread::sleep(INTERVAL);
            }
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        })
    }

    fn run_for(&self, uid: u32, share: &[(usize, Job)], interrupted: &dyn Fn() -> bool) -> Results {
        // A user who logged out meanwhile has nothing that could be acted on.
        let Some(connection) = self.user(uid) else { return Vec::new() };
        let jobs: Vec<Job> = share.iter().map(|(_, job)| job.clone()).collect();
        let places = share.iter().map(|(place, _)| *place);
        let Ok(results) = connection.run(&jobs, interrupted) else { return Vec::new() };
        let name = Database::Users.name_of(uid).unwrap_or_else(|| uid.to_string());
        places.zip(results.into_iter().map(|result| result.map_err(|fault| combined::of_user(&name, fault)))).collect()
    }
}

impl ServiceManager for Managers {
    fn status(&self, units: &[String]) -> Result<Vec<UnitStatus>, ManagerError> {
        if !units.iter().any(|unit| is_of_users(unit)) {
            return self.main.status(units);
        }
        units.iter().map(|unit| self.status_of(unit)).collect()
    }

    fn dependents(&self, units: &[String]) -> Result<Vec<String>, ManagerError> {
        let (users, main): (Vec<String>, Vec<String>) = units.iter().cloned().partition(|unit| is_of_users(unit));
        let mut found = if main.is_empty() { Vec::new() } else { self.main.dependents(&main)? };
        let names: Vec<String> = users.iter().map(|unit| bare(unit).to_owned()).collect();
        if names.is_empty() {
            return Ok(found);
        }
        for (uid, dependents) in self.everywhere(|connection| connection.dependents(&names)) {
            found.extend(dependents.iter().map(|unit| of_one(uid, unit)));
        }
        Ok(found)
    }

    fn reload_configuration(&self) -> Result<(), ManagerError> {
        self.main.reload_configuration()
    }

    fn bind(&self, unit: &str, source: &str, target: &str) -> Result<(), ManagerError> {
        self.main.bind(unit, source, target)
    }

    fn run(&self, jobs: &[Job], interrupted: &dyn Fn() -> bool) -> Result<Vec<Result<(), JobFault>>, ManagerError> {
        let placed: Vec<(usize, &Job)> = jobs.iter().enumerate().collect();
        let (users, main): (Vec<_>, Vec<_>) = placed.into_iter().partition(|(_, job)| is_of_users(&job.unit));
        if users.is_empty() {
            return self.main.run(jobs, interrupted);
        }
        let mut results = vec![Ok(()); jobs.len()];
        if !main.is_empty() {
            let own: Vec<Job> = main.iter().map(|(_, job)| (*job).clone()).collect();
            for ((place, _), result) in main.iter().zip(self.main.run(&own, interrupted)?) {
                results[*place] = result;
            }
        }
        for (place, result) in self.run_for_users(&users, interrupted) {
            let before = std::mem::replace(&mut results[place], Ok(()));
            results[place] = combined::worse(before, result);
        }
        Ok(results)
    }

    fn asking(&self) -> Asking {
        self.main.asking()
    }

    fn last_words(&self, unit: &str) -> Option<String> {
        match Named::read(unit) {
            Named::Main => self.main.last_words(unit),
            Named::Of(uid, name) => self.user(uid)?.last_words(name),
            Named::Every(name) => {
                let all = self.everywhere(|connection| connection.status(&[name.to_owned()]));
                let is_up = |statuses: &[UnitStatus]| statuses.iter().all(UnitStatus::is_up);
                let (uid, _) = all.into_iter().find(|(_, statuses)| !is_up(statuses))?;
                self.user(uid)?.last_words(name)
            }
        }
    }

    fn main_process(&self, unit: &str) -> Option<u32> {
        self.main_processes(unit).first().copied()
    }

    fn main_processes(&self, unit: &str) -> Vec<u32> {
        match Named::read(unit) {
            Named::Main => self.main.main_process(unit).into_iter().collect(),
            Named::Of(uid, name) => self.user(uid).and_then(|one| one.main_process(name)).into_iter().collect(),
            Named::Every(name) => self.running().iter().filter_map(|(_, one)| one.main_process(name)).collect(),
        }
    }

    fn start_timer(&self, timer: &Timer) -> Result<(), ManagerError> {
        self.main.start_timer(timer)
    }

    fn observe(&self, units: &[String]) -> Result<Vec<Observed>, ManagerError> {
        if !units.iter().any(|unit| is_of_users(unit)) {
            return self.main.observe(units);
        }
        units.iter().map(|unit| self.observe_one(unit)).collect()
    }

    fn start_service(&self, service: &Lasting) -> Result<(), ManagerError> {
        self.main.start_service(service)
    }

    fn is_stopping(&self) -> Result<bool, ManagerError> {
        self.main.is_stopping()
    }

    fn stop_timer(&self, name: &str) -> Result<(), ManagerError> {
        self.main.stop_timer(name)
    }

    fn start_watch(&self, watch: &Watch) -> Result<(), ManagerError> {
        self.main.start_watch(watch)
    }

    fn stop_watch(&self, name: &str) -> Result<(), ManagerError> {
        self.main.stop_watch(name)
    }
}
