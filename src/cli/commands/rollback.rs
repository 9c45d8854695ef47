//! `dynix rollback`: says whose records it takes back, and asks before it takes back those of others.

use super::change::{self, Look, Manner};
use super::terminal;
use crate::exit::Exit;
use crate::host::messages;
use crate::system::caller::is_of;
use crate::system::record::Loses;
use crate::system::request::{Request, Rollback};
use crate::system::session::Session;
use crate::varlink::client::Ask;

/// Runs it. On a terminal, `yes` leaves the question out.
pub fn run(request: Rollback, yes: bool, manner: Manner, ask: &Ask, session: &Session) -> anyhow::Result<Exit> {
    let lost = session.open()?.lost_by(&request)?;
    if !lost.is_empty() {
        messages::info(format!("takes back {}", named(&lost)));
    }
    let user = session.user();
    let of_others = lost.iter().any(|one| one.by.as_deref().is_some_and(|by| !is_of(by, &user)));
    if of_others && !yes && manner.look == Look::Not && terminal::is_there() && !terminal::agrees("go on?")? {
        messages::info("nothing was done");
        return Ok(Exit::Failed);
    }
    change::run(&Request::Rollback(request), manner, ask, session)
}

/// The records, the newest first, with who made them.
fn named(lost: &[Loses]) -> String {
    const MOST: usize = 20;
    let by = |one: &Loses| one.by.clone().unwrap_or_else(|| "by hand".to_owned());
    let newest: Vec<&Loses> = lost.iter().rev().take(MOST).collect();
    let of_one: Vec<String> = newest
        .chunk_by(|one, next| by(one) == by(next))
        .map(|records| {
            let ids: Vec<String> = records.iter().map(|one| one.id.to_string()).collect();
            format!("{} ({})", ids.join(", "), by(records[0]))
        })
        .collect();
    let rest = lost.len().saturating_sub(MOST);
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let noun = if lost.len() == 1 { "record" } else { "records" };
    format!("{noun} {}{rest}", of_one.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_named_with_who_made_them() {
        let one = |id, by: &str| Loses { id, by: Some(by.to_owned()) };
        assert_eq!(named(&[one(4, "root")]), "record 4 (root)");
        assert_eq!(named(&[one(4, "root"), Loses { id: 5, by: None }]), "records 5 (by hand), 4 (root)");
        let many: Vec<Loses> = (1..=22).map(|id| one(id, "x")).collect();
        assert!(named(&many).ends_with(" 4, 3 (x) and 2 more"), "{}", named(&many));
        let mixed = [one(1, "ann"), one(2, "root"), one(3, "root"), one(4, "ann")];
        assert_eq!(named(&mixed), "records 4 (ann), 3, 2 (root), 1 (ann)");
        assert!(is_of("ann via daemon", "ann") && is_of("ann", "ann") && !is_of("anna", "ann"));
    }
}
